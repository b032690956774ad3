"""Every built-in plugin keeps to the contract of its kind; contracts find out those that do not."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from own import BUILD, EXAMPLE, SINE, write
from test_datasets import write_batch, write_imagenet32, write_mnist
from test_streaming import write_shards
from test_training import trainer

from shape_dnn import (
    AccuracyModel,
    Executor,
    Formula,
    Goal,
    Instrument,
    LabelledImages,
    Measurement,
    Outcome,
    PluginError,
    Prediction,
    Sampler,
    Shape,
    Strategy,
    Terminator,
    TrainingError,
    Workload,
    testing,
)
from shape_dnn.builtin.accuracy_models.log_linear import LogLinear
from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.builtin.datasets.cifar import Cifar10, Cifar100
from shape_dnn.builtin.datasets.digits import Digits
from shape_dnn.data import images
from shape_dnn.data.splits import Part
from shape_dnn.kinds import Posterior, Run
from shape_dnn.plugins import checked, checked_meters
from shape_dnn.plugins.registry import Registry
from shape_dnn.plugins.table_of_kinds import KINDS
from shape_dnn.testing import (
    AccuracyModelContract,
    ArchitectureContract,
    Contract,
    DatasetContract,
    DeploymentContract,
    ExecutorContract,
    GoalContract,
    MeterContract,
    ObserverContract,
    SamplerContract,
    StrategyContract,
    TerminatorContract,
    TrainerContract,
)
from shape_dnn.testing.spaces import accuracy
from shape_dnn.training.classifier import ClassifierTrainer
from shape_dnn.training.functions import FunctionTrainer
from shape_dnn.training.reading import read


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

        for place, label in enumerate(("a", "b", "c")):
            Path("data", label).mkdir(parents=True)
            for number in range(12):
                Image.new("RGB", (9, 7), (number, 2 * number, place)).save(Path("data", label, f"{number}.png"))


class TestStreamedFolder(TestFolder):
    options = {"data_dir": "data", "size": 8, "stream": "yes"}


class TestWebDataset(FilesContract):
    name, options = "webdataset", {"data_dir": "data", "size": 8}

    @pytest.fixture(autouse=True)
    def files(self) -> None:
        write_shards(Path("data"))


class TestStreamedWebDataset(TestWebDataset):
    options = {"data_dir": "data", "size": 8, "stream": "yes"}


class TestTorchPrograms(DeploymentContract):
    name = "torch"


class TestHalvedTorchPrograms(DeploymentContract):
    name, options = "torch", {"precision": "bfloat16"}


class TestOnnxRuntime(DeploymentContract):
    name = "onnxruntime"


class TestHalvedOnnxRuntime(DeploymentContract):
    name, options = "onnxruntime", {"precision": "float16"}


class TestQuantisedOnnxRuntime(DeploymentContract):
    name, options = "onnxruntime", {"precision": "int8"}


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


class TestLogError(AccuracyModelContract):
    name = "log-error"


class TestPowerLaw(AccuracyModelContract):
    name = "power-law"


class TestSizeGoal(GoalContract):
    name = "size"


class TestFileSizeGoal(GoalContract):
    name = "file-size"


class TestMemoryGoal(GoalContract):
    name = "memory"


class TestLatencyGoal(GoalContract):
    name = "latency"


class TestGraphLatencyGoal(GoalContract):
    name = "graph-latency"


class TestEnergyGoal(GoalContract):
    name = "energy"


class TestAccuracyGoal(GoalContract):
    name = "accuracy"


class TestLocal(ExecutorContract):
    name = "local"


class TestClassifier(TrainerContract):
    """A search puts it together of architecture, dataset and recipe, and so do we."""

    name, shape, larger = "classifier", Shape(10, Fraction(1, 4)), Shape(16, Fraction(1, 2))

    @pytest.fixture
    def plugin(self) -> ClassifierTrainer:
        return trainer()


class TestFunctions(TrainerContract):
    """Functions of a file are a trainer, too."""

    @pytest.fixture
    def plugin(self) -> FunctionTrainer:
        return read(write(BUILD, EXAMPLE, SINE)).trainer({"lr": 0.03, "epochs": 4})


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


# Meters are tested where what they need is at hand: tests/test_latency.py, test_meters.py, test_energy.py
# and test_deployed_meters.py.


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
from pathlib import Path
import pytest
from shape_dnn import AccuracyModel, Dataset, Executor, Goal, Observer, Outcome, Prediction, Sampler, Strategy, Terminator
from shape_dnn import Formula, Pretrained, Shape, TableFile, Trainer
from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.testing import *

class Forgetful(WideResNet):
    def count_values(self, shape, input_shape, classes):
        return super().count_values(shape, input_shape, classes) - shape.depth

class TestForgetful(ArchitectureContract):
    @pytest.fixture
    def plugin(self):
        return Forgetful()

class Vanishing(WideResNet):
    def is_width(self, width):
        return width > 0

class TestVanishing(ArchitectureContract):
    depths, widths = "10:17:6", "1/4:3/4:1/4"
    @pytest.fixture
    def plugin(self):
        return Vanishing()

class Idle(WideResNet):
    def pretrained(self):
        return {Shape(10, Fraction(1, 4)): Pretrained("none", Path("weights"))}
    def load_pretrained(self, network, shape, pretrained):
        pass

class TestIdle(ArchitectureContract):
    depths, widths = "10:17:6", "1/4:3/4:1/4"
    @pytest.fixture
    def plugin(self):
        return Idle()

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

class Grudging(Goal):
    metrics = ("size",)
    most = 0
    def score(self, values):
        self.most = max(self.most, values["size"])
        return values["size"] / self.most

class TestGrudging(GoalContract):
    @pytest.fixture
    def plugin(self):
        return Grudging()

class Relative(Formula):
    metric, unit, cost = "relative", "", 0.0
    def compute(self, workload, shapes):
        return [shape.depth / max(other.depth for other in shapes) for shape in shapes]

class TestRelative(MeterContract):
    @pytest.fixture
    def plugin(self):
        return Relative()

class Picky(Observer):
    def notify(self, event):
        assert event.shape

class TestPicky(ObserverContract):
    @pytest.fixture
    def plugin(self):
        return Picky()

class Envious(Terminator):
    def should_stop(self, curve, epochs, others):
        return curve[-1].quality < max(training.quality for training in others)

class TestEnvious(TerminatorContract):
    @pytest.fixture
    def plugin(self):
        return Envious()

class Upward(Terminator):
    def should_stop(self, curve, epochs, others):
        return curve[-1].quality < curve[0].quality + 5

class TestUpward(TerminatorContract):
    @pytest.fixture
    def plugin(self):
        return Upward()

class Shelving(Executor):
    def run(self, tasks, workers, report):
        done = {task: task.run(lambda what, task=task: report(task, what)) for task in tasks}
        yield from (Outcome(task, result) for task, result in done.items())

class TestShelving(ExecutorContract):
    exceptions = dict.fromkeys(
        ("test_a_task_whose_process_dies_leaves_the_others_alone", "test_ends_a_task_that_hangs"), "it runs them here"
    )
    @pytest.fixture
    def plugin(self):
        return Shelving()

class Twice(Executor):
    def run(self, tasks, workers, report):
        for task in tasks:
            yield from 2 * [Outcome(task, task.run(lambda what: report(task, what)))]

class TestTwice(TestShelving):
    @pytest.fixture
    def plugin(self):
        return Twice()

class Polite(Terminator):
    def should_stop(self, curve, epochs, others):
        return "no"

class TestPolite(TerminatorContract):
    @pytest.fixture
    def plugin(self):
        return Polite()

class Stubborn(Trainer):
    default_depths, default_widths = "1:3:1", "1:3:1"
    steps = 3
    def train(self, shape, run):
        for step in (1, 2):
            run.report(step, random.random())

class TestStubborn(TrainerContract):
    @pytest.fixture
    def plugin(self):
        return Stubborn()

class TestLonely(TableContract):
    @pytest.fixture
    def plugin(self):
        Path("lonely.csv").write_text("depth,width,seed,accuracy\\n10,1,0,90\\n")
        Path("others.csv").write_text("depth,width,seed,epoch,accuracy\\n10,1,7,1,90\\n")
        return TableFile(Path("lonely.csv"), Path("others.csv"))

class TestNameless(StrategyContract):
    pass
"""


