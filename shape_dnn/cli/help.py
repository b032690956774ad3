"""The help of commands: a sentence, examples, what matters first, and then every option by what it is for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from shape_dnn.declaring import Group
from shape_dnn.settings import FIRST, SETTINGS, flag_of

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

EXAMPLES = {
    "The smallest shape that is right on 97 % of images:": "shape-dnn --min-accuracy 97% --goal size",
    "The most accurate one within 4 ms. Only show what would be trained:": (
        "shape-dnn --max-latency 4ms --goal accuracy --dry-run"
    ),
    "Networks of your own, from a file with train(shape, run) and build(shape):": (
        "shape-dnn --trainer mine.py --depth 2:9:2 --width 1:5:1 --goal accuracy"
    ),
}
"""How the default command is used, by what for."""


class Option(click.Option):
    """An option that knows what it is for.

    Args:
        group: the part of the help that it stands in; None for one that its command has for itself.
    """

    def __init__(self, *arguments: Any, group: Group | None = None, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.group = group

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a value: the name of a plugin, a word of a few, or a path."""
        from click.shell_completion import CompletionItem

        words = _words(self.name or "")
        if words:
            return [CompletionItem(word) for word in words if word.startswith(incomplete)]
        metavar = self.metavar or ""
        if metavar == "DIR":
            return [CompletionItem(incomplete, type="dir")]
        if any(what in metavar for what in ("FILE", "STUDY", "TABLE")):
            return [CompletionItem(incomplete, type="file")]
        return super().shell_complete(ctx, incomplete)


def _words(setting: str) -> Sequence[str]:
    """Return the values that a setting can have, as far as they can be told."""
    if setting not in SETTINGS:
        return ()
    if SETTINGS[setting].kind.words:
        return SETTINGS[setting].kind.words
    from shape_dnn.plugins.registry import Registry
    from shape_dnn.plugins.table_of_kinds import KINDS

    kind = next((kind.name for kind in KINDS.values() if kind.flag == setting), None)
    return [] if kind is None else sorted({entry.name for entry in Registry([]).entries() if entry.kind == kind})


class Command(click.Command):
    """A command whose help has examples, and its options in groups.

    Args:
        examples: commands, by what they are for.
        first: whether the settings that matter first are shown before all others.
    """

    def __init__(
        self, *arguments: Any, examples: Mapping[str, str] | None = None, first: bool = False, **named: Any
    ) -> None:
        super().__init__(*arguments, **named)
        self.examples, self.first = examples or {}, first

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples, the options of this command alone, and then those of each group."""
        write_examples(formatter, self.examples)
        if self.first:
            write_first(formatter)
        parts: dict[Group | None, list[tuple[str, str]]] = {group: [] for group in (None, *Group)}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                group = Group.OUTPUT if "--help" in parameter.opts else getattr(parameter, "group", None)
                parts[group].append(record)
        for group, records in parts.items():
            write_options(formatter, "Options" if group is None else group.value, records)


def write_examples(formatter: click.HelpFormatter, examples: Mapping[str, str]) -> None:
    """Write commands that can be copied: each begins a line, and is broken by the terminal alone."""
    if examples:
        with formatter.section("Examples"):
            for purpose, line in examples.items():
                formatter.write_text(purpose)
                formatter.write(f"{'':{formatter.current_indent + formatter.indent_increment}}{line}\n")


def write_first(formatter: click.HelpFormatter) -> None:
    """Write the settings that matter first, with the first sentence about each."""
    chosen = [(flag_of(name), SETTINGS[name]) for name in FIRST]
    lines = [(f"{flag} {declared.metavar}", first_sentence(declared.description)) for flag, declared in chosen]
    write_options(formatter, f"The {len(FIRST)} options that matter first", lines)


def first_sentence(text: str) -> str:
    """Return what stands before the first full stop."""
    return text.partition(". ")[0].rstrip(".")


def write_options(formatter: click.HelpFormatter, heading: str, records: Iterable[tuple[str, str]]) -> None:
    """Write options below a heading; the descriptions have at least two thirds of a narrow line."""
    rows = list(records)
    if rows:
        with formatter.section(heading):
            formatter.write_dl(rows, col_max=min(30, formatter.width // 3))
