"""The command ``shape-dnn``. Each sub-command is a module of its own, imported when it is called."""

from __future__ import annotations

import importlib
import io
import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shape_dnn import __version__
from shape_dnn.errors import PluginError, ShapeDnnError
from shape_dnn.system import operating
from shape_dnn.system.spelling import suggest
from shape_dnn.system.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from click.shell_completion import CompletionItem

COMMANDS = {
    "tune": "Find the best shape within limits (the default command).",
    "space": "List the shapes of a space, and their sizes.",
    "measure": "Measure size, latency or energy of shapes, without training.",
    "ask": "Ask a study another question, without measuring or training.",
    "report": "Write what a study knows as one HTML page.",
    "watch": "Serve a page that shows a study while a search runs.",
    "export": "Write a trained network as files, for example ONNX.",
    "record": "Train every shape, and write a table that searches can replay.",
    "simulate": "Compare samplers, strategies and models on a recorded table.",
    "bench": "Compare ways of searching on recorded tables.",
    "doctor": "Show what this machine can measure, and what is missing.",
    "new-plugin": "Write a package from which to start a plugin of your own.",
    "plugins": "List the plugins, and why some cannot be used.",
    "studies": "List, merge or delete studies.",
}
WIDEST = 100
"""Columns that help takes at most; longer lines are hard to read."""
DEFAULT_COMMAND = "tune"
OPTIONS = frozenset({"--help", "-h", "--version"})
"""Options of the program itself; all others are those of the default command."""
COMPLETION = "_SHAPE_DNN_COMPLETE"
"""Variable by which a shell asks for completions."""
INTERRUPTED = 130


class Commands(click.Group):
    """Knows its sub-commands by name; importing one is left to the moment it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a sub-command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"shape_dnn.cli.{cmd_name.replace('-', '_')}").command
        return command

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples, the commands, what matters first of the default one, and where the rest is."""
        from shape_dnn.cli.help import EXAMPLES, write_examples, write_first

        write_examples(formatter, EXAMPLES)
        self.format_commands(ctx, formatter)
        write_first(formatter)
        click.Command.format_options(self, ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the sub-commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take options without a command as those of the default command."""
        completes_a_command = ctx.resilient_parsing and not args
        if not completes_a_command and (not args or (args[0].startswith("-") and args[0] not in OPTIONS)):
            args = [DEFAULT_COMMAND, *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called, or say which may be meant."""
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            raise click.UsageError(f"there is no command {args[0]!r}; {suggest(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command, or an option of the default one."""
        from click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            default = self.get_command(ctx, DEFAULT_COMMAND)
            return [] if default is None else default.shell_complete(ctx, incomplete)
        return [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDEST},
    epilog="\b\nAll options, in groups:  shape-dnn tune --help\nThose of a command:      shape-dnn COMMAND --help\n"
    f'Completion in bash:      eval "$({COMPLETION}=bash_source shape-dnn)"',
)
@click.version_option(__version__, prog_name="shape-dnn")
def program() -> None:
    """Find the depth and width of a neural network that meets limits on size, latency, energy and accuracy.

    A depth with a width is a shape. A few shapes are trained, the accuracy of the others is predicted, and the best
    shape within the limits is named. Options without a command are those of tune.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and end the process with its exit status."""
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    warnings.simplefilter("default", UserWarning)
    _prepare_streams()
    _complete_if_asked()
    debug = "--debug" in (sys.argv[1:] if arguments is None else arguments)
    try:
        operating.check()
        with program.make_context("shape-dnn", list(sys.argv[1:] if arguments is None else arguments)) as context:
            status = program.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        status = end.exit_code
    except click.ClickException as error:
        from shape_dnn.cli.usage import explain

        _say(explain(error))
        status = error.exit_code
    except ShapeDnnError as error:
        if debug:
            traceback.print_exception(error)
        _say(str(error))
        status = error.exit_status
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted; everything finished is kept, and the same command goes on from there")
        status = INTERRUPTED
    except BrokenPipeError:
        # Whoever reads the output has seen enough; keep Python from complaining about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except SystemExit as end:
        _say(f"a plugin ended the program by itself (SystemExit: {end.code})")
        status = PluginError.exit_status
    except OSError as error:
        if debug:
            traceback.print_exception(error)
        _say(f"{error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
        status = 1
    except Exception as error:  # noqa: BLE001 - a user never meets a traceback that was not asked for
        if debug:
            traceback.print_exception(error)
        _say(f"{type(error).__name__}: {error} (an unexpected error; --debug shows where)")
        status = 1
    sys.exit(status if isinstance(status, int) else 0)


def _prepare_streams() -> None:
    """Open what whoever started the command has closed, and have standard output take every letter.

    Otherwise a file of a study would take the number of a stream, and an answer be lost for want of a letter.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - open until the end
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _complete_if_asked() -> None:
    """Answer a shell that asks what may come next, and end the process."""
    if COMPLETION in os.environ:
        from click.shell_completion import shell_complete

        sys.exit(shell_complete(program, {}, "shape-dnn", COMPLETION, os.environ[COMPLETION]))


def _say(message: str) -> None:
    click.echo(f"shape-dnn: error: {one_line(message)}", err=True)


def _show_warning(message: Warning | str, category: type[Warning], *_: Any) -> None:
    if issubclass(category, UserWarning):
        click.echo(f"shape-dnn: warning: {one_line(str(message))}", err=True)
