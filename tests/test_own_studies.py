"""Trainings of one's own are remembered: killed, interrupted, moved, and asked about, in files and in notebooks."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from own import BUILD, EXAMPLE, SINE, TRAIN, write

from shape_dnn import PluginError, Quality, UsageError, ask, export, measure, record, tune
from shape_dnn.training.fingerprint import fingerprint

FILE = ("--trainer", "my_training.py")
SEARCH = (*FILE, "--train", "2", "--format", "json", "--workers", "1", "--checkpoint-minutes", "0")
LOSS = Quality("loss", better="lower", minimum=0)


def answer(ran: Any) -> Any:
    """What a search comes to, apart from how long it took."""
    found = ran.json
    return {name: found[name] for name in ("trained", "shapes", "best", "stages")}


@contextlib.contextmanager
def started(*arguments: str, pause: float) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "shape_dnn", *arguments]
    environment = {**os.environ, "PAUSE": str(pause)}
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # which a command in the background inherits
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as one:
        signal.signal(signal.SIGINT, before)
        try:
            yield one
        finally:
            one.kill()


def wait_until_epoch(number: int, study: str, running: subprocess.Popen[str]) -> None:
    while not any(str(number) in path.read_text().split() for path in Path(study).rglob("notes.txt")):
        assert running.poll() is None, running.communicate()
        time.sleep(0.02)


def trainings(study: str) -> int:
    return len(list(Path(study, "weights").rglob("*.safetensors")))


def test_killed_in_the_middle_it_goes_on_with_its_own_files_to_the_same_result(shape_dnn: Callable[..., Any]) -> None:
    write(BUILD, SINE)
    with started(*SEARCH, "--study", "killed", pause=0.2) as running:
        wait_until_epoch(4, "killed", running)
        running.kill()
    assert trainings("killed") == 0
    ran = shape_dnn(*SEARCH, "--study", "killed")
    assert ran.status == 0, ran.err
    assert trainings("killed") == 2
    assert answer(ran) == answer(shape_dnn(*SEARCH, "--study", "undisturbed"))
    for weights in Path("killed").rglob("*.safetensors"):
        other = Path("undisturbed", weights.relative_to("killed"))
        assert weights.read_bytes() == other.read_bytes(), "the weights are the same, too"


def test_interrupted_it_saves_and_the_next_command_goes_on(shape_dnn: Callable[..., Any]) -> None:
    write(BUILD, SINE)
    with started(*SEARCH, "--study", "interrupted", pause=0.2) as running:
        wait_until_epoch(4, "interrupted", running)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate()
    assert running.returncode == 130, err
    (notes,) = Path("interrupted").rglob("notes.txt")
    reached = len(notes.read_text().split())
    assert 4 <= reached < 12, "it stopped when report() said so"
    ran = shape_dnn(*SEARCH, "--study", "interrupted")
    assert ran.status == 0, ran.err
    assert answer(ran) == answer(shape_dnn(*SEARCH, "--study", "undisturbed"))


def test_what_a_training_is_made_of_tells_it_from_others_and_where_it_lies_does_not(
    shape_dnn: Callable[..., Any],
) -> None:
    def is_new(*flags: str, trainer: str = "my_training.py") -> bool:
        ran = shape_dnn("--trainer", trainer, "--train", "1", *flags)
        assert ran.status == 0, ran.err
        return "training" in ran.err

    write(TRAIN)
    assert is_new()
    assert not is_new()
    assert not is_new("-o", "trainer.lr=0.5"), "that is its default"
    assert is_new("-o", "trainer.lr=0.25")
    assert not is_new("--lr", "0.25"), "the flag says the same"
    assert is_new("--epochs", "4")
    assert is_new("--seed", "1")
    Path("elsewhere").mkdir()
    shutil.move("my_training.py", "elsewhere")
    assert not is_new(trainer="elsewhere/my_training.py")
    write(TRAIN.replace("/ epoch", "/ epoch ** 2"))
    assert is_new()


def test_a_file_may_import_another_one_beside_it(shape_dnn: Callable[..., Any]) -> None:
    write("from losses_beside import loss\ndef train(shape, run): return loss(shape)\n", name="own/my_training.py")
    Path("own/losses_beside.py").write_text("def loss(shape): return 1 / shape.depth\n")
    ran = shape_dnn("--trainer", "own/my_training.py", "--train", "1")
    assert ran.status == 0, ran.err


def test_a_question_to_a_study_whose_last_search_failed_says_why(shape_dnn: Callable[..., Any]) -> None:
    """The study has trainings, of the file as it was before; that none was made is not true."""
    write(BUILD, TRAIN)
    assert shape_dnn(*SEARCH).status == 0
    write(BUILD, TRAIN.replace("run.report", "run.told"))
    assert shape_dnn(*SEARCH).status != 0
    for question in (["ask", "shape-dnn-study"], ["export", "shape-dnn-study", *FILE]):
        said = shape_dnn(*question, "--goal", "loss")
        assert (
            "no training of its last search succeeded; the first failed because my_training.py: train()" in said.error
        )


def test_a_question_names_the_trainings_that_failed_and_a_count_of_trainings_is_none_of_shapes(
    shape_dnn: Callable[..., Any],
) -> None:
    code = "def train(shape, run):\n    assert shape.depth != 2, 'too deep'\n    return 50.0 + run.seed + shape.depth\n"
    asked = ["--trainer", write(code), "--depth", "1:5:1", "--width", "1:2:1", "--goal", "loss", "--train", "100%"]
    assert "trained 4 of 4 candidates, 4 of them now" in shape_dnn(*asked).out
    assert "trained 4 of 4 candidates, 4 trainings now" in shape_dnn(*asked, "--seeds", 2).out
    (failed,) = shape_dnn("ask", "shape-dnn-study", "--goal", "loss", "--format", "json").json["failed"]
    assert (failed["depth"], failed["reason"].rpartition(": ")[2]) == (2, "too deep")


def test_options_of_the_training_alone_say_nothing_of_what_is_measured() -> None:
    code = BUILD.replace("def build(shape)", "def build(shape, more=0)").replace(
        "4 * shape.width", "4 * shape.width + more"
    )
    path, space = write(code, EXAMPLE, TRAIN), {"depth": "1:3:1", "width": "1:2:1"}

    def latencies(*options: str) -> list[float | None]:
        found = measure(["latency"], trainer=path, option=[f"trainer.{each}" for each in options], **space)
        return [values["latency"].value for values in found.values()]

    first = latencies()
    assert latencies("epochs=7", "lr=0.1") == first, "what was measured is known"
    assert latencies("more=1") != first


def test_two_seeds_are_two_trainings_whose_mean_counts(shape_dnn: Callable[..., Any]) -> None:
    write("def train(shape, run): return 1 + run.seed\n")
    ran = shape_dnn(*FILE, "--train", "2", "--seeds", "2", "--format", "json")
    assert ran.status == 0, ran.err
    assert [row["loss"] for row in ran.json["trained"]] == [1.5, 1.5]


def test_sizes_of_networks_that_cannot_be_built_end_space_as_they_end_a_search(shape_dnn: Callable[..., Any]) -> None:
    write("def build(shape):\n    raise RuntimeError('no such network')\n", SINE)
    problem = r"measuring size: my_training.py failed to build shape \(\d+, \S+\): RuntimeError: no such network"
    for ran in (shape_dnn("space", *FILE), shape_dnn("measure", *FILE, "--metrics", "size")):
        assert ran.status == 4
        assert re.search(problem, ran.error)


def test_everything_else_can_be_asked_of_such_a_study(shape_dnn: Callable[..., Any]) -> None:
    write(BUILD, EXAMPLE, SINE)
    searched = shape_dnn(*SEARCH, "--max-size", "1MB", "--goal", "loss", "--study", "study")
    assert searched.status == 0, searched.out + searched.err
    measured = shape_dnn("measure", *FILE, "--metrics", "size,latency,memory", "--study", "study", "--format", "json")
    assert measured.status == 0, measured.err
    assert all(row["latency"] > 0 and row["memory"] > 0 for row in measured.json)
    listed = shape_dnn("space", *FILE, "--format", "json")
    assert {(row["depth"], row["width"]): row["size"] for row in listed.json} == {
        (row["depth"], row["width"]): row["size"] for row in measured.json
    }
    assert len(shape_dnn("space", *FILE, "--max-size", "300B", "--format", "json").json) < len(listed.json)
    Path("my_training.py").unlink()  # which nobody runs to answer a question
    asked = shape_dnn("ask", "study", "--max-size", "1MB", "--goal", "loss", "--format", "json")
    assert asked.status == 0, asked.err
    assert asked.json["best"]["latency"] > 0, "which was measured meanwhile"
    assert {**asked.json["best"], "latency": None} == searched.json["best"]
    assert asked.json["quality"]["name"] == "loss"
    reported = shape_dnn("report", "study")
    assert reported.status == 0, reported.err
    (study,) = shape_dnn("studies", "--format", "json").json
    assert (study["path"], study["failed"]) == ("study", 0)
    assert study["trained"] >= 2


LAYERS = """
from shape_dnn import Formula, Plugin, hookimpl

