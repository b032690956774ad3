"""Where text for people goes."""

from __future__ import annotations

import os

import rich.console


class Console(rich.console.Console):
    """One that outlives its reader, which may have seen enough, as ``head`` has."""

    def on_broken_pipe(self) -> None:
        """Write no more of the progress; whoever prints a result is told.

        Raises:
            BrokenPipeError: it is no console of standard error. Rich itself would end the program.
        """
        if not self.stderr:
            raise BrokenPipeError
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)