def test_contracts_find_plugins_that_break_the_rules(run_pytest: Callable[..., Any]) -> None:
    Path("test_wrong.py").write_text(WRONG)
    ran = run_pytest("test_wrong.py")
    failed = {
        line.split("::", 1)[1].split(" ")[0].split("[")[0]
        for line in ran.out.splitlines()
        if line.startswith(("FAILED", "ERROR"))
    }
    assert failed == {
        "TestForgetful::test_size_is_that_of_the_built_network",
        "TestForgetful::test_has_a_network_of_every_width_that_it_accepts",
        "TestVanishing::test_has_a_network_of_every_width_that_it_accepts",
        "TestIdle::test_starts_from_the_weights_that_it_has",
        "TestRepeating::test_chooses_some_of_the_shapes_within_the_budget",
        "TestRepeating::test_can_choose_everything",
        "TestRepeating::test_chooses_the_same_every_time",
        "TestRepeating::test_bears_trainings_that_failed",
        "TestRepeating::test_chooses_also_when_told_what_is_asked",
        "TestDicing::test_chooses_the_same_every_time",
        "TestGenerous::test_trains_at_least_one_shape_and_at_most_all",
        "TestMean::test_knows_more_than_the_mean",
        "TestGreedy::test_scores_by_its_metrics_alone",
        "TestGreedy::test_scores_each_shape_by_itself",
        "TestGreedy::test_tells_shapes_apart",
        "TestGrudging::test_scores_each_shape_by_itself",
        "TestRelative::test_computes_each_shape_by_itself",
        "TestPicky::test_bears_every_event",
        "TestEnvious::test_answers_after_every_epoch",
        "TestEnvious::test_answers_the_same_every_time",
        "TestEnvious::test_a_lower_quality_may_be_the_better",
        "TestUpward::test_a_lower_quality_may_be_the_better",
        "TestShelving::test_runs_every_task_once",
        "TestShelving::test_can_be_used_again",
        "TestShelving::test_runs_one_task_at_a_time_in_each_process",
        "TestShelving::test_a_task_that_raises_leaves_the_others_alone",
        "TestShelving::test_asks_a_task_to_stop",
        "TestShelving::test_starts_nothing_more_when_told_to_stop",
        "TestShelving::test_a_task_has_a_fresh_process_if_it_needs_one",
        "TestShelving::test_a_task_that_needs_the_device_for_itself_has_nothing_beside_it",
        "TestShelving::test_does_not_wait_for_gpus_that_there_will_never_be",
        "TestShelving::test_lets_a_task_start_processes",
        "TestTwice::test_runs_every_task_once",
        "TestTwice::test_can_be_used_again",
        "TestTwice::test_runs_one_task_at_a_time_in_each_process",
        "TestTwice::test_a_task_that_raises_leaves_the_others_alone",
        "TestTwice::test_asks_a_task_to_stop",
        "TestTwice::test_starts_nothing_more_when_told_to_stop",
        "TestTwice::test_a_task_has_a_fresh_process_if_it_needs_one",
        "TestTwice::test_a_task_that_needs_the_device_for_itself_has_nothing_beside_it",
        "TestTwice::test_does_not_wait_for_gpus_that_there_will_never_be",
        "TestTwice::test_lets_a_task_start_processes",
        "TestPolite::test_answers_after_every_epoch",
        "TestPolite::test_answers_the_same_every_time",
        "TestPolite::test_a_lower_quality_may_be_the_better",
        "TestLonely::test_has_shapes_to_choose_from",
        "TestLonely::test_curves_are_those_of_its_trainings",
        "TestStubborn::test_trains",
        "TestStubborn::test_stops_when_asked_and_goes_on",
        "TestNameless::test_trains_at_least_one_shape_and_at_most_all",
        "TestNameless::test_answers_the_same_every_time",
    }  # fmt: skip
    assert "contracts of shape_dnn" in ran.out
    assert " checks of 19 plugins ran" in ran.out


