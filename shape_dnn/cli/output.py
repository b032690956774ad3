"""Printing results."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import click
from click.core import ParameterSource

from shape_dnn.cli.help import Option
from shape_dnn.declaring import Group
from shape_dnn.errors import UsageError
from shape_dnn.system.text import visible

if TYPE_CHECKING:
    from rich.console import JustifyMethod
    from rich.text import Text

    from shape_dnn.answers.result import Result
    from shape_dnn.answers.summary import Summary
    from shape_dnn.display.console import Console

CONFIG = click.option(
    "--config",
    cls=Option,
    group=Group.GENERAL,
    metavar="FILE.yaml",
    envvar="SHAPE_DNN_CONFIG",
    help="YAML file with settings by name. A variable SHAPE_DNN_NAME overrides it, and a flag overrides both.",
)
PLUGIN_FILES = click.option(
    "--plugin",
    "files",
    cls=Option,
    group=Group.GENERAL,
    multiple=True,
    metavar="FILE.py",
    help="Python file that declares plugins; repeatable.",
)
FORMAT = click.option(
    "--format",
    "output",
    cls=Option,
    group=Group.OUTPUT,
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    envvar="SHAPE_DNN_FORMAT",
    help="Form of what is printed.",
)
QUIET = click.option(
    "--quiet",
    cls=Option,
    group=Group.OUTPUT,
    is_flag=True,
    envvar="SHAPE_DNN_QUIET",
    help="Show no progress, only errors and warnings.",
)
VERBOSE = click.option(
    "--verbose",
    cls=Option,
    group=Group.OUTPUT,
    is_flag=True,
    envvar="SHAPE_DNN_VERBOSE",
    help="Show more progress: every epoch, what was known before, and what was found out before training.",
)
DEBUG = click.option(
    "--debug",
    cls=Option,
    group=Group.OUTPUT,
    is_flag=True,
    expose_value=False,
    help="Show tracebacks of errors, and of trainings that failed.",
)
"""Read by :func:`shape_dnn.cli.main`, and accepted by every command."""


def is_debugging() -> bool:
    """Tell whether ``--debug`` was given to the command that runs."""
    return click.get_current_context().get_parameter_source("debug") is ParameterSource.COMMANDLINE


def is_verbose(quiet: bool, verbose: bool) -> bool | None:
    """Tell how much progress is shown: None for none at all. A flag beats the environment."""
    if quiet and verbose:
        source = click.get_current_context().get_parameter_source
        given = [name for name in ("quiet", "verbose") if source(name) is ParameterSource.COMMANDLINE]
        if len(given) != 1:
            raise UsageError("--quiet and --verbose contradict each other")
        return None if given == ["quiet"] else True
    return None if quiet else verbose


@contextmanager
def results_only() -> Iterator[None]:
    """Keep standard output for the result: what plugins and workers print meanwhile goes to standard error.

    The file descriptor itself is redirected, since worker processes inherit it.
    """
    sys.stdout.flush()
    try:
        kept = os.dup(sys.stdout.fileno())
    except (OSError, ValueError):  # an output without a descriptor of its own, as in a notebook
        yield
        return
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, sys.stdout.fileno())
        os.close(kept)


def plain(text: str) -> Text:
    """Prepare a text in which nothing is markup and nothing steers the terminal."""
    from rich.text import Text

    return Text(visible(text))


def console() -> Console:
    """Return a console for standard output that does not fold tables when nobody looks at it."""
    from shape_dnn.display.console import Console

    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120, highlight=False, soft_wrap=False)


def print_json(value: object) -> None:
    """Print one JSON value; numbers that are not finite do not occur."""
    click.echo(json.dumps(value, indent=2, allow_nan=False))


def print_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print records with a header."""
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)


NARROW = 90
"""Columns below which a terminal is narrow: tables are set closer, and long text stands below its row."""
LONG_TEXT = frozenset({"reason", "what it is, or why it cannot be used"})


