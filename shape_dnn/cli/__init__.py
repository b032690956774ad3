"""The command ``shape-dnn``. Each sub-command is a module of its own, imported when it is called."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shape_dnn import __version__
from shape_dnn.errors import PluginError, ShapeDnnError
from shape_dnn.system.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "tune": "Find the shapes that meet the limits (the default command).",
    "space": "List the shapes of a design space and their sizes.",
    "measure": "Measure metrics of the shapes of a space, without training.",
    "ask": "Ask a study another question: nothing is measured or trained.",
    "report": "Write what a study knows as one HTML file, and figures of it.",
    "watch": "Serve a page that shows a study while a search runs.",
    "export": "Write a trained network as safetensors, torch.export and ONNX files.",
    "record": "Train every shape of a space, and write a table to replay.",
    "simulate": "Compare samplers, strategies and models on a recorded table.",
    "bench": "Compare ways of searching on recorded tables, where the truth is known.",
    "doctor": "Say what this machine can measure, and why not the rest.",
    "new-plugin": "Write a package with a plugin of your own, to start from.",
    "plugins": "List the plugins, and why those that cannot be used cannot.",
    "studies": "List the studies below a directory.",
}
DEFAULT_COMMAND = "tune"
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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the sub-commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take options without a command as those of the default command."""
        if not args or (args[0].startswith("-") and args[0] not in {"--help", "-h", "--version"}):
            args = [DEFAULT_COMMAND, *args]
        return super().parse_args(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="shape-dnn")
def program() -> None:
    """Choose the depth and width of a neural network.

    Given an image dataset, a device, and limits on size, latency, energy and accuracy, find the shapes of a network
    family that meet them. Options without a command are those of tune; see: shape-dnn tune --help
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and end the process with its exit status."""
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    warnings.simplefilter("default", UserWarning)
    if sys.stdout is None:  # closed by whoever started the command
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open until the end
    debug = "--debug" in (sys.argv[1:] if arguments is None else arguments)
    try:
        with program.make_context("shape-dnn", list(sys.argv[1:] if arguments is None else arguments)) as context:
            status = program.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        status = end.exit_code
    except click.ClickException as error:
        _say(error.format_message())
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


def _say(message: str) -> None:
    click.echo(f"shape-dnn: error: {one_line(message)}", err=True)


def _show_warning(message: Warning | str, category: type[Warning], *_: Any) -> None:
    if issubclass(category, UserWarning):
        click.echo(f"shape-dnn: warning: {one_line(str(message))}", err=True)