class Layers(Formula):
    metric, unit, cost = "layers", "", 0.1
    def compute(self, workload, shapes):
        return [len(workload.build(shape)) for shape in shapes]

@hookimpl
def shape_dnn_meters():
    yield Plugin("layers", "layers of a network", Layers)
"""


def test_a_metric_computed_from_networks_is_remembered_since_questions_have_no_networks(tmp_path: Path) -> None:
    path = write(BUILD, EXAMPLE, SINE)
    plugin = tmp_path / "layers.py"
    plugin.write_text(LAYERS)
    question: dict[str, Any] = {"max": {"layers": 3}, "goal": "loss", "plugin": str(plugin)}
    found = tune(trainer=str(path), study="study", **question).to_dict()
    path.rename("elsewhere.py")
    again = ask("study", **question)
    assert again.to_dict()["shapes"] == found["shapes"]
    assert {row["layers"] for row in again.rows()} == {2, 3}
    Path("elsewhere.py").rename(path)
    card = json.loads((export("study", trainer=str(path), plugin=str(plugin)) / "card.json").read_text())
    assert card["metrics"]["layers"] in {2, 3}
    tune(trainer=str(path), study="other", plugin=str(plugin), goal="loss")
    with pytest.raises(UsageError, match="the study remembers what trainer 'my_training' has done"):
        ask("other", **question)


def test_a_question_about_a_metric_whose_chosen_meter_is_gone_names_the_meter(tmp_path: Path) -> None:
    path, plugin = write(BUILD, TRAIN), tmp_path / "layers.py"
    plugin.write_text(LAYERS.replace('Plugin("layers"', 'Plugin("my-layers"'))
    tune(trainer=str(path), study="study", plugin=str(plugin), meter="layers=my-layers", max={"layers": 3}, goal="loss")
    plugin.write_text(LAYERS)
    with pytest.raises(UsageError, match="meter: no meter is called 'my-layers'"):
        ask("study", max={"layers": 3}, plugin=str(plugin))


def test_a_table_can_be_recorded_and_replayed(shape_dnn: Callable[..., Any]) -> None:
    write(BUILD, TRAIN)
    ran = shape_dnn("record", "losses.csv", *FILE, "--seeds", "1", "--epochs", "2")
    assert ran.status == 0, ran.err
    text = Path("losses.csv").read_text()
    assert "# trainer: my_training, epochs 2, lr 0.5 from file " in text
    assert "--trainer my_training.py --depth 1:4:1" in text
    replayed = shape_dnn("--replay", "losses.csv", "--goal", "loss", "--format", "json")
    assert replayed.status == 0, replayed.err
    best = replayed.json["best"]
    assert (best["depth"], best["width"], best["loss"]) == (3, 2.0, pytest.approx(0.05))


# Functions in Python

SESSION = """
import json, sys
import torch
from torch import nn
from shape_dnn import Quality, tune

