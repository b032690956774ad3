"""The whole search on real images: trained, remembered, asked, interrupted, and with shapes that fail."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shape_dnn import MeterError, PluginError, Shape, ask, measure, tune
from shape_dnn.api.new_plugin import example
from shape_dnn.events import Event, Measured, TrainingFinished
from shape_dnn.plugins.table_of_kinds import KINDS

SMALL: dict[str, Any] = {
    "depth": "10:17:6",
    "width": "1/4:3/4:1/4",
    "epochs": 2,
    "device": "cpu",
    "option": {"dataset.limit": 400, "meter.seconds": 0.02},
}
FLAGS = ["--depth", "10:17:6", "--width", "1/4:3/4:1/4", "--epochs", "2", "--device", "cpu", "-o", "dataset.limit=400",
         "-o", "meter.seconds=0.02"]  # fmt: skip


def test_a_search_is_remembered_and_asked(shape_dnn: Callable[..., Any]) -> None:
    events: list[Event] = []
    asked = {**SMALL, "max_latency": "1s", "min_accuracy": "1%", "goal": "size", "train": "100%"}
    first = tune(**asked, notify=events.append)
    answer = first.to_dict()
    assert first.verified
    assert first.best == Shape(10, first.shapes[0].width)
    assert answer["stages"][0] == {"metric": "latency", "limit": "<= 1000", "before": 4, "after": 4}
    assert len(answer["trained"]) == answer["cost"]["new_trainings"] == 4
    assert all(row["latency"] > 0 and row["size"] > 0 and row["energy"] is None for row in answer["shapes"])
    assert 0 < answer["best"]["test_accuracy"] <= 100
    assert sum(isinstance(event, Measured) for event in events) == 4
    assert sum(isinstance(event, TrainingFinished) for event in events) == 4

    events.clear()
    again = tune(**asked, notify=events.append).to_dict()
    assert not any(isinstance(event, Measured | TrainingFinished) for event in events)
    assert again["cost"].pop("new_trainings") == 0
    answer["cost"].pop("new_trainings")
    assert again == answer, "the same command gives the same answer, whoever did the work"

    before = Path("shape-dnn-study/study.sqlite").read_bytes()
    planned = tune(**{**SMALL, "width": "1/4:1:1/4"}, sampler="interval", max={"latency": "1s"}, dry_run=True)
    assert Path("shape-dnn-study/study.sqlite").read_bytes() == before
    planned = tune(**{**SMALL, "width": "1/4:1:1/4"}, sampler="interval", dry_run=True)
    assert (planned.cost["trained"], planned.cost["new_trainings"]) == (6, 2)
    wider = tune(**{**SMALL, "width": "1/4:1:1/4"}, sampler="interval", notify=events.append)
    assert wider.new_trainings == 2, "only what is missing is trained"

    with pytest.warns(UserWarning, match="the study does not know the latency of 2 of 6 shapes"):
        other = ask("shape-dnn-study", max_latency="1s", goal="latency")
    assert other.new_trainings == 0
    assert other.to_dict()["trained"] == []
    assert len(other.shapes) == 4, "two of the six shapes have no measured latency, so nobody knows that they comply"
    assert other.best is not None
    ran = shape_dnn("ask", "shape-dnn-study", "--max-size", "0.05MB", "--goal", "accuracy", "--format", "json")
    assert ran.status == 0
    assert ran.json["trained"] == []
    assert all(row["size"] <= 0.05 for row in ran.json["shapes"])
    assert shape_dnn("ask", "shape-dnn-study", "--max-size", "1B").status == 3

    (row,) = shape_dnn("studies", "--format", "json").json
    assert set(row) == {"path", "state", "measured", "trained", "failed", "updated"}
    assert (row["state"], row["measured"], row["trained"], row["failed"]) == ("done", 4, 6, 0)
    assert "done" in shape_dnn("studies").out


HERE = """
from shape_dnn import Executor, Outcome, Plugin, hookimpl

class Here(Executor):
    def run(self, tasks, workers, report):
        for task in tasks:
            yield Outcome(task, task.run(lambda progress: report(task, progress)))

@hookimpl
def shape_dnn_executors():
    yield Plugin("here", "in this process, which has imported everything already", Here)
