"""Where a worker finds the trainer: that of a plugin, or the functions of a user."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shape_dnn.errors import PluginError
from shape_dnn.kinds import OptionValue, Trainer
from shape_dnn.plugins.registry import Registry
from shape_dnn.plugins.sending import Sendable

TrainerSource = Sendable[Trainer]
"""What can be sent to a worker, and makes a trainer there."""


@dataclass(frozen=True)
class OwnTrainer:
    """Functions of a user.

    Attributes:
        path: the Python file, or what they were pickled into.
        version: digest of its content when the search started.
        function: that trains.
        options: values of its keyword parameters, and of those of ``build``.
    """

    path: Path
    version: str
    function: str
    options: Mapping[str, OptionValue] = field(default_factory=dict)

    @property
    def files(self) -> tuple[Path, ...]:
        """The file."""
        return (self.path,)

    def load(self) -> Trainer:
        """Create the trainer.

        Raises:
            UsageError: the file is gone, or cannot be used.
            PluginError: it has changed, or a module that its functions are of is another here. Trainings would be
                others.
        """
        from shape_dnn.training.imported import check_same
        from shape_dnn.training.reading import digest, read

        functions = read(self.path, self.function)
        if digest(self.path) != self.version:
            raise PluginError(f"{str(self.path)!r} has changed since the search started; start again")
        check_same(getattr(functions, "imported", {}))  # former versions pickled none
        return functions.trainer(self.options)


def registry(plugin_files: tuple[Path, ...]) -> Registry:
    """Find the plugins, once in each process as long as their files are the same."""
    return _registry(plugin_files, tuple(path.read_bytes() if path.is_file() else b"" for path in plugin_files))


@functools.lru_cache(maxsize=4)
def _registry(plugin_files: tuple[Path, ...], _contents: tuple[bytes, ...]) -> Registry:
    return Registry(plugin_files)