def test_a_plugin_that_is_drawn_at_random_when_it_is_made_is_found_out(
    install: Callable[..., Path], run_pytest: Callable[..., Any]
) -> None:
    source = """
import random
from shape_dnn import Plugin, Sampler, hookimpl

class Drawn(Sampler):
    def __init__(self):
        self.key = random.random()
    def choose(self, shapes, observed, budget):
        return () if observed else random.Random(self.key).sample(list(shapes), budget)

@hookimpl
def shape_dnn_samplers():
    yield Plugin("drawn", "in an order of its own", Drawn)
"""
    install("drawn", "1.0", {"drawn": "drawn"}, {"drawn": source})
    Path("test_drawn.py").write_text(
        "from shape_dnn.testing import SamplerContract\nclass TestDrawn(SamplerContract):\n    name = 'drawn'\n"
    )
    ran = run_pytest("test_drawn.py")
    failed = [line for line in ran.out.splitlines() if line.startswith("FAILED")]
    assert len(failed) == 1, ran.out
    assert "TestDrawn::test_chooses_the_same_every_time" in failed[0]


def test_growth_whose_copies_stay_alike_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    class Growing(ArchitectureContract):
        inputs = ((3, 32, 32),)

    Growing().test_grows_without_changing_what_it_computes(WideResNet())
    monkeypatch.setattr(torch, "rand", lambda number, **_: torch.ones(number))  # equal shares for all copies
    with pytest.raises(AssertionError, match=r"copies in .*groups\.0\.0\.conv1\.weight.* are alike after three steps"):
        Growing().test_grows_without_changing_what_it_computes(WideResNet())


