"""What the documentation says is run: Python as it stands, commands as far as their flags."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hook_examples import example

from shape_dnn.plugins import KINDS, Registry
from shape_dnn.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[tuple[str, str]]:
    fence = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return [(page.name, text) for page in PAGES for text in fence.findall(page.read_text())]


@pytest.mark.parametrize(("page", "code"), blocks("python"))
def test_python_in_the_documentation_runs(page: str, code: str) -> None:
    exec(compile(code, page, "exec"), {"__name__": "__main__"})  # noqa: S102


COMMANDS = [
    line.strip().removeprefix("# search.yaml: ").rpartition("&& ")[2].removeprefix(".venv/bin/")
    for language in ("sh", "console", "yaml")
    for _, text in blocks(language)
    for line in text.replace("$ ", "").splitlines()
    if re.search(r"(^|/|: )shape-dnn ", line)
]


@pytest.mark.parametrize("line", sorted(set(COMMANDS)))
def test_commands_in_the_documentation_have_flags_that_exist(line: str, shape_dnn: Callable[..., Any]) -> None:
    _, *arguments = shlex.split(line)
    Path("search.yaml").write_text(next(text for _, text in blocks("yaml")))
    ran = shape_dnn(*arguments, "--print-config" if arguments[0].startswith("-") else "--help")
    assert ran.status == 0, ran.err


@pytest.mark.parametrize(("page", "text"), blocks("yaml"))
def test_yaml_in_the_documentation_is_accepted(page: str, text: str) -> None:
    values = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - makes text only
    assert Settings.create(values)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_hook_has_an_example_that_works_alone(kind: Any) -> None:
    Path("example.py").write_text(example(kind.hook))
    registry = Registry([Path("example.py")])
    (entry,) = [e for e in registry.entries() if e.source.distribution == "example.py"]
    assert entry.kind == kind.name
    assert isinstance(registry.load(kind.name, entry.name).instance, kind.base)
    guide = (ROOT / "docs" / "plugins.md").read_text()
    assert f"shape_dnn.hookspecs.{kind.hook}" in guide, "the guide shows it"


def test_the_sampler_of_the_guide_works_as_a_file(shape_dnn: Callable[..., Any], table: Path) -> None:
    page, code = next((page, code) for page, code in blocks("python") if "corners" in code)
    assert page == "plugins.md"
    Path("corners.py").write_text(code)
    ran = shape_dnn(
        "--plugin", "corners.py", "--sampler", "corners", "-o", "sampler.ends=3", "--replay", table, "--format", "json"
    )
    shapes = [(row["depth"], row["width"]) for row in ran.json["trained"]]
    assert shapes[:3] == [(10, 1), (16, 1), (22, 1)]
    assert shapes[-1] == (58, 5) or (58, 5) in shapes


def test_the_table_of_rooms_is_true() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`(\w+\.py)`", text)) | set(re.findall(r"`\w+/(\w+\.py)`", text))
    there = {path.name for path in (ROOT / "shape_dnn").rglob("*.py")}
    assert named <= there
    top = {path.name for path in (ROOT / "shape_dnn").glob("[a-z]*.py")}
    assert top <= named, "every file of the package has its line"
