"""Every built-in plugin keeps to the contract of its kind; contracts find out those that do not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from test_datasets import write_batch, write_imagenet32, write_mnist

from shape_dnn import testing
from shape_dnn.builtin.datasets.cifar import Cifar10, Cifar100
from shape_dnn.plugins import KINDS, Registry
from shape_dnn.testing import (
    AccuracyModelContract,
    ArchitectureContract,
    Contract,
    DatasetContract,
    ExecutorContract,
    GoalContract,
    ObserverContract,
    SamplerContract,
    StrategyContract,
    TerminatorContract,
)


class TestWideResNet(ArchitectureContract):
    name = "wrn"


class TestWideResNetWithTheOriginalStem(ArchitectureContract):
    name, options = "wrn", {"stem": "16"}


class TestDigits(DatasetContract):
    name = "digits"


class FilesContract(DatasetContract):
    options = {"data_dir": "data"}


class TestMnist(FilesContract):
    name = "mnist"

    @pytest.fixture(autouse=True)
    def files(self) -> None:
        write_mnist(Path("data"))


class TestFashionMnist(TestMnist):
    name = "fashion-mnist"


class TestReducedMnist(TestMnist):
    options = {"data_dir": "data", "size": "14"}


class TestCifar10(FilesContract):
    name = "cifar10"

    @pytest.fixture(autouse=True)
    def files(self) -> None:
        for (name,) in Cifar10.required:
            write_batch(Path("data", name), 10, "labels")


class TestCifar100(FilesContract):
    name = "cifar100"

    @pytest.fixture(autouse=True)
    def files(self) -> None:
        for (name,) in Cifar100.required:
            write_batch(Path("data", name), 100, "fine_labels", number=200)


class TestImageNet32(FilesContract):
    name = "imagenet32"

    @pytest.fixture(autouse=True)
    def files(self) -> None:
        write_imagenet32(Path("data"))


class TestFolder(FilesContract):
    name, options = "folder", {"data_dir": "data", "size": 8}

    @pytest.fixture(autouse=True)
    def files(self) -> None:
        from PIL import Image

        for label in ("a", "b", "c"):
            Path("data", label).mkdir(parents=True)
            for number in range(12):
                Image.new("RGB", (9, 7), (number, 2 * number, 3)).save(Path("data", label, f"{number}.png"))


class TestDOptimal(SamplerContract):
    name = "d-optimal"


class TestCheapDOptimal(SamplerContract):
    name = "cheap-d-optimal"


class TestActive(SamplerContract):
    name = "active"


class TestInterval(SamplerContract):
    name = "interval"


class TestRandom(SamplerContract):
    name = "random"


class TestWider(SamplerContract):
    name = "wider"


class TestThorough(StrategyContract):
    name = "thorough"


class TestStandard(StrategyContract):
    name = "standard"


class TestOptimistic(StrategyContract):
    name = "optimistic"


class TestExhaustive(StrategyContract):
    name = "exhaustive"


class TestPaper(AccuracyModelContract):
    name = "paper"


class TestRidge(AccuracyModelContract):
    name = "ridge"


class TestLogLinear(AccuracyModelContract):
    name = "log-linear"


class TestPowerLaw(AccuracyModelContract):
    name = "power-law"


class TestGaussianProcess(AccuracyModelContract):
    name = "gp"


class TestAuto(AccuracyModelContract):
    name = "auto"


class TestSizeGoal(GoalContract):
    name = "size"


class TestMemoryGoal(GoalContract):
    name = "memory"


class TestLatencyGoal(GoalContract):
    name = "latency"


class TestEnergyGoal(GoalContract):
    name = "energy"


class TestAccuracyGoal(GoalContract):
    name = "accuracy"


class TestLocal(ExecutorContract):
    name = "local"


class TestNone(TerminatorContract):
    name = "none"


class TestMedian(TerminatorContract):
    name = "median"


class TestSuccessiveHalving(TerminatorContract):
    name = "asha"


class TestLearningCurve(TerminatorContract):
    name = "curve"


class TestJsonLines(ObserverContract):
    name = "jsonl"
    exceptions = {"test_can_be_closed_without_an_event": "tried below, to see that an exception is left out"}


class TestTensorBoard(ObserverContract):
    name = "tensorboard"


# Meters are tested where what they need is at hand: tests/test_latency.py, test_meters.py and test_energy.py.


def test_every_built_in_plugin_has_its_contract_here() -> None:
    registry = Registry(environ={"SHAPE_DNN_PLUGINS": ""})
    tested = {
        (contract.kind, contract.name)
        for contract in globals().values()
        if isinstance(contract, type) and issubclass(contract, Contract) and contract.name
    }
    for kind in set(KINDS) - {"meter"}:
        assert {(kind, name) for name in registry.names(kind)} == {pair for pair in tested if pair[0] == kind}


def test_there_is_a_contract_for_every_kind() -> None:
    kinds = {getattr(testing, name).kind for name in testing.__all__ if name != "Contract"}
    assert kinds == set(KINDS)


def test_an_exception_names_a_check_and_a_reason() -> None:
    with pytest.raises(TypeError, match="excepts 'test_speed', which is none of test_answers_the_same_every_time, "):
        type("Mine", (StrategyContract,), {"exceptions": {"test_speed": "slow"}})
    with pytest.raises(TypeError, match="gives no reason"):
        type("Mine", (StrategyContract,), {"exceptions": {"test_answers_the_same_every_time": " "}})


WRONG = """
import random
from fractions import Fraction
import pytest
from shape_dnn import AccuracyModel, Dataset, Executor, Goal, Observer, Outcome, Prediction, Sampler, Strategy, Terminator
from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.testing import *

