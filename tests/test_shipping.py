"""Searching for what ships: qualities are those of artifacts, judged in the runtime that ships them."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import own
import pytest
import torch
from sshd_fixture import Sshd

from shape_dnn import Shape, UsageError, ask, export, load, measure, tune
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.data import images
from shape_dnn.deploying.judging import Predict, calibrating
from shape_dnn.errors import ExportError, MeterError, TrainingError
from shape_dnn.events import Converted, Event
from shape_dnn.kinds import Target
from shape_dnn.settings import Settings
from shape_dnn.store.facts import Store
from shape_dnn.training.classifier import split

SMALL: dict[str, Any] = {"depth": "10:11:6", "width": "1/4:3/4:1/4", "epochs": 2, "device": "cpu", "goal": "size"}
INT8: dict[str, Any] = {**SMALL, "deploy": "onnxruntime", "option": {"deploy.precision": "int8"}}

RECOMPUTE = """
import sys
import numpy as np
import onnxruntime

assert "torch" not in sys.modules
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
data = np.load(sys.argv[2])
name = session.get_inputs()[0].name
classes = [session.run(None, {name: image[None]})[0].argmax() for image in data["images"]]
print(repr(100 * int((np.array(classes) == data["labels"]).sum()) / len(classes)))
"""
"""The accuracy of a program of ONNX for one image at a time, without torch and without this package."""


def validation() -> Path:
    """Write down the images that shapes were judged on."""
    (directory,) = Path("shape-dnn-study/images").iterdir()
    _, judged = split(directory, "validation", 0.2, 0)
    chosen = judged.copy()
    pixels = chosen.images.astype(np.float32) / np.float32(255)
    np.savez("validation.npz", images=pixels, labels=chosen.labels)
    return Path("validation.npz")


def trained_facts() -> int:
    """Return how many trainings the study holds."""
    store = Store(Path("shape-dnn-study"), create=False)
    try:
        return sum(len(store.trainings(context)) for context in store.contexts("training"))
    finally:
        store.close()


def test_accuracies_are_those_that_the_runtime_comes_to_alone() -> None:
    result = tune(**INT8, train="100%", min_accuracy="10%")
    directory = export("shape-dnn-study")
    data = validation()
    Path("recompute.py").write_text(RECOMPUTE)
    command = [sys.executable, "-I", "recompute.py", directory / "artifact" / "model.onnx", data]
    alone = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    (best,) = [row for row in result.rows() if (row["depth"], row["width"]) == (10, 0.25)]
    card = json.loads((directory / "card.json").read_text())
    assert alone == best["accuracy"] == card["metrics"]["accuracy"]
    shipped, pixels = load(directory, artifact=True), np.load(data)
    logits = shipped(torch.from_numpy(pixels["images"]))
    assert isinstance(logits, torch.Tensor)
    assert 100 * float((logits.argmax(1).numpy() == pixels["labels"]).mean()) == pytest.approx(alone)


def test_what_was_trained_for_something_else_is_judged_and_not_trained_again() -> None:
    events: list[Event] = []
    first = tune(**SMALL, train="100%", min_accuracy="10%")
    shipped = tune(**INT8, train="100%", min_accuracy="10%", notify=events.append)
    again = tune(**INT8, train="100%", min_accuracy="10%")
    assert (first.new_trainings, shipped.new_trainings, again.new_trainings) == (2, 0, 0)
    converted = {event.shape for event in events if isinstance(event, Converted)}
    assert converted == {Shape.parse("10,1/4"), Shape.parse("10,1/2")}
    before = {row["width"]: row["accuracy"] for row in first.rows()}
    assert {row["width"]: row["float_accuracy"] for row in shipped.rows()} == before
    assert shipped.to_dict()["shapes"] == again.to_dict()["shapes"]
    asked = ask("shape-dnn-study", min_accuracy="10%", goal="size").to_dict()
    assert (asked["shapes"], asked["deployment"]) == (shipped.to_dict()["shapes"], shipped.to_dict()["deployment"])
    assert trained_facts() == 4, "of networks and of artifacts"


def test_metrics_of_one_deployment_are_not_told_as_those_of_another() -> None:
    small = {**SMALL, "epochs": 1, "max": "file-size=1MB"}
    in_float, in_int8 = (
        tune(**small, deploy="onnxruntime", option={"deploy.precision": precision}) for precision in ("float32", "int8")
    )
    assert in_float.metrics["file-size"][in_float.best] != in_int8.metrics["file-size"][in_int8.best]
    plain = tune(**{**small, "max": ()})
    assert "file-size" not in plain.metrics, "that of what torch writes was not asked for"
    assert "file-size" not in str(ask("shape-dnn-study", goal="size"))
    again = tune(**{**small, "max": ()}, deploy="onnxruntime", option={"deploy.precision": "int8"})
    assert again.metrics["file-size"] == in_int8.metrics["file-size"], "what is known of the same is known"


def test_what_a_conversion_may_lose_is_said_and_changes_no_fact(shape_dnn: Any) -> None:
    flags = ["--depth", "10:11:6", "--width", "1/4:1/2:1/4", "--epochs", "2", "--device", "cpu"]
    ships = ["--deploy", "onnxruntime", "-o", "deploy.precision=int8", "-o", "deploy.max_drop=0"]
    assert shape_dnn(*flags).status == 0
    store = Store(Path("shape-dnn-study"), create=False)
    shape = Shape.parse("10,1/4")
    with store.database.transaction():
        store.database.execute("UPDATE training SET quality = 100.0")  # as if the network had been far better
    store.close()
    ran = shape_dnn(*flags, *ships)
    assert f"note: the conversion of {shape} loses " in ran.err
    assert "points, more than deploy.max_drop allows" in ran.err
    assert "max_drop allows" not in shape_dnn(*flags, *ships[:-1], "deploy.max_drop=50").err
    assert trained_facts() == 2


def test_the_test_set_is_read_by_what_ships() -> None:
    one = {**INT8, "width": "1/4:1/2:1/4"}
    result = tune(**one)
    assert result.verified
    assert result.answer.test_quality is not None
    shipped = load(export("shape-dnn-study"), artifact=True)
    (directory,) = Path("shape-dnn-study/images").iterdir()
    _, test = images.load(directory)
    logits = shipped(torch.from_numpy(test.images).float() / 255)
    assert isinstance(logits, torch.Tensor)
    correct = int((logits.argmax(1).numpy() == test.labels).sum())
    assert result.answer.test_quality == 100 * correct / len(test)


def test_several_seeds_and_trainings_from_other_weights_ship_as_well() -> None:
    asked = {**INT8, "depth": "10:17:6", "train": 2, "sampler": "interval", "min_accuracy": "5%", "goal": "accuracy"}
    result = tune(**asked, transfer="1/2", seeds=2)
    assert result.verified
    assert result.to_dict() == {**tune(**asked, transfer="1/2", seeds=2).to_dict(), "cost": result.cost}


def test_an_artifact_that_was_changed_is_not_loaded() -> None:
    tune(**{**INT8, "width": "1/4:1/2:1/4"})
    directory = export("shape-dnn-study")
    with (directory / "artifact" / "model.onnx").open("ab") as file:
        file.write(b" ")
    with pytest.raises(ExportError, match=r"model\.onnx' is damaged: its content is not what the card says"):
        load(directory, artifact=True)


def test_a_study_without_the_folder_of_artifacts_says_so_when_one_is_exported() -> None:
    import shutil

    tune(**{**INT8, "width": "1/4:1/2:1/4"})
    shutil.rmtree("shape-dnn-study/artifacts")
    with pytest.raises(ExportError, match="the artifact of .* is gone: .* needs its folder 'artifacts', too"):
        export("shape-dnn-study")


def test_networks_as_torch_runs_them_have_no_artifact_to_export() -> None:
    tune(**{**SMALL, "width": "1/4:1/2:1/4"})
    with pytest.raises(UsageError, match="formats: networks ship as torch runs them, so there is no artifact"):
        export("shape-dnn-study", formats="artifact")
    with pytest.raises(UsageError, match="was exported without an artifact"):
        load(export("shape-dnn-study"), artifact=True)


# Trainings of one's own

QUALITIES = """
def train(shape, run):
    torch.manual_seed(run.seed)
    network = build(shape)
    run.save(network)
    return 0.5 / shape.depth