FACTOR = {factor}

class Net(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(1, hidden), nn.Linear(hidden, 1))

    def forward(self, x):
        return self.layers(x)

def scaled(loss):
    return FACTOR * loss

def build(shape):
    return Net(4 * shape.depth)

def made(divisor):
    def train(shape, run, epochs=2):
        losses = [scaled(1 / shape.depth / divisor / epoch) for epoch in range(1, epochs + 1)]
        for epoch, loss in enumerate(losses, start=1):
            run.report(epoch, loss)
        run.save(build(shape))
    return train

if __name__ == "__main__":
    result = tune(trainer=made({divisor}), build=build, quality=Quality("loss", better="lower", minimum=0),
                  example=torch.zeros(4, 1), depth="1:4:1", width="1:2:1", goal="loss", study="session")
    print(json.dumps([result.new_trainings, result.to_dict()["best"]["loss"]]))
"""


def session(as_script: bool, factor: float = 1.0, divisor: float = 1.0) -> tuple[int, float]:
    """Search from a script, or as a notebook does, in a process of its own."""
    code = SESSION.format(factor=factor, divisor=divisor)
    Path("script.py").write_text(code)
    Path("notebook.py").write_text(f"exec(compile({code!r}, '<cell>', 'exec'), globals())")
    command = [sys.executable, "script.py" if as_script else "notebook.py"]
    if not as_script:
        command = [sys.executable, "-c", Path("notebook.py").read_text()]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    new, best = json.loads(ran.stdout.splitlines()[-1])
    return new, best


def test_a_program_that_python_reads_from_standard_input_searches_as_one_in_a_file_does() -> None:
    code = SESSION.format(factor=1.0, divisor=1.0)
    ran = subprocess.run([sys.executable, "-"], input=code, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == [3, pytest.approx(1 / 6)]


def test_a_file_whose_name_no_encoding_can_write_is_trained_with_and_reported() -> None:
    directory = Path(os.fsdecode(b"mine\xe9"))
    directory.mkdir()
    file = write(BUILD, TRAIN).rename(directory / "my_training.py")
    result = tune(trainer=str(file), study=str(directory / "study"), goal="loss")
    assert result.report is not None
    assert "mine?/my_training.py" in result.report.read_text(encoding="utf-8")


@pytest.mark.parametrize("as_script", [True, False], ids=["script", "notebook"])
def test_functions_travel_from_where_they_are_and_are_known_again(as_script: bool) -> None:
    assert session(as_script) == (3, pytest.approx(1 / 6))
    assert session(as_script) == (0, pytest.approx(1 / 6)), "another process knows them again"
    assert session(as_script, factor=2.0) == (3, pytest.approx(1 / 3)), "what they refer to is a part of them"
    assert session(as_script, divisor=2.0) == (3, pytest.approx(1 / 12)), "and what they enclose"


def test_functions_of_an_imported_module_are_found_there(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("losses_of_mine.py").write_text("def train(shape, run): return 1 / shape.depth\n")
    monkeypatch.syspath_prepend(".")
    from losses_of_mine import train  # type: ignore[import-not-found]

    found = tune(trainer=train, quality=LOSS, depth="1:4:1", width="1:2:1", goal="loss")
    assert found.new_trainings == 3
    assert tune(trainer=train, quality=LOSS, depth="1:4:1", width="1:2:1", goal="loss").new_trainings == 0


FACTORED = """
FACTOR = 1.0