"""


def test_everything_that_determines_an_accuracy_makes_it_another_one() -> None:
    Path("here.py").write_text(HERE)
    one = {**SMALL, "width": "1/4:1/2:1/4", "depth": "10:11:6", "plugin": "here.py", "executor": "here"}
    assert tune(**one).new_trainings == 1
    for change in ({"seed": 1}, {"epochs": 1}, {"lr": 0.05}, {"protocol": "paper"}, {"option": ["dataset.limit=300"]}):
        assert tune(**{**one, **change}).new_trainings == 1, change
    assert tune(**{**one, "batch_size": 8, "workers": 1, "sampler": "random", "train": 1}).new_trainings == 0


def test_measure_prints_four_keys_for_each_metric_and_remembers(shape_dnn: Callable[..., Any]) -> None:
    arguments = [*FLAGS[:4], "--device", "cpu", "-o", "meter.seconds=0.02", "--metrics", "size,latency"]
    ran = shape_dnn("measure", *arguments, "--format", "json")
    keys = {f"{name}{part}" for name in ("size", "latency") for part in ("", "_low", "_high", "_status")}
    assert all(set(row) == {"depth", "width"} | keys for row in ran.json)
    assert all(0 < row["latency_low"] <= row["latency"] <= row["latency_high"] for row in ran.json)
    again = shape_dnn("measure", *arguments, "--format", "json")
    assert again.json == ran.json
    assert "latency" not in again.err
    assert len(measure(["latency"], **{k: v for k, v in SMALL.items() if k != "epochs"}, batch_size=2)) == 4
    assert "latency_low" in shape_dnn("measure", *arguments, "--format", "csv").out
    assert " to " in shape_dnn("measure", *arguments).out


TROUBLE = """
import os, signal
from fractions import Fraction
from shape_dnn import Plugin, hookimpl
from shape_dnn.builtin.architectures.wrn import WideResNet

class Trouble(WideResNet):
    def build(self, shape, input_shape, classes):
        import torch
        if shape.depth == 16 and shape.width == Fraction(1, 4):
            os.kill(os.getpid(), signal.SIGKILL)
        if shape.depth == 16:
            raise ValueError("no such network")
        network = super().build(shape, input_shape, classes)
        if shape.width == Fraction(1, 2):
            torch.nn.init.constant_(network.classifier.weight, float("nan"))
        return network

@hookimpl
def shape_dnn_architectures():
    yield Plugin("trouble", "fails in every way", Trouble)
"""


def test_shapes_whose_training_fails_are_recorded_and_the_others_go_on(shape_dnn: Callable[..., Any]) -> None:
    Path("trouble.py").write_text(TROUBLE)
    arguments = [*FLAGS, "--plugin", "trouble.py", "--arch", "trouble", "--format", "json"]
    ran = shape_dnn(*arguments)
    assert ran.status == 0, ran.err
    assert [(t["depth"], t["width"]) for t in ran.json["trained"]] == [(10, 0.25)]
    reasons = {(f["depth"], f["width"]): f["reason"] for f in ran.json["failed"]}
    assert "killed by SIGKILL" in reasons[(16, 0.25)]
    blamed = "architecture 'trouble' of trouble.py failed to build shape (16, 1/2): ValueError: no such network"
    assert reasons[(16, 0.5)] == blamed
    assert "loss became nan" in reasons[(10, 0.5)]
    assert [(s["depth"], s["width"]) for s in ran.json["shapes"]] == [(10, 0.25)]
    assert f"failed: {blamed}" in ran.err
    again = shape_dnn(*arguments)
    assert again.json["cost"]["new_trainings"] == 0, "a failure is a fact too"
    assert again.json["failed"] == ran.json["failed"]
    assert shape_dnn(*arguments, "--retry-failed").json["cost"]["new_trainings"] == 3
    plugin = next(p for p in ran.json["plugins"] if p["name"] == "trouble")
    assert plugin["distribution"] == "trouble.py"


def test_a_search_whose_every_training_fails_says_why(shape_dnn: Callable[..., Any]) -> None:
    Path("trouble.py").write_text(TROUBLE)
    space = ["--depth", "16:17:6", "--width", "1/2:3/4:1/4", "--plugin", "trouble.py", "--arch", "trouble"]
    ran = shape_dnn(*FLAGS[4:], *space)
    assert ran.status == 3
    why = "architecture 'trouble' of trouble.py failed to build shape (16, 1/2): ValueError: no such network"
    assert f"no training succeeded; the first failed because {why}" in ran.error
    ran = shape_dnn(*FLAGS[4:], *space, "--max-size", "1B")
    assert ran.status == 3
    assert "size <= 1e-06 MB dropped the last shape; the closest is (16, 1/2)" in ran.error, "not the trainings"


INTERRUPTING = """
import os, signal
from shape_dnn import Observer, Plugin, hookimpl

class Interrupting(Observer):
    def notify(self, event):
        if type(event).__name__ == "TrainingFinished":
            os.kill(os.getpid(), signal.SIGINT)

