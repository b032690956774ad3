"""The help of the command: what it begins with, in which parts options stand, and that its examples work."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from shape_dnn.cli import COMMANDS, COMPLETION, output, program
from shape_dnn.cli.help import EXAMPLES, Command
from shape_dnn.declaring import Group
from shape_dnn.settings import FIRST, SETTINGS

Run = Callable[..., Any]
GROUPED = sorted(set(COMMANDS) - {"studies", "watch"})


def command(name: str) -> click.Command:
    found = program.get_command(click.Context(program), name)
    assert found is not None
    return found


def parts(text: str) -> dict[str, str]:
    """Return what stands below each heading of a help."""
    found = re.split(r"^(\S.*):\n", text, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


def flags(part: str) -> list[str]:
    return re.findall(r"^  (?:-\w, )?(--[a-z-]+)", part, re.MULTILINE)


@pytest.mark.parametrize("arguments", [["--help"], ["tune", "--help"]])
def test_help_begins_with_a_sentence_three_examples_and_the_ten_options_that_matter(
    shape_dnn: Run, arguments: list[str]
) -> None:
    out = shape_dnn(*arguments).out
    assert re.match(r"Usage: .*\n\n  Find the .*", out)
    headings = list(parts(out))
    assert headings[0] == "Examples"
    assert parts(out)["Examples"].count("    shape-dnn ") == len(EXAMPLES) == 3
    first = parts(out)["The 10 options that matter first"]
    assert flags(first) == ["--" + name.replace("_", "-") for name in FIRST]
    if len(arguments) == 1:
        assert headings[1] == "Commands"
        assert all(f"  {name}  " in parts(out)["Commands"] for name in COMMANDS)
        assert "shape-dnn tune --help" in out


def test_every_option_of_a_search_stands_once_in_the_part_that_says_what_it_is_for(shape_dnn: Run) -> None:
    found = parts(shape_dnn("tune", "--help").out)
    assert list(found)[2:] == [group.value for group in Group]
    seen = [flag for group in Group for flag in flags(found[group.value])]
    assert len(seen) == len(set(seen)) >= len(SETTINGS)
    for name, declared in SETTINGS.items():
        assert "--" + name.replace("_", "-") in flags(found[declared.group.value])


@pytest.mark.parametrize("name", GROUPED)
def test_settings_stand_in_the_same_parts_in_every_command(shape_dnn: Run, name: str) -> None:
    found = parts(shape_dnn(name, "--help").out)
    assert isinstance(command(name), Command)
    for parameter in command(name).params:
        if parameter.name in SETTINGS and getattr(parameter, "group", None) is not None:
            heading = SETTINGS[parameter.name].group.value
            assert any(flag in flags(found[heading]) for flag in parameter.opts)
    assert "--help" in flags(found[Group.OUTPUT.value])


@pytest.mark.parametrize("columns", [60, 80, 200])
@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_help_fits_the_terminal(
    shape_dnn: Run, monkeypatch: pytest.MonkeyPatch, name: str | None, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    ran = shape_dnn(*([name] if name else []), "--help")
    assert ran.status == 0
    assert "\x1b" not in ran.out
    for line in ran.out.splitlines():
        can_be_copied = line.startswith("    shape-dnn ") or 'eval "$(' in line
        assert len(line) <= min(columns, 100) or can_be_copied, line


@pytest.mark.parametrize(
    "line", [line for name in GROUPED if isinstance(command(name), Command) for line in command(name).examples.values()]
)
def test_examples_are_understood(line: str) -> None:
    _, *arguments = shlex.split(line)
    Path("mine.py").write_text("def train(shape, run): return 90.0\ndef build(shape): ...\n")
    name = arguments.pop(0) if arguments[0] in COMMANDS else "tune"
    with command(name).make_context(name, arguments):
        pass


def test_the_first_example_plans_a_search(shape_dnn: Run) -> None:
    _, *arguments = shlex.split(next(iter(EXAMPLES.values())))
    ran = shape_dnn(*arguments, "--dry-run", "--device", "cpu")
    assert ran.status == 0
    assert "would train" in ran.out


def complete(words: str) -> list[str]:
    """Ask as bash does when the user presses the tab key after some words."""
    asked = {
        COMPLETION: "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
        "SHAPE_DNN_PLUGINS": "",
    }
    ran = subprocess.run(
        [sys.executable, "-m", "shape_dnn"], env={**os.environ, **asked}, capture_output=True, text=True, check=True
    )
    assert ran.stderr == ""
    return [line.partition(",")[2] for line in ran.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("shape-dnn me", ["measure"]),
        ("shape-dnn --max-s", ["--max-size"]),
        ("shape-dnn --goal size --max-s", ["--max-size"]),
        ("shape-dnn space --max-s", ["--max-size"]),
        ("shape-dnn tune --arch w", ["wrn"]),
        ("shape-dnn --recipe p", ["paper"]),
        ("shape-dnn --format j", ["json"]),
    ],
)
def test_a_shell_completes_commands_options_and_values(words: str, expected: list[str]) -> None:
    assert complete(words) == expected


def test_a_shell_completes_all_commands() -> None:
    assert complete("shape-dnn ") == list(COMMANDS)


@pytest.mark.parametrize(
    ("name", "text"),
    [("plugins", "quadratic in the logarithms of depth and width"), ("doctor", "pip install ./plugins/shape-dnn-zeus")],
)
def test_nothing_is_cut_off_on_a_narrow_terminal(
    shape_dnn: Run, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    from rich.console import Console

    monkeypatch.setenv("SHAPE_DNN_PLUGINS", "")
    for module in ("output", name):
        monkeypatch.setattr(
            f"shape_dnn.cli.{module}.console",
            lambda: Console(file=sys.stdout, width=60, highlight=False),
            raising=False,
        )
    out = shape_dnn(name).out
    assert text in " ".join(out.split())
    assert "\u2026" not in out
    assert max(map(len, out.splitlines())) <= 60


def test_every_figure_of_a_result_fits_a_narrow_terminal(shape_dnn: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    rows = [f"{d},{w},{90 + d / 10},{d * w / 10},{d * w}" for d in (10, 16, 22) for w in (0.25, 0.5, 1)]
    Path("table.csv").write_text("\n".join(["depth,width,accuracy,size,latency", *rows]) + "\n")
    arguments = ("--replay", "table.csv", "--goal", "latency", "--min-accuracy", "91%")
    wide = shape_dnn(*arguments).out
    monkeypatch.setattr(output, "console", lambda: Console(file=sys.stdout, width=60, highlight=False))
    narrow = shape_dnn(*arguments).out
    assert "\u2026" not in narrow
    assert max(map(len, narrow.splitlines())) <= 60
    assert figures(wide)
    assert figures(narrow) == figures(wide)
    monkeypatch.setattr(output, "console", lambda: Console(file=sys.stdout, width=30, highlight=False))
    paragraphs = " ".join(shape_dnn(*arguments).out.split())
    for depth, width, size, latency, *_ in figures(wide):
        assert f"depth {depth}; width {width}; size [MB] {size}; latency [ms] {latency}; predicted" in paragraphs


def figures(table: str) -> list[list[str]]:
    """Return depth, width, size, latency, predicted accuracy and its deviation of each row."""
    return [line.split()[:6] for line in table.splitlines() if re.match(r" *\d+ +[\d/]+ ", line)]