def scaled(value):
    return FACTOR * value

def train(shape, run):
    return scaled(shape.depth)
"""


@pytest.fixture
def factored(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import a module that trains."""
    Path("factored.py").write_text(FACTORED)
    monkeypatch.syspath_prepend(str(Path.cwd()))
    monkeypatch.delitem(sys.modules, "factored", raising=False)
    return importlib.import_module("factored")


def test_a_variable_of_an_imported_module_that_was_set_from_outside_is_not_what_workers_have(
    factored: ModuleType,
) -> None:
    question: dict[str, Any] = {"depth": "1:4:1", "width": "1:2:1", "goal": "loss"}
    assert tune(trainer=factored.train, quality=LOSS, **question).new_trainings == 3
    vars(factored)["FACTOR"] = 10.0
    with pytest.raises(PluginError, match=r"factored\.FACTOR is 10\.0 where the search runs, and 1\.0 in workers"):
        tune(trainer=factored.train, quality=LOSS, **question)


def test_a_variable_of_another_module_that_a_function_takes_from_there_is_compared_as_well(
    factored: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("settings_of_mine.py").write_text("RATE = 1.0\n")
    Path("factored.py").write_text(
        "import os, settings_of_mine\n\ndef train(shape, run):\n    os.environ\n    return settings_of_mine.RATE\n"
    )
    monkeypatch.delitem(sys.modules, "settings_of_mine", raising=False)
    train = importlib.reload(factored).train
    question: dict[str, Any] = {"depth": "1:4:1", "width": "1:2:1", "goal": "loss"}
    assert tune(trainer=train, quality=LOSS, **question).new_trainings == 3
    assert tune(trainer=train, quality=LOSS, **question).new_trainings == 0
    vars(sys.modules["settings_of_mine"])["RATE"] = 5.0
    with pytest.raises(PluginError, match=r"settings_of_mine\.RATE is 5\.0 where the search runs, and 1\.0 in workers"):
        tune(trainer=train, quality=LOSS, **question)


@pytest.mark.parametrize("edited", [FACTORED.replace("FACTOR * value", "FACTOR / value + 0"), "\n" + FACTORED, "def"])
def test_a_module_whose_file_was_changed_after_it_was_imported_is_refused(factored: ModuleType, edited: str) -> None:
    Path("factored.py").write_text(edited)
    with pytest.raises(UsageError, match=r"factored\.py was changed after factored was imported .*reload"):
        tune(trainer=factored.train, quality=LOSS, depth="1:4:1", width="1:2:1", goal="loss")
    if edited != "def":
        found = tune(trainer=importlib.reload(factored).train, quality=LOSS, depth="1:4:1", width="1:2:1", goal="loss")
        assert found.new_trainings == 3


def test_paths_of_an_imported_module_may_be_others_where_a_training_runs(factored: ModuleType) -> None:
    Path("placed.py").write_text(
        "HOME = '/here'\n\ndef train(shape, run):\n    return float(bool(HOME and __file__))\n"
    )
    placed = importlib.import_module("placed")
    vars(placed).update(HOME="/there", __file__="elsewhere")
    assert tune(trainer=placed.train, quality=LOSS, depth="1:4:1", width="1:2:1", goal="loss").new_trainings == 3


def test_a_changed_constant_of_an_imported_module_is_refused_until_it_is_reloaded(factored: ModuleType) -> None:
    # Of another length: Python takes a file of the same second and length for the one that it has compiled.
    Path("factored.py").write_text(FACTORED.replace("1.0", "7.00"))
    with pytest.raises(PluginError, match=r"factored\.FACTOR is 1\.0 where the search runs, and 7\.0 in workers"):
        tune(trainer=factored.train, quality=LOSS, depth="1:4:1", width="1:2:1", goal="loss")


def test_functions_are_measured_and_recorded_as_well() -> None:
    import torch

    def build(shape: Any) -> torch.nn.Module:
        return torch.nn.Linear(9, shape.depth, bias=False)

    def train(shape: Any, run: Any) -> float:
        return 1 / shape.depth

    given: dict[str, Any] = {"trainer": train, "build": build, "quality": LOSS, "depth": "1:3:1", "width": "1:2:1"}
    assert [found["size"].value for found in measure(["size"], **given).values()] == [36e-6, 72e-6]
    with pytest.raises(UsageError, match="function .*train has no example"):
        measure(["latency"], **given)
    assert len(record("table.csv", seeds=1, **given).path.read_text().splitlines()) > 2
    assert tune(**given, goal="loss").new_trainings == 0, "these are the trainings that were recorded"
    with pytest.raises(UsageError, match="build goes with a function, and trainer is None"):
        measure(["size"], build=build)


@pytest.mark.parametrize("event", ["EpochFinished", "TrainingFinished"])
def test_what_a_callback_raises_ends_the_search_and_is_laid_to_nobody_else(event: str) -> None:
    class Enough(Exception):
        pass

    def tell(told: object) -> None:
        if type(told).__name__ == event:
            raise Enough

    with pytest.raises(Enough):
        tune(trainer=str(write(BUILD, TRAIN)), goal="loss", notify=tell)


def test_what_cannot_travel_or_does_not_belong_is_refused() -> None:
    import threading

    lock = threading.Lock()

    def train(shape: Any, run: Any) -> float:
        with lock:
            return 1.0

    with pytest.raises(UsageError, match=r"trainer: function .*train cannot be sent to other processes: TypeError: "):
        tune(trainer=train, depth="1:4:1", width="1:2:1")
    with pytest.raises(UsageError, match="build goes with a function, and trainer is 'my_training.py'"):
        tune(trainer="my_training.py", build=train, depth="1:4:1", width="1:2:1")
    with pytest.raises(UsageError, match="has a QUALITY that is 'loss', not a shape_dnn.Quality"):
        tune(trainer=lambda shape, run: 1.0, quality="loss", depth="1:4:1", width="1:2:1")  # type: ignore[arg-type]


def test_functions_are_the_same_if_all_they_refer_to_is_the_same() -> None:
    def made(code: str, **names: object) -> str:
        namespace: dict[str, Any] = {"__name__": "cell", **names}
        exec(code, namespace)  # noqa: S102
        return fingerprint({"train": namespace["train"]}, {"cell"})

    code = "def helper(x):\n    return [x * f for f in FACTORS]\ndef train(shape, run):\n    return sum(helper(1))\n"
    first = made(code, FACTORS=[1, 2], unused=1)
    assert first == made(code, FACTORS=[1, 2], unused=2)
    assert first != made(code, FACTORS=[1, 3])
    assert first != made(code.replace("x * f", "x + f"), FACTORS=[1, 2])
    nets = (
        "class Net:\n    layers = {0}\n    def forward(self): return self.layers\ndef train(shape, run): return Net()\n"
    )
    assert made(nets.format(1)) == made(nets.format(1)) != made(nets.format(2))
    loops = "def train(shape, run): return other\ndef other(): return train\n"
    assert made(loops) == made(loops)
    again = (
        "def mae(): return 1\ndef mse(): return 2\nmetric = {0}\ndef train(shape, run): return mae(), mse(), metric()\n"
    )
    assert made(again.format("mae")) != made(again.format("mse")), "which of those that were met it is"
    wrapped = (
        "import functools\ndef times(f):\n    @functools.wraps(f)\n    def inner(): return {0} * f()\n    return inner\n"
        "@times\ndef score(): return 1\ndef train(shape, run): return score()\n"
    )
    assert made(wrapped.format(2)) == made(wrapped.format(2)) != made(wrapped.format(3))
    cached = "import functools\n@functools.cache\ndef table(): return {0}\ndef train(shape, run): return table()\n"
    assert made(cached.format(2)) == made(cached.format(2)) != made(cached.format(3))
    scaled = "def train(shape, run): return train.scale\ntrain.scale = {0}\n"
    assert made(scaled.format(2.0)) == made(scaled.format(2.0)) != made(scaled.format(3.0))
    setters = (
        "import functools\nclass Rate:\n    @property\n    def rate(self): return self._rate\n    @rate.setter\n"
        "    def rate(self, value): self._rate = {0} * value\n    @functools.cached_property\n    def twice(self): return {1}\n"
        "def train(shape, run): return Rate()\n"
    )
    assert made(setters.format(1, 2)) == made(setters.format(1, 2))
    assert len({made(setters.format(*numbers)) for numbers in ((1, 2), (3, 2), (1, 3))}) == 3
    listed = "class Layers(list): pass\nLAYERS = Layers([1])\nLAYERS.rate = {0}\ndef train(shape, run): return LAYERS\n"
    assert made(listed.format(1)) == made(listed.format(1)) != made(listed.format(2))
    slotted = (
        "from typing import NamedTuple\nclass Pair(NamedTuple):\n    a: int = 1\n    def both(self): return {0}\n"
        "class Rate:\n    __slots__ = ('rate',)\n    def twice(self): return {1}\n"
        "PAIR, RATE = Pair(), Rate()\nRATE.rate = {2}\ndef train(shape, run): return PAIR, RATE\n"
    )
    assert made(slotted.format(1, 2, 3)) == made(slotted.format(1, 2, 3))
    assert len({made(slotted.format(*each)) for each in ((1, 2, 3), (4, 2, 3), (1, 4, 3), (1, 2, 4))}) == 4
    words = "def train(shape, run): return shape in {'a', 'b', 'c'} and NAMES\n"
    assert made(words, NAMES={"x", "y"}) == made(words, NAMES={"y", "x"})


def test_functions_of_one_line_are_told_apart() -> None:
    one, two = (lambda shape, run: 1.0), (lambda shape, run: 2.0)
    assert fingerprint({"train": one}, {__name__}) == fingerprint({"train": one}, {__name__})
    assert fingerprint({"train": one}, {__name__}) != fingerprint({"train": two}, {__name__})