@hookimpl
def shape_dnn_observers():
    yield Plugin("interrupting", "does as if somebody pressed Ctrl-C", Interrupting)
"""


def test_a_search_that_is_interrupted_goes_on_where_it_was(
    request: pytest.FixtureRequest, shape_dnn: Callable[..., Any]
) -> None:
    # Started in the background, the tests inherit that interrupts are ignored; the command must not.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    Path("interrupting.py").write_text(INTERRUPTING)
    command = [*FLAGS, "--format", "json", "--workers", "1"]
    ran = shape_dnn(*command, "--plugin", "interrupting.py", "--observer", "interrupting")
    assert ran.status == 130
    assert "interrupted; everything finished is kept" in ran.err
    assert "Traceback" not in ran.err
    done = shape_dnn(*command)
    cost = done.json["cost"]
    assert cost["trained"] == 4
    assert 1 <= cost["new_trainings"] <= 3
    assert sum(line.startswith("trained") for line in done.err.splitlines()) == cost["new_trainings"]


def test_a_meter_that_is_chosen_for_a_metric_nobody_asks_for_measures_nothing() -> None:
    Path("here.py").write_text(HERE)
    settings = {**SMALL, "width": "1/4:1/2:1/4", "depth": "10:11:6", "plugin": "here.py", "executor": "here"}
    events: list[Event] = []
    (row,) = tune(**settings, meter={"latency": "latency"}, notify=events.append).rows()
    assert row["latency"] is None
    assert not any(isinstance(event, Measured) for event in events)


def test_an_observer_follows_the_search() -> None:
    tune(**{**SMALL, "width": "1/4:1/2:1/4"}, observer="jsonl", goal="size")
    events = [json.loads(line) for line in Path("shape-dnn-events.jsonl").read_text().splitlines()]
    assert [e["event"] for e in events if e["event"] != "EpochFinished"] == [
        "SearchStarted", "Chosen", "Chosen", "TrainingsPlanned", "TrainingsPrepared", "TrainingFinished", "TrainingFinished", "Judged",
        "Tested", "SearchFinished",
    ]  # fmt: skip
    assert all(event["time"] <= time.time() for event in events)


IMPATIENT = """
from shape_dnn import Plugin, Terminator, hookimpl

class Impatient(Terminator):
    def should_stop(self, curve, epochs, others):
        return len(curve) == 1 and len(others) >= 1

@hookimpl
def shape_dnn_terminators():
    yield Plugin("impatient", "one finished training is enough", Impatient)
"""


def test_a_training_that_was_stopped_early_has_no_accuracy_and_is_trained_when_nobody_stops_it() -> None:
    Path("here.py").write_text(HERE + IMPATIENT)
    settings = {**SMALL, "plugin": "here.py", "executor": "here"}
    stopped = tune(**settings, terminator="impatient")
    assert len(stopped.shapes) == 1
    assert {f["reason"] for f in stopped.to_dict()["failed"]} == {"stopped by impatient after epoch 1"}
    assert tune(**settings, terminator="impatient").new_trainings == 0
    assert tune(**settings).new_trainings == 3


@pytest.mark.parametrize("body", ["return iter([])", "raise OSError('no cluster')", "return None"])
def test_an_executor_that_does_not_do_its_work_is_named(body: str) -> None:
    Path("lazy.py").write_text(HERE.replace("import torch\n", body + "\n").replace("yield Outcome", "print"))
    with pytest.raises(
        PluginError, match=r"executor 'here' of lazy\.py returned 0 outcomes|executor 'here' of lazy\.py failed"
    ):
        tune(**{**SMALL, "plugin": "lazy.py", "executor": "here"})


TWICE = HERE.replace("            yield Outcome(", "            yield from 2 * [Outcome(").replace(
    "progress)))", "progress)))]"
)


def test_an_executor_that_hands_over_an_outcome_twice_is_named() -> None:
    Path("twice.py").write_text(TWICE)
    with pytest.raises(PluginError, match=r"executor 'here' of twice\.py handed over the outcome of a task twice"):
        tune(**SMALL, plugin="twice.py", executor="here")


def test_a_terminator_that_answers_no_stops_nothing() -> None:
    """A text is true in Python, whatever it says."""
    Path("here.py").write_text(HERE + IMPATIENT.replace("return", 'return "no" if True else'))
    with pytest.raises(
        PluginError, match=r"terminator 'impatient' of here\.py answers 'no'; accepted are True and False"
    ):
        tune(**SMALL, plugin="here.py", executor="here", terminator="impatient")


def test_a_plugin_can_replace_every_part(tmp_path: Path) -> None:
    """The examples of the hook specs, all at once in one file, in one search."""
    Path("everything.py").write_text("".join(example(kind.hook) for kind in KINDS.values()))
    result = tune(
        plugin="everything.py", arch="perceptron", dataset="stripes", sampler="shallow", strategy="root", model="nearest",
        goal="error-times-size", executor="here", terminator="stuck", observer="count", max={"layers": 2}, epochs=2,
        device="cpu", option={"recipe.crop": 0, "recipe.flip": "no"},
    )  # fmt: skip
    assert result.verified
    assert {p["name"] for p in result.plugins if p["distribution"] == "everything.py"} == {
        "perceptron", "stripes", "shallow", "root", "nearest", "error-times-size", "here", "stuck", "count", "layers",
    }  # fmt: skip
    assert all(row["layers"] <= 2 for row in result.rows())


SHUFFLED = (
    HERE
    + """