def test_a_dataset_that_tests_on_what_it_trains_on_is_found_out() -> None:
    class Leaking(Digits):
        def load(self) -> tuple[LabelledImages, LabelledImages]:
            train, _ = super().load()
            return train, LabelledImages(train.images[:100], train.labels[:100])

    DatasetContract().test_tests_on_other_images_than_it_trains_on(Digits())
    with pytest.raises(AssertionError, match="100 of 100 test images are training images"):
        DatasetContract().test_tests_on_other_images_than_it_trains_on(Leaking())


class Known(AccuracyModel):
    """Predicts what is true within a point, and draws of some distribution of the mean 0 and the deviation 1."""

    def __init__(self, distribution: Callable[[Any, tuple[int, int]], Any], seed: int) -> None:
        self.distribution, self.seed = distribution, seed

    def fit(self, shapes: Sequence[Shape], accuracies: Sequence[float]) -> None:
        pass

    def predict(self, shapes: Sequence[Shape]) -> list[Prediction]:
        return [Prediction(accuracy(shape), 1.0) for shape in shapes]

    def draw(self, shapes: Sequence[Shape], number: int, seed: int) -> Any:
        rng = np.random.default_rng([self.seed, seed])
        return np.array([accuracy(shape) for shape in shapes]) + self.distribution(rng, (number, len(shapes)))


DISTRIBUTIONS: dict[str, Callable[[Any, tuple[int, int]], Any]] = {
    "normal": lambda rng, size: rng.standard_normal(size),
    "heavy tails": lambda rng, size: rng.standard_t(3, size) / math.sqrt(3),
    "skewed": lambda rng, size: (rng.lognormal(0, 1, size) - math.exp(0.5)) / math.sqrt((math.e - 1) * math.e),
    "one value or another": lambda rng, size: rng.choice([-1 / 3, 3], size, p=[0.9, 0.1]),
}


@pytest.mark.parametrize("distribution", DISTRIBUTIONS.values(), ids=DISTRIBUTIONS)
def test_draws_of_any_distribution_agree_with_predictions_that_are_true(
    distribution: Callable[[Any, tuple[int, int]], Any],
) -> None:
    for seed in range(20):
        AccuracyModelContract().test_draws_agree_with_predictions(Known(distribution, seed))


@pytest.mark.parametrize("distribution", ["normal", "heavy tails"])
@pytest.mark.parametrize("fault", [lambda draws: 3 * draws, lambda draws: draws - 1], ids=["too wide", "too low"])
def test_draws_that_are_too_wide_or_too_low_do_not_agree_with_predictions(
    distribution: str, fault: Callable[[Any], Any]
) -> None:
    for seed in range(5):
        wrong = Known(lambda *drawn: fault(DISTRIBUTIONS[distribution](*drawn)), seed)
        with pytest.raises(AssertionError):
            AccuracyModelContract().test_draws_agree_with_predictions(wrong)