def print_table(rows: Iterable[Sequence[str]], columns: Sequence[str], title: str = "") -> None:
    """Print cells in aligned columns, with nothing cut off. Text is shown as it is: nothing in it is markup.

    A word or a number is never divided: where a terminal is too narrow for that, each row is a paragraph.
    """
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table

    out = console()
    is_narrow = out.width < NARROW
    if is_narrow and columns[-1] in LONG_TEXT:
        _print_list(out, rows)
        return
    rows = list(rows)
    by_column = [[visible(cell) for cell in cells] for cells in zip(columns, *rows, strict=True)]
    words = [max(map(cell_len, " ".join(cells).split()), default=1) for cells in by_column]
    least = sum(words) + len(words) + 1
    if out.width < least:
        _print_paragraphs(out, rows, columns, title)
        return
    padding = 0 if is_narrow or out.width < least + 2 * (len(words) - 1) else 1
    table = Table(
        box=box.SIMPLE_HEAD, title=plain(title) if title else None, title_justify="left", pad_edge=False,
        padding=(0, padding),
    )  # fmt: skip
    cells = [max(map(cell_len, cells)) for cells in by_column]
    room = out.width - (len(words) + 1) - 2 * padding * (len(words) - 1)
    for column, width in zip(columns, _fitted(cells, words, room), strict=True):
        justify: JustifyMethod = "right" if column not in LEFT else "left"
        table.add_column(plain(column), justify=justify, width=width, overflow="fold")
    for row in rows:
        table.add_row(*(plain(cell) for cell in row))
    out.print(table)


def _fitted(wanted: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Return the widths of columns, of which the widest are narrowed until all fit; the least of each fit anyway."""
    widths = list(wanted)
    while sum(widths) > room:
        widest = max((i for i, width in enumerate(widths) if width > least[i]), key=widths.__getitem__)
        widths[widest] -= 1
    return widths


def _print_paragraphs(out: Console, rows: Iterable[Sequence[str]], columns: Sequence[str], title: str) -> None:
    """Print what stands in each row with the name of its column."""
    for text in (title, *("; ".join(map(" ".join, zip(columns, row, strict=True))) for row in rows)):
        out.print(plain(text))
    out.print()


def _print_list(out: Console, rows: Iterable[Sequence[str]]) -> None:
    """Print each row on a line of its own, and its last cell indented below."""
    from rich.padding import Padding

    for *cells, text in rows:
        if any(cells):
            out.print(plain("  ".join(cells)))
        if text not in ("", "-"):
            out.print(Padding(plain(text), (0, 0, 0, 4)))


LEFT = frozenset(
    {
        "metric",
        "meter",
        "device",
        "reason",
        "name",
        "kind",
        "source",
        "state",
        "what it is, or why it cannot be used",
        "path",
        "strategy",
        "sampler",
        "model",
        "method",
    }
)


class Found(Protocol):
    """What a command has found: records, and tables of them."""

    @property
    def columns(self) -> Sequence[str]:
        """Names of what records hold."""

    @property
    def summaries(self) -> Sequence[Summary]:
        """The tables for people."""

    def rows(self) -> list[dict[str, Any]]:
        """Return the records."""


def print_found(found: Found, output: str) -> None:
    """Print records in a form, or as tables."""
    if output == "json":
        print_json(found.rows())
    elif output == "csv":
        print_csv(found.rows(), found.columns)
    else:
        print_summaries(found.summaries)


def print_summaries(summaries: Iterable[Summary]) -> None:
    """Print tables with the lines around them."""
    for summary in summaries:
        for line in summary.before:
            console().print(plain(line))
        print_table(summary.rows, summary.columns, title=summary.title)
        for line in summary.after:
            console().print(plain(line))


def print_result(result: Result, output: str) -> None:
    """Print the answer of a search."""
    if output == "json":
        print_json(result.to_dict())
    elif output == "csv":
        rows = [{**row, "estimated": " ".join(row.get("estimated", ()))} for row in result.rows()]
        print_csv(rows, result.columns)
    else:
        print_summaries(result.summaries)