def calibration(batch_size, run):
    for number in range(64):
        yield torch.linspace(-1, 1, batch_size).unsqueeze(1) + number / 64

def judge(predict, run):
    made = predict(torch.linspace(-1, 1, 10).unsqueeze(1))
    assert made.shape[0] == 10
    return float(made.square().mean())
"""


@pytest.mark.parametrize(
    ("options", "judges"),
    [({}, ""), ({"judge": "true"}, "one"), ({"two.judge": "true"}, "two"), ({"judge": "true", "one.judge": "False"}, "two"),
     ({"judge": "true", "two.judge": "true"}, "two")],
)  # fmt: skip
def test_qualities_are_judged_where_the_user_says(options: dict[str, str], judges: str) -> None:
    settings = {"deploy": "onnxruntime", "target": ["one=ssh://a", "two=ssh://b"]}
    parts = Assembly(Settings.create({**settings, "option": {f"target.{k}": v for k, v in options.items()}}))
    parts.check()
    assert parts.problem.judge == (parts.targets[judges] if judges else Target())


def test_a_trainer_of_ones_own_judges_what_ships() -> None:
    path = own.write(own.BUILD, own.EXAMPLE, QUALITIES)
    asked = {"trainer": str(path), "goal": "loss", "train": "100%", "depth": "1:3:1", "width": "1:2:1"}
    result = tune(
        **asked, deploy="onnxruntime", option={"deploy.precision": "int8", "deploy.calibration": 16}, batch_size=4
    )
    rows = {row["depth"]: row for row in result.rows()}
    assert {depth: row["float_loss"] for depth, row in rows.items()} == {1: 0.5, 2: 0.25}
    network = load(export("shape-dnn-study", trainer=path), artifact=True)
    made = network(torch.linspace(-1, 1, 10).unsqueeze(1))
    assert isinstance(made, torch.Tensor)
    assert result.best is not None
    assert float(made.square().mean()) == pytest.approx(rows[result.best.depth]["loss"])


def test_a_loss_by_conversion_is_told_by_the_range_of_the_quality(shape_dnn: Any) -> None:
    code = (
        QUALITIES.replace("return float(made.square().mean())", "return 0.45")
        + """