def test_a_model_that_misuses_trainings_that_were_stopped_is_found_out() -> None:
    class Gullible(LogLinear):
        def fit_uncertain(self, shapes: Any, accuracies: Any, stds: Any) -> None:
            self.fit(shapes, [value - 10 * std for value, std in zip(accuracies, stds, strict=True)])

    AccuracyModelContract().test_takes_trainings_that_were_stopped(LogLinear())
    with pytest.raises(AssertionError):
        AccuracyModelContract().test_takes_trainings_that_were_stopped(Gullible())


class Thirds(Formula):
    """A metric in the numbers of numpy."""

    metric, unit, cost = "thirds", "", 0.1

    def compute(self, workload: Workload, shapes: Sequence[Shape]) -> list[Any]:
        return [np.float32(shape.depth) / 3 for shape in shapes]


class Timer(Instrument):
    metric, unit, cost = "latency", "ms", 1.0
    made: Any = np.float32

    def identity(self, workload: Workload) -> dict[str, object]:
        return {"kernels": ("one", "two")}

    def measure(self, workload: Workload, shapes: Sequence[Shape]) -> Iterator[tuple[Shape, Measurement]]:
        for shape in shapes:
            yield shape, Measurement(self.made(0), self.made(0), self.made(1), details=self.details())

    def details(self) -> Mapping[str, object]:
        return {}


def test_a_meter_may_hand_over_numbers_of_numpy_which_become_plain_ones() -> None:
    contract = MeterContract()
    for made in (np.float32, np.float64, np.int64):
        timer = Timer()
        timer.made = made
        for check in ("test_measures_every_shape_once", "test_says_what_its_values_depend_on"):
            getattr(contract, check)(timer)
        found = contract.measure(timer, contract.shapes)
        assert {type(v) for m in found.values() for v in (m.value, m.low, m.high)} == {float}
    values = checked_meters.compute(Thirds(), contract.workload(), contract.shapes)
    assert {type(value) for value in values} == {float}
    for wrong in (True, np.True_, "1"):
        odd = Thirds()
        odd.compute = lambda *_, wrong=wrong: [wrong, 1.0]  # type: ignore[method-assign]
        with pytest.raises(PluginError, match=f"returned {wrong} for shape .*, which is not a number from 0"):
            contract.measure(odd, contract.shapes)


def test_a_word_that_no_search_takes_for_a_metric_is_found_out() -> None:
    for name in ("depth", "training", "score", "estimated", "probability", "Up", ""):
        timer = Timer()
        timer.metric = name
        with pytest.raises(PluginError, match=f"has a metric called '{name}', a word that is taken"):
            MeterContract().test_says_what_it_measures(timer)


def test_measurements_that_cannot_be_sent_to_another_process_are_found_out() -> None:
    class Views(Timer):
        def details(self) -> Mapping[str, object]:
            return MappingProxyType({"samples": 3})

    with pytest.raises(TypeError, match="mappingproxy"):
        MeterContract().test_measures_every_shape_once(Views())


def test_a_dataset_may_have_labels_of_any_whole_numbers_and_trains_with_them() -> None:
    from shape_dnn.training.batches import Batches

    class Small(Digits):
        kind: Any = np.int32

        def load(self) -> tuple[LabelledImages, LabelledImages]:
            train, test = (LabelledImages(p.images[:50], p.labels[:50].astype(self.kind)) for p in super().load())
            return train, test

    for kind in (np.int32, np.uint8, np.uint64):
        dataset = Small()
        dataset.kind = kind
        DatasetContract().test_is_what_it_says(dataset)
        directory = Path(kind.__name__)
        images.save(*checked.load(dataset, (1, 8, 8), 10, lambda *_: None), directory)
        train, _ = images.load(directory)
        ((_, labels),) = Batches(Part.of_all(train), torch.device("cpu")).in_order(50)
        assert torch.nn.functional.cross_entropy(torch.zeros(50, 10), labels) > 0
        np.save(directory / "train-labels.npy", dataset.load()[0].labels)
        assert images.load(directory)[0].labels.dtype == np.int64, "written by a former version"


