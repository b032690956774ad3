"""A table with a few lines around it: how results are shown, as text and as HTML for notebooks."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from shape_dnn.system.text import visible


@dataclass(frozen=True)
class Summary:
    """What is shown of a result.

    Attributes:
        title: title of the table.
        columns: names of the columns.
        rows: cells of each row.
        before: lines before the table.
        after: lines after the table.
        best: number of the row that is the answer, if one is.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    before: Sequence[str] = ()
    after: Sequence[str] = ()
    best: int | None = None

    @property
    def text(self) -> str:
        """The summary as lines of text."""
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
        head, *body = (
            "   ".join(map(str.rjust, map(visible, cells), widths)).rstrip() for cells in (self.columns, *self.rows)
        )
        lines = (*self.before, self.title, "", head, "-" * len(head), *body, "", *self.after)
        return "\n".join(map(visible, lines))

    @property
    def html(self) -> str:
        """The summary as HTML, with the best row in bold. No colours are set: notebooks may be dark or bright."""
        head = _row("th", self.columns)
        body = "".join(_row("td", cells, bold=place == self.best) for place, cells in enumerate(self.rows))
        table = f"<table><caption>{html.escape(self.title)}</caption><thead>{head}</thead><tbody>{body}</tbody></table>"
        return f"<div>{_lines(self.before)}{table}{_lines(self.after)}</div>"


class Shown(ABC):
    """Something shown as tables: when it is printed, and in notebooks, where IPython shows the value of a line."""

    @property
    @abstractmethod
    def summaries(self) -> Sequence[Summary]:
        """The tables for people."""

    def __str__(self) -> str:
        return "\n\n".join(summary.text.strip("\n") for summary in self.summaries)

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return "".join(summary.html for summary in self.summaries)

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """Show it in a terminal of IPython."""
        printer.text(str(self))


def _row(tag: str, cells: Iterable[str], *, bold: bool = False) -> str:
    texts = (f"<b>{html.escape(cell)}</b>" if bold else html.escape(cell) for cell in cells)
    return "<tr>" + "".join(f"<{tag}>{text}</{tag}>" for text in texts) + "</tr>"


def _lines(lines: Sequence[str]) -> str:
    return f"<p>{'<br>'.join(map(html.escape, lines))}</p>" if lines else ""