QUALITY = Quality("mIoU", better="higher", minimum=0, maximum=1)
"""
    )
    asked = ["--trainer", str(own.write(own.BUILD, own.EXAMPLE, code)), "--goal", "mIoU", "--train", "100%",
             "--depth", "1:2:1", "--width", "1:2:1", "--deploy", "onnxruntime"]  # fmt: skip
    for drop, is_told in (("1", True), ("6", False)):
        ran = shape_dnn(*asked, "-o", f"deploy.max_drop={drop}", "--study", drop)
        assert ran.status == 0, ran.err
        assert ("more than deploy.max_drop allows" in ran.err) == is_told


def test_a_training_that_failed_is_judged_after_it_was_repeated_for_something_else() -> None:
    failing = "def train(shape, run):\n    from pathlib import Path\n    assert not Path(DOWN).exists(), 'no data'\n"
    code = QUALITIES.replace("def train(shape, run):\n", failing).replace("DOWN", repr(str(Path("down").absolute())))
    path = own.write(own.BUILD, own.EXAMPLE, code)
    asked = {"trainer": str(path), "goal": "loss", "train": "100%", "depth": "1:3:1", "width": "1:2:1"}
    Path("down").touch()
    assert len(tune(**asked, deploy="onnxruntime").to_dict()["failed"]) == 2
    Path("down").unlink()
    tune(**asked, retry_failed=True)
    repeated = tune(**asked, deploy="onnxruntime")
    assert repeated.new_trainings == 0
    judged = [training["loss"] for training in repeated.to_dict()["trained"]]
    assert judged == [row["loss"] for row in tune(**asked, deploy="onnxruntime", study="another").rows()]


def test_a_shape_whose_artifact_cannot_be_judged_is_one_without_quality_and_harms_no_other() -> None:
    code = QUALITIES.replace("made = ", "assert len(run.load()) != 4, 'refused'\n    made = ")
    code = code.replace("def judge(predict, run):\n", "def judge(predict, run):\n    open('judged', 'a').write('.')\n")
    asked = {
        "trainer": str(own.write(own.BUILD, own.EXAMPLE, code)), "goal": "loss", "train": "100%", "depth": "1:4:1",
        "width": "1:2:1", "deploy": "onnxruntime",
    }  # fmt: skip
    first = tune(**asked)
    (failed,) = first.to_dict()["failed"]
    assert "judge() failed" in failed["reason"]
    assert len(first.rows()) == 2
    judged = Path("judged").read_text()
    assert tune(**asked).to_dict()["failed"] == [failed]
    assert Path("judged").read_text() == judged, "what failed is not judged again"
    tune(**asked, retry_failed=True)
    assert len(Path("judged").read_text()) == len(judged) + 1, "unless that is wanted"


def test_if_no_artifact_can_be_judged_the_search_ends_and_says_why() -> None:
    code = QUALITIES.replace("made = ", "raise ValueError('no device')\n    made = ")
    path = own.write(own.BUILD, own.EXAMPLE, code)
    with pytest.raises(TrainingError, match="no device"):
        tune(trainer=str(path), goal="loss", depth="1:3:1", width="1:2:1", deploy="onnxruntime")


LOSING = """
from shape_dnn import Outcome, Plugin, hookimpl
from shape_dnn.builtin.executors.local import Local
from shape_dnn.errors import MachineLostError