def test_a_strategy_may_count_in_numbers_of_numpy_and_true_is_none() -> None:
    class Half(Strategy):
        def count(self, candidates: int) -> Any:
            return np.int64(-(-candidates // 2))

    class Some(Strategy):
        def count(self, candidates: int) -> int:
            return candidates > 0

    assert type(checked.budget(Half(), 7)) is int
    with pytest.raises(PluginError, match="asks for True trainings of 7 shapes"):
        checked.budget(Some(), 7)


def test_a_terminator_answers_true_or_false_of_python_or_numpy() -> None:
    class Odd(Terminator):
        answer: Any = None

        def should_stop(self, curve: Any, epochs: int, others: Any) -> Any:
            return self.answer

    odd = Odd()
    for odd.answer in (True, np.True_):
        assert checked.should_stop(odd, [], 1, []) is True
    for odd.answer in ("no", None, 1, 0.0):
        with pytest.raises(PluginError, match="accepted are True and False"):
            checked.should_stop(odd, [], 1, [])


def test_a_terminator_is_tried_with_what_a_search_shows_it() -> None:
    """Trainings that run or were stopped have no accuracy, and it is told first what is asked."""

    class Told(Terminator):
        def consider(self, limits: Any, goal: Any) -> None:
            self.least = max((limit.limit for limit in limits), default=0.0)

        def should_stop(self, curve: Any, epochs: int, others: Any) -> bool:
            return len(curve) > 5 and bool(curve[-1].quality < self.least - 20)

    class Trusting(Told):
        def should_stop(self, curve: Any, epochs: int, others: Any) -> bool:
            return bool(curve[-1].quality < max((training.quality for training in others), default=0.0))

    contract = TerminatorContract()
    contract.test_answers_the_same_every_time(Told(), Told())
    with pytest.raises(PluginError, match="Trusting failed: TypeError"):
        contract.test_answers_the_same_every_time(Trusting(), Trusting())


def test_a_goal_may_find_a_shape_infinitely_bad() -> None:
    class Never(Goal):
        metrics = ("size",)

        def score(self, values: Mapping[str, float]) -> float:
            return math.inf if values["size"] > 1 else values["size"]

    GoalContract().test_scores_by_its_metrics_alone(Never())


SHIPS = """
def train(shape, run):
    network = build(shape)
    run.save(network)
    return error(network)

def error(predict):
    x = torch.linspace(-1, 1, 10).unsqueeze(1)
    return (predict(x) - torch.sin(5 * x)).square().mean().item()

def calibration(batch_size, run):
    return torch.randn(16, 1).split(batch_size)

def judge(predict, run):
    return error(predict)

def judge_test(predict, run):
    return error(predict) / 2
"""


def test_a_trainer_that_judges_what_ships_keeps_to_its_contract(tmp_path: Path) -> None:
    plugin = read(write(BUILD, EXAMPLE, SHIPS)).trainer({})
    contract = TrainerContract()
    contract.test_ships_what_was_trained(plugin, tmp_path / "ships")
    contract.test_calibrates_by_inputs_like_the_example(plugin, tmp_path / "calibrates")
    contract.test_judges_what_ships(plugin, tmp_path / "judges")


@pytest.mark.parametrize(
    ("right", "wrong", "check", "said"),
    [
        ("randn(16, 1)", "zeros(16, 2)", "calibrates_by_inputs_like_the_example", r"float32 \(1, 2\).*float32 \(1, 1\)"),
        ("randn(16, 1)", "randn(2, 1)", "calibrates_by_inputs_like_the_example", r"\(2, 1\).* is .*\(3, 1\)"),
        ("randn(16, 1)", "full((16, 1), torch.nan)", "calibrates_by_inputs_like_the_example", "no finite number"),
        ("torch.randn(16, 1).split(batch_size)", "[]", "calibrates_by_inputs_like_the_example", "gives nothing"),
        ("    return error(predict)\n", "    error(predict)\n", "judges_what_ships", r"judge\(\) returned None"),
        ("return error(predict)\n", "return 2 * error(predict)\n", "judges_what_ships", "where nothing was lost"),
        ("return error(predict) / 2", "return 0.5", "judges_what_ships", r"judge_test\(\) never called predict\(\)"),
        ("    return error(predict)\n", "    return predict(torch.ones(4, 2))\n", "judges_what_ships", "what ships takes"),
        ("    return error(predict)\n", "    return -error(predict)\n", "judges_what_ships", "accepted are numbers from 0"),
        ("    run.save(network)\n", "", "judges_what_ships", r"train\(\) saves no weights by run.save\(\)"),
    ],
    ids=["shape", "part of a batch", "no number", "empty", "None", "other data", "no predict", "inputs", "sign", "weights"],
)  # fmt: skip
def test_a_trainer_that_judges_or_calibrates_wrongly_is_found_out(
    right: str, wrong: str, check: str, said: str, tmp_path: Path
) -> None:
    assert right in SHIPS
    plugin = read(write(BUILD, EXAMPLE, SHIPS.replace(right, wrong))).trainer({})
    with pytest.raises((AssertionError, TrainingError), match=said) as raised:
        getattr(TrainerContract(), f"test_{check}")(plugin, tmp_path)
    assert "\n" not in str(raised.value).partition("\nassert ")[0]


def test_a_trainer_that_ships_other_weights_than_it_saved_is_found_out(tmp_path: Path) -> None:
    class Forgetful(FunctionTrainer):
        def ship(self, shape: Shape, run: Run) -> torch.nn.Module:
            return self.build(shape)

    plugin = Forgetful(read(write(BUILD, EXAMPLE, SHIPS)), {})
    with pytest.raises(AssertionError, match="another network each time"):
        TrainerContract().test_ships_what_was_trained(plugin, tmp_path)


def test_executors_report_in_the_thread_that_waits_for_outcomes() -> None:
    class Threads(Executor):
        def run(self, tasks: Any, workers: Any, report: Any) -> Iterator[Outcome]:
            for task in tasks:
                with ThreadPoolExecutor(1) as pool:
                    yield Outcome(task, pool.submit(task.run, lambda what, task=task: report(task, what)).result())

    with pytest.raises(PluginError, match="reports are handed over by the thread that asks for outcomes"):
        ExecutorContract().test_runs_every_task_once(Threads())


def test_a_sampler_is_tried_with_what_a_search_tells_it() -> None:
    class Misled(Sampler):
        posterior: Any = None

        def consider(self, posterior: Posterior) -> None:
            self.posterior = posterior

        def choose(self, shapes: Any, observed: Any, budget: int) -> Any:
            return shapes[:1] if self.posterior else [] if observed else shapes[:budget]

    with pytest.raises(PluginError, match="twice"):
        SamplerContract().test_chooses_also_when_told_what_is_asked(Misled(), failing=False)


class Doubtful(Sampler):
    """Relies on being told before every choice, as it is."""

    posterior: Posterior

    def consider(self, posterior: Posterior) -> None:
        self.posterior = posterior

    def choose(self, shapes: Any, observed: Any, budget: int) -> Any:
        posterior, left = self.posterior, budget - len(observed)
        del self.posterior
        if not observed:
            return shapes[:: max(1, len(shapes) // 4)][:budget]
        return [] if posterior.settled and not posterior.exact else posterior.choose(min(posterior.together, left))


class TestDoubtful(SamplerContract):
    @pytest.fixture
    def plugin(self) -> Doubtful:
        return Doubtful()


def test_a_check_that_fails_shows_what_it_compared() -> None:
    Path("test_late.py").write_text(
        "from shape_dnn import Goal\nfrom shape_dnn.testing import GoalContract\nimport pytest\n"
        "class Empty(Goal):\n    metrics = ('size',)\n    def score(self, values): return 1.0\n"
        "class TestEmpty(GoalContract):\n    @pytest.fixture\n    def plugin(self): return Empty()\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_late.py", "-k", "apart"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "assert 1 > 1" in ran.stdout


def test_an_exception_leaves_one_check_out(run_pytest: Callable[..., Any]) -> None:
    Path("test_mean.py").write_text(
        WRONG.split("class Forgetful", maxsplit=1)[0]
        + "class Mean" + WRONG.split("class Mean")[1].split("class Greedy", maxsplit=1)[0].replace(
            "    @pytest.fixture", '    exceptions = {"test_knows_more_than_the_mean": "it is the mean"}\n\n    @pytest.fixture'
        )
    )  # fmt: skip
    ran = run_pytest("test_mean.py")
    assert ran.status == 0, ran.out
    assert "excepted: TestMean.test_knows_more_than_the_mean: it is the mean" in ran.out