import random
from shape_dnn import Option

class Shuffled(Here):
    def __init__(self, order):
        self.random = random.Random(order)
    def run(self, tasks, workers, report):
        tasks = list(tasks)
        self.random.shuffle(tasks)
        outcomes = list(super().run(tasks, workers, report))
        self.random.shuffle(outcomes)
        return iter(outcomes)

@hookimpl(specname="shape_dnn_executors")
def shuffled():
    yield Plugin("shuffled", "trains and finishes in any order", Shuffled, {"order": Option(0, "which")})
"""
)


@pytest.mark.parametrize("sampler", ["random", "interval", "wider"])
def test_the_order_in_which_trainings_end_changes_no_decision(sampler: str) -> None:
    Path("shuffled.py").write_text(SHUFFLED)
    answers = []
    for order in range(3):
        options = {**SMALL["option"], "executor.order": order}
        settings = {**SMALL, "option": options, "plugin": "shuffled.py", "executor": "shuffled", "epochs": 1}
        result = tune(**settings, sampler=sampler, train=2, goal="size", min_accuracy="12%", study=str(order))
        answers.append({**result.to_dict(), "report": None})
    assert answers[0] == answers[1] == answers[2]
    assert 2 <= answers[0]["cost"]["trained"] <= 4


def test_the_number_of_workers_changes_nothing_but_the_time() -> None:
    Path("here.py").write_text(HERE)
    one = tune(**SMALL, plugin="here.py", executor="here", study="one", goal="accuracy").to_dict()
    two = tune(**SMALL, workers=2, study="two", goal="accuracy").to_dict()
    assert {**one, "plugins": [], "report": None} == {**two, "plugins": [], "report": None}


def test_lost_weights_cost_the_test_accuracy_and_nothing_else() -> None:
    one = {**SMALL, "width": "1/4:1/2:1/4", "depth": "10:11:6", "goal": "size"}
    first = tune(**{**one, "goal": None}, train=1)
    assert first.new_trainings == 1
    for path in Path("shape-dnn-study/weights").rglob("*.safetensors"):
        path.unlink()
    with pytest.warns(UserWarning, match="the test set could not be read for"):
        result = tune(**one)
    assert result.verified
    assert result.answer.test_quality is None


def test_a_question_about_what_nobody_measured_is_refused() -> None:
    Path("here.py").write_text(HERE)
    tune(**{**SMALL, "width": "1/4:1/2:1/4", "depth": "10:11:6", "plugin": "here.py", "executor": "here"})
    for question in ({"max_latency": "4ms"}, {"goal": "latency"}):
        with pytest.raises(MeterError, match="the study knows the latency of no shape; measure it"):
            ask("shape-dnn-study", **question, plugin="here.py")


def test_a_script_without_the_condition_that_processes_need_is_told_so_and_no_failure_is_remembered() -> None:
    settings = {**SMALL, "depth": "10:11:6", "width": "1/4:1/2:1/4"}
    Path("script.py").write_text(f"from shape_dnn import tune\nresult = tune(**{settings})\n")
    ran = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert 'below `if __name__ == "__main__":`' in ran.stderr.splitlines()[-1]
    result = tune(**settings)
    assert (result.new_trainings, len(result.shapes)) == (1, 1)


def test_a_network_that_is_not_what_its_closed_form_says_is_refused(shape_dnn: Callable[..., Any]) -> None:
    Path("wrong.py").write_text(
        TROUBLE.replace(
            "class Trouble(WideResNet):",
            "class Trouble(WideResNet):\n    def count_values(self, *a):\n        return 7\n",
        )
    )
    ran = shape_dnn(
        *FLAGS[4:], "--depth", "10:11:6", "--width", "1/4:1/2:1/4", "--plugin", "wrong.py", "--arch", "trouble"
    )
    assert ran.status == 4
    assert (
        "architecture 'trouble' of wrong.py built for shape (10, 1/4) a network that stores 5214 values, and its count_values says 7"
        in ran.error
    )


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("return None", "built for shape (10, 1/4) a NoneType instead of a torch.nn.Module"),
        ("return super().build(shape, input_shape, classes + 1)", "a network that stores"),
        (
            "import torch; n = super().build(shape, input_shape, classes); n.forward = lambda x: torch.zeros(2, 3); return n",
            "a network that makes (2, 3) of 2 images instead of logits (2, 10)",
        ),
    ],
)
def test_what_is_no_network_is_refused(shape_dnn: Callable[..., Any], body: str, complaint: str) -> None:
    code = (
        TROUBLE.split("        import torch\n", maxsplit=1)[0]
        + f"        {body}\n\n@hookimpl"
        + TROUBLE.split("@hookimpl")[1]
    )
    Path("wrong.py").write_text(code)
    ran = shape_dnn(
        *FLAGS[4:], "--depth", "10:11:6", "--width", "1/4:1/2:1/4", "--plugin", "wrong.py", "--arch", "trouble"
    )
    assert ran.status == 4
    assert "architecture 'trouble' of wrong.py" in ran.error
    assert complaint in ran.error


@pytest.mark.parametrize(
    ("attribute", "complaint"),
    [
        ("default_depths = None", "architecture 'trouble' of wrong.py failed"),
        ("is_depth = lambda self, depth: 1 / 0", "architecture 'trouble' of wrong.py failed: ZeroDivisionError"),
        ("smallest_image = 'big'", "architecture 'trouble' of wrong.py failed: ValueError"),
        (
            "count_values = lambda self, *a: 3.5",
            "counts 3.5 values for shape (10, 1/4); accepted are whole numbers above 0",
        ),
        ("count_values = lambda self, *a: {}['x']", "architecture 'trouble' of wrong.py failed: KeyError"),
    ],
)
def test_an_architecture_that_breaks_the_rules_is_named(
    shape_dnn: Callable[..., Any], attribute: str, complaint: str
) -> None:
    Path("wrong.py").write_text(TROUBLE.replace("(WideResNet):\n", f"(WideResNet):\n    {attribute}\n"))
    ran = shape_dnn(
        "--width", "1/4:1/2:1/4", "--device", "cpu", "--plugin", "wrong.py", "--arch", "trouble", "--dry-run"
    )
    assert ran.status == 4
    assert complaint in ran.error


def test_a_question_may_change_the_goal_and_its_options() -> None:
    goal = "\nfrom shape_dnn import Goal, Option\nclass Compromise(Goal):\n    metrics = ('size', 'accuracy')\n"
    goal += "    def __init__(self, weight):\n        self.weight = weight\n"
    goal += "    def score(self, values):\n        return self.weight * values['size'] - values['accuracy']\n"
    goal += "@hookimpl\ndef shape_dnn_goals():\n    yield Plugin('compromise', '', Compromise, {'weight': Option(1.0, '')})\n"
    Path("here.py").write_text(HERE + goal)
    options = {**SMALL["option"], "goal.weight": 1000}
    tune(**{**SMALL, "option": options}, plugin="here.py", executor="here", goal="compromise")
    smallest = ask("shape-dnn-study", goal="size", plugin="here.py")
    assert smallest.best == Shape(10, smallest.shapes[0].width)
    asked = ask("shape-dnn-study", goal="compromise", option={"goal.weight": 0}, plugin="here.py")
    assert asked.best is not None


def test_a_question_runs_no_file_that_only_the_study_names(shape_dnn: Callable[..., Any]) -> None:
    Path("trouble.py").write_text(TROUBLE)
    flags = ["--depth", "10:11:6", "--width", "1/4:1/2:1/4", "--device", "cpu", "--epochs", "1", "--arch", "trouble"]
    assert shape_dnn(*flags, "--plugin", "trouble.py").status == 0
    Path("trouble.py").write_text("from pathlib import Path\nPath('executed').touch()\n" + TROUBLE)
    ran = shape_dnn("ask", "shape-dnn-study", "--max-size", "1MB")
    assert ran.status == 2
    assert "--plugin: the study was made with 'trouble.py'; name the files again if you trust them" in ran.error
    assert not Path("executed").exists()
    assert shape_dnn("ask", "shape-dnn-study", "--max-size", "1MB", "--plugin", "trouble.py").status == 0