class Losing(Local):
    times = LOSSES

    def run(self, tasks, workers, report):
        if self.times and any(type(task).__name__ == "TASK" for task in tasks):
            self.times -= 1
            if not self.times:  # all was done, and the machine is lost with the outcome
                list(super().run(tasks, workers, report))
            yield from (Outcome(task, error=MachineLostError("job 31 was preempted", "first")) for task in tasks)
        else:
            yield from super().run(tasks, workers, report)

@hookimpl
def shape_dnn_executors():
    yield Plugin("losing", "loses machines", Losing)
"""


def test_what_is_judged_or_measured_on_a_machine_that_is_lost_is_done_again() -> None:
    asked = {
        "trainer": str(own.write(own.BUILD, own.EXAMPLE, QUALITIES)), "goal": "loss", "train": "100%",
        "depth": "1:3:1", "width": "1:2:1", "deploy": "onnxruntime", "max": "file-size=1MB", "executor": "losing",
    }  # fmt: skip
    for task in ("JudgingTask", "MeasuringTask"):
        Path(f"{task}.py").write_text(LOSING.replace("TASK", task).replace("LOSSES", "3"))
        result = tune(**asked, plugin=f"{task}.py", study=task)
        assert len(result.rows()) == 2, "a lost machine says nothing of a shape"
    Path("lost.py").write_text(LOSING.replace("TASK", "MeasuringTask").replace("LOSSES", "100"))
    with pytest.raises(MeterError, match="measuring file-size by file-size failed: job 31 was preempted"):
        tune(**asked, plugin="lost.py", study="again and again")
    found = measure(["file-size"], trainer=asked["trainer"], depth="1:3:1", width="1:2:1", deploy="onnxruntime",
                    study="again and again")  # fmt: skip
    assert all(values["file-size"].status == "ok" for values in found.values()), "nothing was recorded of it"


PREEMPTED = """
import dataclasses
from shape_dnn import Outcome, Plugin, hookimpl
from shape_dnn.builtin.executors.local import Local
from shape_dnn.errors import MachineLostError

