"""What the documentation says is run: Python as it stands, commands as far as their flags."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from shape_dnn import tune
from shape_dnn.api.new_plugin import example
from shape_dnn.plugins.registry import Registry
from shape_dnn.plugins.table_of_kinds import KINDS
from shape_dnn.settings import Settings

ROOT = Path(__file__).parents[1]
TABLES = ROOT / "plugins" / "shape-dnn-tables" / "shape_dnn_tables"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
KIND_PAGES = {
    kind.name: ROOT / "docs" / "plugins" / f"{kind.hook.removeprefix('shape_dnn_')}.md" for kind in KINDS.values()
}


def blocks(language: str) -> list[tuple[str, str]]:
    fence = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return [(page.name, text) for page in PAGES for text in fence.findall(page.read_text())]


def is_test(code: str) -> bool:
    return code.startswith("import pytest\n")


@pytest.mark.parametrize(
    ("page", "code"),
    [(page, code) for page, code in blocks("python") if page != "tutorial.md" and not is_test(code)],
)
def test_python_in_the_documentation_runs(page: str, code: str) -> None:
    exec(compile(code, page, "exec"), {"__name__": "__main__"})  # noqa: S102


def test_the_tutorial_can_be_followed_to_its_end(shape_dnn: Callable[..., Any]) -> None:
    """With fewer and smaller networks, for an epoch."""
    photographs, inference = [code for page, code in blocks("python") if page == "tutorial.md"]
    exec(compile(photographs.replace("range(300)", "range(20)"), "tutorial.md", "exec"))  # noqa: S102
    (search,) = [text for page, text in blocks("text") if page == "tutorial.md"]
    _, *arguments = shlex.split(search.splitlines()[0].removeprefix("$ "))
    searched = shape_dnn(*arguments, "--depth", "10:11:6", "--width", "1/4:3/4:1/4", "--epochs", "1", "--device", "cpu",
                         "--max-latency", "1s")  # fmt: skip
    assert searched.status == 0, searched.err
    for line in [line for line in COMMANDS if line.startswith(("shape-dnn ask tiles", "shape-dnn export tiles"))]:
        ran = shape_dnn(*shlex.split(line.replace("80%", "1%").replace("2ms", "1s"))[1:])
        assert ran.status == 0, ran.err
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(inference, "tutorial.md", "exec"))  # noqa: S102
    assert printed.getvalue().strip() in ("china left", "china right", "flower left", "flower right")


def test_the_answer_of_the_tutorial_is_what_a_search_of_its_trainings_finds(shape_dnn: Callable[..., Any]) -> None:
    """But for the test accuracy, which a table does not have."""
    (search,) = [text for page, text in blocks("text") if page == "tutorial.md"]
    command, _, *lines, _ = re.sub(r", test accuracy \S+ %", "", search).splitlines()
    limit, goal = re.findall(r"--max-latency (\S+) --goal (\S+)", command)[0]
    table = ROOT / "docs" / "charted" / "tiles.csv"
    ran = shape_dnn("--replay", table, "--max-latency", limit, "--goal", goal)
    assert len(lines) > 5
    assert [line for line in lines if line != "…" and line not in ran.out] == []


def test_the_worked_example_of_the_search_is_what_a_search_does(shape_dnn: Callable[..., Any]) -> None:
    page = (ROOT / "docs" / "algorithm.md").read_text()
    (example,) = [text for name, text in blocks("text") if name == "algorithm.md"]
    command, *lines = example.splitlines()
    arguments = shlex.split(command.removeprefix("$ shape-dnn ").replace("wrn-digits", str(TABLES / "wrn-digits.csv")))
    ran = shape_dnn(*arguments, "--observer", "jsonl", "-o", "observer.path=events.jsonl")
    assert len(lines) > 5
    assert [line for line in lines if line != "..." and line not in ran.out] == []
    events = [json.loads(line) for line in Path("events.jsonl").read_text().splitlines()]
    told = [(event["trained"], f"{100 * event['doubt']:.1f} %") for event in events if event["event"] == "Judged"]
    assert re.findall(r"^\| (\d+) \| .* \| \(10, 3/4\) \| (.*) \|$", page, re.MULTILINE) == [
        (str(trained), doubt) for trained, doubt in told
    ]
    trained = events[-1]["result"]["trained"]
    shown = re.findall(
        r"\((\d+), ([\d/]+)\) (\d\d\.\d\d) %", page[page.index("| trainings |") : page.index("Is it right?")]
    )
    assert [(int(depth), float(Fraction(width)), float(accuracy)) for depth, width, accuracy in shown] == [
        (shape["depth"], shape["width"], round(shape["accuracy"], 2)) for shape in trained
    ]


def test_the_picture_of_the_search_is_current() -> None:
    drawn = subprocess.run(
        [sys.executable, "-c", "import search_steps; print(search_steps.draw(), end='')"],
        cwd=ROOT / "docs", capture_output=True, text=True, check=True,
    )  # fmt: skip
    picture = ROOT / "docs" / "pictures" / "search-steps.svg"
    assert drawn.stdout == picture.read_text(encoding="utf-8"), "python docs/search_steps.py draws it anew"


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


def test_a_search_that_moves_from_machine_to_machine_is_one_search(shape_dnn: Callable[..., Any]) -> None:
    """What the page shows of a cluster is held against what the same command does here."""
    moves = [text for page, text in blocks("console") if page == "slurm.md"]
    commands = [shlex.split(text.splitlines()[0].removeprefix("$ ")) for text in moves]
    here, on_slurm, on_ray = commands
    assert [word for word in here if word not in on_slurm] == [word for word in here if word not in on_ray] == []
    shown = [re.findall(r"^trained +\d+/\d+ \((\d+), (.*)\) +([\d.]+) %", text, re.MULTILINE) for text in moves]
    known = [re.search(r"; (\d+) known from before", text) for text in moves]
    assert [0 if found is None else int(found[1]) for found in known] == [0, len(shown[0]), len(shown[0] + shown[1])]
    told = [training for each in shown for training in each]
    trained = {(depth, width): accuracy for depth, width, accuracy in told}
    assert len(trained) == len(told)
    row = re.compile(r"^ +(\d+) +([\d/]+) +([\d.]+) +[\d.]+ +[\d.]+ +([\d.]+) +yes", re.MULTILINE)
    assert trained == {(depth, width): accuracy for depth, width, _, accuracy in row.findall(moves[-1])}
    ran = shape_dnn(*here[1:])
    assert ran.status == 0, ran.err
    sizes = [[shape[:3] for shape in row.findall(text)] for text in (ran.out, moves[-1])]
    assert sizes[0] == sizes[1] != []


REPLAYS = [text for page, text in blocks("console") if page in ("concepts.md", "recipes.md") and "--replay" in text]


@pytest.mark.parametrize("text", REPLAYS, ids=lambda text: text.splitlines()[0])
def test_what_a_page_says_of_a_recorded_table_is_what_comes_out(text: str, shape_dnn: Callable[..., Any]) -> None:
    """The best shape with its accuracy, the number of trainings, and the rows of a table."""
    command, *shown = text.splitlines()
    ran = shape_dnn(*shlex.split(command)[2:], "--format", "json")
    assert ran.status == 0, ran.err
    rows = {(row["depth"], row["width"]): row for row in ran.json["shapes"]}
    for line in shown:
        if best := re.match(r"best: depth (\d+), width (\S+); trained accuracy (\S+) %", line):
            found = ran.json["best"]
            assert (found["depth"], found["width"]) == (int(best[1]), float(Fraction(best[2])))
            assert f"{found['accuracy']:.2f}" == best[3]
        elif cost := re.match(r"trained (\d+) of (\d+) candidates", line):
            assert (ran.json["cost"]["trained"], ran.json["cost"]["candidates"]) == (int(cost[1]), int(cost[2]))
        elif row := re.match(r" +(\d+) +(\S+) +(\S+) +\S+ +\S+ +(\S+)", line):
            found = rows[int(row[1]), float(Fraction(row[2]))]
            assert (f"{found['size']:.4g}", f"{found['accuracy']:.2f}") == (row[3], row[4])


@pytest.mark.parametrize(("page", "text"), blocks("yaml"))
def test_yaml_in_the_documentation_is_accepted(page: str, text: str) -> None:
    values = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - makes text only
    assert Settings.create(values)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_hook_has_an_example_that_works_alone(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytest", None)
    Path("example.py").write_text(example(kind.hook))
    registry = Registry([Path("example.py")])
    (entry,) = [e for e in registry.entries() if e.source.distribution == "example.py"]
    assert entry.kind == kind.name
    assert isinstance(registry.load(kind.name, entry.name).instance, kind.base)
    guide = KIND_PAGES[kind.name].read_text()
    assert f"shape_dnn.hookspecs.{kind.hook}" in guide, "the guide shows it"


def examples_of(page: Path) -> dict[str, str]:
    """Return the plugin files of a page by the names that it uses."""
    text = page.read_text()
    code = [code for name, code in blocks("python") if name == page.name and "@hookimpl" in code]
    return dict(zip(dict.fromkeys(re.findall(r"--plugin (\w+\.py)", text)), code, strict=True))


def the_code_of(page: Path) -> str:
    return next(iter(examples_of(page).values()))


def test_the_example_of_every_kind_keeps_to_its_contract() -> None:
    tests = [code for page, code in blocks("python") if page in {page.name for page in KIND_PAGES.values()}]
    tests = [code for code in tests if is_test(code)]
    assert len(tests) == len(KINDS) + 2, "the page of meters has a formula, an instrument and a timer"
    for page in KIND_PAGES.values():
        for file, code in examples_of(page).items():
            Path(file).write_text(code)
            assert f"`test_{file}`" in page.read_text()
    write_the_table_of_the_guide()
    for code in tests:
        file = re.findall(r"^from (\w+) import", code, re.MULTILINE)[0]
        Path(f"test_{file}.py").write_text(code)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    assert f" checks of {len(tests)} plugins ran" in ran.stdout


@pytest.mark.parametrize("page", KIND_PAGES.values(), ids=KIND_PAGES)
def test_an_example_needs_no_pytest(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytest", None)
    monkeypatch.delitem(sys.modules, "shape_dnn.testing")
    for file, code in examples_of(page).items():
        Path(file).write_text(code)
        registry = Registry([Path(file)])
        (entry,) = [e for e in registry.entries() if e.source.distribution == file]
        assert (entry.state, entry.reason) == ("ok", "")
        assert registry.load(entry.kind, entry.name).instance


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_the_example_of_every_kind_works_as_a_file_under_the_name_that_its_page_uses(kind: Any) -> None:
    page = KIND_PAGES[kind.name]
    file = re.findall(r"--plugin (\w+\.py)", page.read_text())[0]
    Path(file).write_text(the_code_of(page))
    (entry,) = [e for e in Registry([Path(file)]).entries() if e.source.distribution == file]
    assert entry.kind == kind.name
    used = rf"--{kind.flag} {entry.name}\b" if kind.name != "meter" else rf"--max {entry.name}="
    assert re.search(used, page.read_text()), "the page shows how it is used"


def test_the_examples_of_all_kinds_work_together() -> None:
    names = {}
    for kind, page in KIND_PAGES.items():
        Path(f"{kind}.py").write_text(the_code_of(page))
        (entry,) = [e for e in Registry([Path(f"{kind}.py")]).entries() if e.source.is_file]
        names[KINDS[kind].flag] = entry.name
    metric, _, trainer = names.pop("meter"), names.pop("replay"), names.pop("trainer")
    result = tune(
        **names, plugin=[f"{kind}.py" for kind in KIND_PAGES], max={metric: 1000}, depth="2:4:1", width="1/8:3/8:1/8",
        epochs=1, device="cpu",
    )  # fmt: skip
    assert result.verified
    assert len(Path("diary.txt").read_text().splitlines()) == result.new_trainings
    for of_accuracy in ("arch", "dataset", "goal"):
        del names[of_accuracy]
    files = [f"{kind}.py" for kind in KIND_PAGES]
    result = tune(**names, trainer=trainer, goal="loss", plugin=files, device="cpu")
    assert result.verified


def test_the_file_of_ones_own_training_is_searched_as_its_page_says(shape_dnn: Callable[..., Any]) -> None:
    page = ROOT / "docs" / "trainers.md"
    code = next(code for _, code in blocks("python") if "my_training.py: fit a sine" in code)
    assert code in page.read_text()
    Path("my_training.py").write_text(code)
    lines = [line for line in COMMANDS if line.startswith("shape-dnn --trainer my_training.py")]
    assert len(lines) == 2
    for line in lines:
        ran = shape_dnn(*shlex.split(line)[1:], "--format", "json", "--device", "cpu")
        assert ran.status == 0, ran.err
        assert ran.json["quality"]["name"] == "loss"
        assert ran.json["best"]["loss"] < 0.5


def test_the_sampler_of_the_guide_works_as_a_file(shape_dnn: Callable[..., Any], table: Path) -> None:
    page, code = next((page, code) for page, code in blocks("python") if "class Corners" in code)
    assert page == "samplers.md"
    Path("corners.py").write_text(code)
    ran = shape_dnn(
        "--plugin", "corners.py", "--sampler", "corners", "-o", "sampler.ends=3", "--replay", table, "--format", "json"
    )
    shapes = [(row["depth"], row["width"]) for row in ran.json["trained"]]
    assert shapes[:3] == [(10, 1), (16, 1), (22, 1)]
    assert shapes[-1] == (58, 5) or (58, 5) in shapes


def write_the_table_of_the_guide() -> None:
    (text,) = [text for page, text in blocks("text") if page == KIND_PAGES["table"].name]
    assert "`perceptrons.csv`" in KIND_PAGES["table"].read_text()
    Path("perceptrons.csv").write_text(text)


def test_the_table_of_the_guide_is_replayed_by_its_name(shape_dnn: Callable[..., Any]) -> None:
    page = KIND_PAGES["table"]
    Path("perceptrons.py").write_text(the_code_of(page))
    write_the_table_of_the_guide()
    lines = [line for line in COMMANDS if "perceptrons.py" in line]
    assert len(lines) == 2
    for line in lines:
        ran = shape_dnn(*shlex.split(line)[1:])
        assert ran.status == 0, ran.err
        assert "trained" in ran.out


def test_the_table_of_rooms_is_true() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    package = ROOT / "shape_dnn"
    named = set(re.findall(r"`(?:\w+/)*(\w+\.py)`", text))
    assert named <= {path.name for path in package.rglob("*.py")}
    for path in re.findall(r"`((?:\w+/)+\w+\.py)`", text):
        assert (package / path).is_file(), path
    assert {path.name for path in package.glob("[a-z]*.py")} <= named, "every file on top has its line"
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    assert rooms == set(re.findall(r"^\| `(\w+)/`", text, re.MULTILINE)), "every room has its line"