class Forgetful(WideResNet):
    def count_values(self, shape, input_shape, classes):
        return super().count_values(shape, input_shape, classes) - shape.depth

class TestForgetful(ArchitectureContract):
    @pytest.fixture
    def plugin(self):
        return Forgetful()

class Repeating(Sampler):
    def choose(self, shapes, observed, budget):
        return shapes[:1]

class TestRepeating(SamplerContract):
    @pytest.fixture
    def plugin(self):
        return Repeating()

class Dicing(Sampler):
    def choose(self, shapes, observed, budget):
        return () if observed else random.sample(list(shapes), budget)

class TestDicing(SamplerContract):
    @pytest.fixture
    def plugin(self):
        return Dicing()

class Generous(Strategy):
    def count(self, candidates):
        return candidates + 1

class TestGenerous(StrategyContract):
    @pytest.fixture
    def plugin(self):
        return Generous()

class Mean(AccuracyModel):
    def fit(self, shapes, accuracies):
        self.mean = sum(accuracies) / len(accuracies)
    def predict(self, shapes):
        return [Prediction(self.mean) for _ in shapes]

class TestMean(AccuracyModelContract):
    @pytest.fixture
    def plugin(self):
        return Mean()

class Greedy(Goal):
    metrics = ("size",)
    def score(self, values):
        return values["size"] * values["accuracy"]

class TestGreedy(GoalContract):
    @pytest.fixture
    def plugin(self):
        return Greedy()

class Picky(Observer):
    def notify(self, event):
        assert event.shape

class TestPicky(ObserverContract):
    @pytest.fixture
    def plugin(self):
        return Picky()

class Envious(Terminator):
    def should_stop(self, curve, epochs, others):
        return curve[-1].accuracy < max(training.accuracy for training in others)

class TestEnvious(TerminatorContract):
    @pytest.fixture
    def plugin(self):
        return Envious()

class TestNameless(StrategyContract):
    pass
"""


def test_contracts_find_plugins_that_break_the_rules() -> None:
    Path("test_wrong.py").write_text(WRONG)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_wrong.py"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    failed = {
        line.split("::", 1)[1].split(" ")[0].split("[")[0]
        for line in ran.stdout.splitlines()
        if line.startswith(("FAILED", "ERROR"))
    }
    assert failed == {
        "TestForgetful::test_size_is_that_of_the_built_network",
        "TestRepeating::test_chooses_some_of_the_shapes_within_the_budget",
        "TestRepeating::test_can_choose_everything",
        "TestRepeating::test_chooses_the_same_every_time",
        "TestRepeating::test_bears_trainings_that_failed",
        "TestDicing::test_chooses_the_same_every_time",
        "TestGenerous::test_trains_at_least_one_shape_and_at_most_all",
        "TestMean::test_knows_more_than_the_mean",
        "TestGreedy::test_scores_by_its_metrics_alone",
        "TestGreedy::test_tells_shapes_apart",
        "TestPicky::test_bears_every_event",
        "TestEnvious::test_answers_after_every_epoch",
        "TestEnvious::test_answers_the_same_every_time",
        "TestNameless::test_trains_at_least_one_shape_and_at_most_all",
        "TestNameless::test_answers_the_same_every_time",
    }  # fmt: skip
    assert "contracts of shape_dnn" in ran.stdout
    assert " checks of 9 plugins ran" in ran.stdout


def test_an_exception_leaves_one_check_out() -> None:
    Path("test_mean.py").write_text(
        WRONG.split("class Forgetful", maxsplit=1)[0]
        + "class Mean" + WRONG.split("class Mean")[1].split("class Greedy", maxsplit=1)[0].replace(
            "    @pytest.fixture", '    exceptions = {"test_knows_more_than_the_mean": "it is the mean"}\n\n    @pytest.fixture'
        )
    )  # fmt: skip
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mean.py"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    assert "excepted: TestMean.test_knows_more_than_the_mean: it is the mean" in ran.stdout