class Preempted(Local):
    def run(self, tasks, workers, report):
        for task in tasks:
            if type(task).__name__ == "MeasuringTask":
                assert task.shapes, "nobody is asked for nothing"
                list(super().run([dataclasses.replace(task, shapes=task.shapes[:1])], workers, report))
                yield Outcome(task, error=MachineLostError("job 31 was preempted", "first"))
            else:
                yield from super().run([task], workers, report)

@hookimpl
def shape_dnn_executors():
    yield Plugin("preempted", "is preempted after every shape", Preempted)
"""


def test_a_machine_that_comes_further_each_time_may_be_lost_any_number_of_times() -> None:
    Path("preempted.py").write_text(PREEMPTED)
    path = own.write(own.BUILD, own.EXAMPLE, QUALITIES)
    found = measure(
        ["file-size"], trainer=str(path), depth="1:7:1", width="1:2:1", deploy="onnxruntime", plugin="preempted.py",
        executor="preempted",
    )  # fmt: skip
    assert [values["file-size"].status for values in found.values()] == ["ok"] * 6


def test_what_ships_is_kept_where_it_belongs_though_the_trainer_changes_the_working_directory() -> None:
    moving = "def calibration(batch_size, run):\n    import os, tempfile\n    os.chdir(tempfile.mkdtemp())\n"
    code = QUALITIES.replace("def calibration(batch_size, run):\n", moving)
    path = own.write(own.BUILD, own.EXAMPLE, code)
    tune(
        trainer=str(path), goal="loss", train="100%", depth="1:2:1", width="1:2:1", deploy="onnxruntime", batch_size=4,
        option={"deploy.precision": "int8", "deploy.calibration": 16},
    )  # fmt: skip
    assert list(Path("shape-dnn-study/artifacts").rglob("*.onnx"))
    assert load(export("shape-dnn-study", trainer=path), artifact=True)(torch.zeros(4, 1)).shape[0] == 4


def test_without_judge_float32_is_as_good_as_the_network_and_anything_else_is_refused() -> None:
    path = own.write(own.BUILD, own.EXAMPLE, QUALITIES.split("def judge", maxsplit=1)[0])
    asked = {"trainer": str(path), "goal": "loss", "train": "100%", "depth": "1:3:1", "width": "1:2:1"}
    assert [row["loss"] for row in tune(**asked, deploy="onnxruntime").rows()] == [0.5, 0.25]
    with pytest.raises(UsageError, match=r"has no judge\(predict, run\), without which nothing ships as float16"):
        tune(**asked, deploy="onnxruntime", option={"deploy.precision": "float16"})
    path = own.write(own.BUILD, own.EXAMPLE, own.TRAIN)
    with pytest.raises(UsageError, match=r"has no calibration\(batch_size, run\), without which nothing ships as int8"):
        tune(**{**asked, "trainer": str(path)}, deploy="onnxruntime", option={"deploy.precision": "int8"})


UNJUDGED = QUALITIES.split("def calibration", maxsplit=1)[0]


def test_without_judge_what_ships_is_exported_all_the_same(tmp_path: Path) -> None:
    path = own.write(own.BUILD, own.EXAMPLE, UNJUDGED)
    result = tune(
        trainer=str(path), goal="file-size", train="100%", depth="1:3:1", width="1:2:1", deploy="onnxruntime",
        batch_size=4,
    )  # fmt: skip
    assert result.best is not None
    directory = export("shape-dnn-study", trainer=path)
    assert {file.name for file in directory.iterdir()} == {
        "artifact", "artifact_example.npz", "artifact_runtime.py", "card.json", "model.safetensors",
    }  # fmt: skip
    shipped, network = load(directory, artifact=True), load(directory, trainer=path)
    given = torch.linspace(-1, 1, 10).unsqueeze(1)
    assert torch.allclose(shipped(given), network(given), atol=1e-6)
    size = sum(file.stat().st_size for file in (directory / "artifact").rglob("*")) / 1e6
    measured = result.metrics["file-size"][result.best]
    assert measured is not None
    assert size == pytest.approx(measured, rel=1e-3)
    card = json.loads((directory / "card.json").read_text())
    assert (card["deployment"]["name"], card["deployment"]["batch_size"]) == ("onnxruntime", 4)
    export("shape-dnn-study", "plain", trainer=path, formats="onnx")
    assert not (Path("plain") / "artifact").exists()
    assert "deployment" not in json.loads((Path("plain") / "card.json").read_text())


DOUBLED = """
import torch
from shape_dnn import Plugin, Trainer, hookimpl

class Doubled(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return 2 * self.network(x)

class Mine(Trainer):
    def build(self, shape):
        return torch.nn.Linear(3, shape.depth)

    def example(self, batch_size):
        return torch.zeros(batch_size, 3)

    def train(self, shape, run):
        run.save(self.build(shape))
        return 50.0

    def ship(self, shape, run):
        return Doubled(super().ship(shape, run)).eval()

@hookimpl
def shape_dnn_trainers():
    yield Plugin("mine", "a trainer", Mine)
"""


def test_without_judge_what_ships_is_as_the_trainer_builds_it_for_that() -> None:
    Path("mine.py").write_text(DOUBLED)
    mine: dict[str, Any] = {"plugin": "mine.py", "trainer": "mine"}
    tune(**mine, depth="2:3:1", width="1:2:1", goal="size", device="cpu", deploy="onnxruntime")
    directory = export("shape-dnn-study", plugin="mine.py")
    given = torch.rand(4, 3)
    shipped, network = load(directory, artifact=True, plugin="mine.py"), load(directory, **mine)
    assert torch.allclose(shipped(given), 2 * network(given), atol=1e-6)


def test_a_last_batch_that_is_not_whole_is_no_part_of_a_calibration() -> None:
    trainer: Any = SimpleNamespace(calibration=lambda size, run: torch.zeros(10, 1).split(size))
    endless: Any = SimpleNamespace(calibration=lambda size, run: itertools.cycle(torch.zeros(10, 1).split(size)))
    uneven: Any = SimpleNamespace(calibration=lambda size, run: itertools.repeat(torch.zeros(3, 1)))
    run: Any = None
    assert [len(batch) for batch in calibrating(trainer, 8, 4, run)] == [4, 4]
    assert [len(batch) for batch in calibrating(endless, 12, 4, run)] == [4, 4, 4]
    with pytest.raises(UsageError, match=r"calibration=12: .* gives 0 examples in whole batches of 4"):
        calibrating(uneven, 12, 4, run)
    with pytest.raises(UsageError, match=r"calibration=9: .* gives 8 examples in whole batches of 4; ask for fewer"):
        calibrating(trainer, 9, 4, run)


@pytest.mark.parametrize("output", [np.float32(1), np.zeros((3, 4), np.float32)])
def test_outputs_that_do_not_count_examples_are_named(output: Any) -> None:
    model: Any = SimpleNamespace(run=lambda arrays: [arrays[0], output])
    predict = Predict(model, torch.zeros(2, 1), lambda: None)
    with pytest.raises(TrainingError, match=r"output 1 of what ships has the shape .* give predict\(\) 2 at a time"):
        predict(torch.zeros(5, 1))
    assert torch.equal(predict(torch.zeros(2, 1))[1], torch.tensor(output)), "nothing need be joined of a whole batch"


def test_inputs_that_are_not_like_the_example_are_named() -> None:
    wrong = QUALITIES.replace("torch.linspace(-1, 1, 10).unsqueeze(1)", "torch.zeros(3, 2)")
    path = own.write(own.BUILD, own.EXAMPLE, wrong)
    asked = {"trainer": str(path), "goal": "loss", "train": "100%", "depth": "1:2:1", "width": "1:2:1"}
    with pytest.raises(Exception, match=r"predict\(\) was given float32 \(3, 2\); what ships takes float32 \(1, 1\)"):
        tune(**asked, deploy="onnxruntime")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"deploy": "onnxruntim"}, "no deployment is called 'onnxruntim'"),
        ({"deploy": "onnxruntime", "option": {"deploy.precision": "int4"}}, "deploy.precision=int4"),
        ({"deploy": "onnxruntime", "option": {"deploy.calibration": 5000, "deploy.precision": "int8"}},
         "deploy.calibration=5000: there are 1150 training images in batches of 1; ask for fewer"),
        ({"target": "pi"}, "'pi' is not a target; accepted are local and ssh"),
        ({"target": "ssh://-oProxyCommand"}, "is not a target"),
        ({"target": "ssh://pi:99999"}, "is not a target"),
        ({"target": ["local", "local"]}, "two targets are called 'local'"),
        ({"target": "a b=local"}, "'a b' cannot be the name of a target"),
        ({"option": {"target.cores": "3-1"}}, "target.cores=3-1 is not accepted"),
        ({"option": {"target.cores": "0,3-2"}}, "target.cores=0,3-2 is not accepted: .* ranges from the lower one"),
        ({"option": {"target.hottest": "hot"}}, "target.hottest=hot is not accepted: it should be degrees Celsius"),
        ({"option": {"target.pi.python": "x"}}, "there is no target 'pi'"),
        ({"option": {"target.colour": "red"}}, "target.colour is not an option of a target"),
        ({"option": {"target.judge": "maybe"}}, "target.judge=maybe is not accepted"),
        ({"target": "pi=local", "option": {"target.pi.judge": "maybe"}}, "target.judge=maybe is not accepted"),
        ({"option": {"target.cores": "0"}}, "target.cores says something of a target, and nothing ships: give --deploy"),
        ({"option": {"target.ssh_config": "x"}}, "target.ssh_config is for targets by ssh"),
    ],
)  # fmt: skip
def test_what_cannot_ship_is_one_clear_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tune(**{**SMALL, "width": "1/4:1/2:1/4", **settings})


def test_nothing_ships_where_a_table_is_looked_up() -> None:
    Path("table.csv").write_text("depth,width,accuracy\n10,1,90\n16,1,92\n")
    with pytest.raises(UsageError, match="deploy: nothing ships where a recorded table is looked up"):
        tune(replay="table.csv", deploy="onnxruntime")


# Targets


def test_a_target_judges_where_that_is_wanted_and_is_part_of_what_determines_the_accuracy(sshd: Sshd) -> None:
    one = {**INT8, "width": "1/4:1/2:1/4", "target": sshd.target}
    there = {"target.python": sys.executable, "target.ssh_config": str(sshd.config)}
    here = tune(**{**one, "option": {**INT8["option"], **there}})
    judged = tune(**{**one, "option": {**INT8["option"], **there, "target.judge": "true"}})
    assert (here.new_trainings, judged.new_trainings) == (1, 0)
    assert here.rows()[0]["accuracy"] == judged.rows()[0]["accuracy"], "it is the same machine after all"
    store = Store(Path("shape-dnn-study"), create=False)
    identities = [store.identity(context) for context in store.contexts("training")]
    store.close()
    places = ["judged_on" in identity["deployment"] for identity in identities if "deployment" in identity]
    assert places == [False, True]
    assert judged.to_dict()["deployment"]["target"] == sshd.target
