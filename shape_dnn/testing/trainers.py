"""What every trainer must keep to."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from shape_dnn.builtin.deployments.flat import Flat
from shape_dnn.deploying.judging import Predict
from shape_dnn.kinds import Resources, Trainer
from shape_dnn.measuring import inputs
from shape_dnn.quality import Quality
from shape_dnn.records import Epoch, Training
from shape_dnn.search.space import Range
from shape_dnn.shape import Shape
from shape_dnn.testing.contract import Contract
from shape_dnn.training.functions import has
from shape_dnn.training.networks import BuiltByTrainer
from shape_dnn.training.task import EvaluationTask, TrainingTask, judging

if TYPE_CHECKING:
    import numpy as np
    import torch

SEED = 1
BATCH_SIZE = 3


@dataclass(frozen=True)
class _Ready:
    """A trainer that already exists."""

    trainer: Trainer

    @property
    def files(self) -> tuple[Path, ...]:
        return ()

    def load(self) -> Trainer:
        return self.trainer


class _AsTrained:
    """What ships, run by torch in float32, so that nothing is lost.

    Attributes:
        calls: how often it was run.
    """

    def __init__(self, network: torch.nn.Module, example: Any) -> None:
        self._flat = Flat(network.cpu().eval(), example).eval()
        self.calls = 0

    def run(self, arrays: Sequence[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
        import torch

        self.calls += 1
        with torch.inference_mode():
            return [output.numpy() for output in self._flat(*map(torch.from_numpy, arrays))]


class TrainerContract(Contract):
    """What every trainer must keep to. Its trainings run here, on the processor: give it options that make them short.

    Attributes:
        shape: the shape that is trained; by default the smallest of the default ranges.
        larger: another shape, whose network is larger; by default the next of the default ranges in both dimensions.
        tolerance: how far the quality of what ships may be from that of its training if nothing is lost, in the unit of
            the quality; by default a tenth of it. Trainings that report before their last step may need more.
    """

    kind = "trainer"
    shape: ClassVar[Shape | None] = None
    larger: ClassVar[Shape | None] = None
    tolerance: ClassVar[float | None] = None

    def shapes(self, plugin: Trainer) -> tuple[Shape, Shape]:
        """Return the two shapes."""
        if self.shape is not None and self.larger is not None:
            return self.shape, self.larger
        assert plugin.default_depths, f"{type(self).__name__} needs a `shape` and a `larger` one"
        assert plugin.default_widths, f"{type(self).__name__} needs a `shape` and a `larger` one"
        depths, widths = Range.parse(plugin.default_depths), Range.parse(plugin.default_widths)
        pairs = [list(values)[:2] for values in (depths, widths)]
        small, large = Shape(int(pairs[0][0]), pairs[1][0]), Shape(int(pairs[0][-1]), pairs[1][-1])
        return self.shape or small, self.larger or large

    def trained(self, plugin: Trainer, directory: Path, most: int | None = None, attempt: str = "first") -> Training:
        """Train the smaller shape as a search does.

        Args:
            plugin: the trainer.
            directory: directory for the weights; another attempt in the same directory goes on from the one before.
            most: number of steps after which the training is asked to stop.
            attempt: name of this attempt.
        """
        reported = 0

        def report(what: object) -> bool:
            nonlocal reported
            reported += isinstance(what, Epoch)
            return most is None or reported < most

        return self.task(plugin, directory, attempt).run(report)

    def task(self, plugin: Trainer, directory: Path, attempt: str) -> TrainingTask:
        """Return the task that a search would have run."""
        shape, _ = self.shapes(plugin)
        weights = directory / "weights.safetensors"
        return TrainingTask(_Ready(plugin), shape, SEED, weights, directory / "checkpoints", 0.0, attempt)

    def test_says_what_it_is(self, plugin: Trainer) -> None:
        """It has a quality, takes at least one step if it says how many, and its default ranges are ranges."""
        assert isinstance(plugin.quality, Quality)
        assert plugin.steps is None or (type(plugin.steps) is int and plugin.steps >= 1)
        for text in (plugin.default_depths, plugin.default_widths):
            assert text is None or len(list(Range.parse(text))) >= 1
        small, large = self.shapes(plugin)
        assert small < large

    def test_says_what_a_training_takes(self, plugin: Trainer) -> None:
        """``resources`` returns a :class:`~shape_dnn.Resources` for every shape."""
        for shape in self.shapes(plugin):
            assert isinstance(plugin.resources(shape), Resources)

    def test_builds_networks_that_grow(self, plugin: Trainer) -> None:
        """Networks have the same size whenever they are built, also without memory, and larger shapes a larger one."""
        self.needs(plugin, "build")
        networks = BuiltByTrainer(_Ready(plugin), "the trainer")
        small, large = (networks.count_values(shape, (0, 0, 0), 0) for shape in self.shapes(plugin))
        assert 0 < small < large

    def test_seed_determines_the_weights(self, plugin: Trainer) -> None:
        """Weights of a network are drawn from torch's global generator and from nothing else."""
        import torch

        self.needs(plugin, "build")
        shape, _ = self.shapes(plugin)
        states = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            states.append(plugin.build(shape).state_dict())
        first, again, other = states
        assert first.keys() == again.keys()
        assert all(torch.equal(first[name], again[name]) for name in first)
        assert any(not torch.equal(first[name], other[name]) for name in first)

    def test_networks_run_on_the_example(self, plugin: Trainer) -> None:
        """They run on a batch of one example, and of several."""
        import torch

        self.needs(plugin, "build", "example")
        for shape in self.shapes(plugin):
            network = plugin.build(shape).eval()
            for batch_size in (1, 3):
                example = plugin.example(batch_size)
                assert inputs.tensors(example), "an example holds tensors"
                with torch.inference_mode():
                    inputs.call(network, example)

    def test_trains(self, plugin: Trainer, tmp_path: Path) -> None:
        """It reaches a possible quality after as many steps as it says, and saves weights that its networks load."""
        training = self.trained(plugin, tmp_path)
        assert training.quality is not None
        assert plugin.quality.allows(training.quality)
        assert plugin.steps in (None, training.curve[-1].number if training.curve else 0)
        weights = tmp_path / "weights.safetensors"
        if not weights.is_file() or not has(plugin, "build"):
            return
        from safetensors.torch import load_file

        shape, _ = self.shapes(plugin)
        plugin.build(shape).load_state_dict(load_file(weights))

    def test_is_judged_at_the_end(self, plugin: Trainer, tmp_path: Path) -> None:
        """``test`` gives a possible quality for the weights that were saved, the same every time."""
        self.needs(plugin, "test")
        self.trained(plugin, tmp_path)
        task = self.task(plugin, tmp_path, "first")
        judged = [EvaluationTask(task.trainer, task.shape, SEED, task.weights).run(lambda _: True) for _ in range(2)]
        assert judged[0] is not None
        assert judged[0] == judged[1]

    def test_trains_the_same_every_time(self, plugin: Trainer, twin: Trainer, tmp_path: Path) -> None:
        """On the processor, the same shape and seed lead to the same quality."""
        first, again = (self.trained(each, tmp_path / str(n)) for n, each in enumerate((plugin, twin)))
        assert (first.quality, first.curve) == (again.quality, again.curve)

    def test_stops_when_asked_and_goes_on(self, plugin: Trainer, twin: Trainer, tmp_path: Path) -> None:
        """Asked to stop, it returns at the next step. Begun again, it arrives at what it would have reached anyway."""
        undisturbed = self.trained(plugin, tmp_path / "undisturbed")
        if len(undisturbed.curve) < 2:
            pytest.skip("it reports no steps between which it could stop")
        stopped = self.trained(twin, tmp_path / "stopped", most=1)
        assert len(stopped.curve) == 1, "run.report() returned False, and the training went on"
        went_on = self.trained(twin, tmp_path / "stopped", attempt="second")
        assert (went_on.quality, went_on.curve) == (undisturbed.quality, undisturbed.curve)

    def test_ships_what_was_trained(self, plugin: Trainer, tmp_path: Path) -> None:
        """``ship`` makes a network of the saved weights, which computes the same whenever it is made."""
        import torch

        self.needs(plugin, "build", "example")
        _, task = self.to_ship(plugin, tmp_path)
        with judging(task, lambda _: True, "ship()") as (trainer, run):
            example = trainer.example(BATCH_SIZE)
            shipped = [trainer.ship(task.shape, run) for _ in range(2)]
        for network in shipped:
            assert isinstance(network, torch.nn.Module), f"ship() returned {network!r:.60}, not a torch.nn.Module"
        arrays = [tensor.numpy() for tensor in inputs.tensors(example)]
        first, again = (_AsTrained(network, example).run(arrays) for network in shipped)
        same = all(one.tobytes() == other.tobytes() for one, other in zip(first, again, strict=True))
        assert same, "ship() makes another network each time; it is to have the weights that run.load() returns"

    def test_calibrates_by_inputs_like_the_example(self, plugin: Trainer, tmp_path: Path) -> None:
        """``calibration`` gives whole batches of finite numbers, the same every time."""
        self.needs(plugin, "build", "example", "calibration")
        _, task = self.to_ship(plugin, tmp_path)
        for batch_size in (1, BATCH_SIZE):
            given: list[list[torch.Tensor]] = []
            for _ in range(2):
                with judging(task, lambda _: True, "calibration()") as (trainer, run):
                    wanted = [_kind(tensor) for tensor in inputs.tensors(trainer.example(batch_size))]
                    batches = list(itertools.islice(trainer.calibration(batch_size, run), 2))
                given.append([tensor for batch in batches for tensor in inputs.tensors(batch)])
                assert batches, "calibration() gives nothing"
                for found in ([_kind(tensor) for tensor in inputs.tensors(batch)] for batch in batches):
                    assert found == wanted, f"calibration({batch_size}, run) gives {found}, and the example is {wanted}"
            assert all(tensor.isfinite().all() for tensor in given[0]), "calibration() gives what is no finite number"
            same = all(one.equal(other) for one, other in zip(*given, strict=True))
            assert same, "calibration() gives other inputs each time; what ships is to be the same for the same seed"

    def test_judges_what_ships(self, plugin: Trainer, tmp_path: Path) -> None:
        """``judge`` and ``judge_test`` rely on ``predict``, and ``judge`` arrives at the quality of the training."""
        self.needs(plugin, "build", "example", "judge")
        training, task = self.to_ship(plugin, tmp_path)
        assert training.quality is not None
        for what in ("judge", "judge_test"):
            if not has(plugin, what):
                continue
            first, again = (self.judged(task, what) for _ in range(2))
            assert first is not None, f"{what}() returned None; a trainer that cannot tell has none"
            assert first == again, f"{what}() comes to {first} and then to {again} for the same network"
            tolerance = abs(training.quality) / 10 if self.tolerance is None else self.tolerance
            is_near = what == "judge_test" or abs(first - training.quality) <= tolerance
            assert is_near, f"judge() comes to {first} where nothing was lost, and the training to {training.quality}"

    def to_ship(self, plugin: Trainer, directory: Path) -> tuple[Training, EvaluationTask]:
        """Train, and return the training with a task that has the weights; without weights nothing can ship."""
        training = self.trained(plugin, directory)
        task = self.task(plugin, directory, "first")
        if not task.weights.is_file():
            own = next((name for name in ("calibration", "judge", "judge_test") if has(plugin, name)), None)
            own = "ship" if type(plugin).ship is not Trainer.ship else own
            assert own is None, f"it has {own}(), but train() saves no weights by run.save(), so nothing can ship"
            pytest.skip("it saves no weights, so nothing can ship")
        return training, EvaluationTask(task.trainer, task.shape, SEED, task.weights)

    def judged(self, task: EvaluationTask, what: str) -> float | None:
        """Return the quality of what ships, run by torch, according to ``judge`` or ``judge_test``."""
        with judging(task, lambda _: True, f"{what}()") as (trainer, run):
            example = trainer.example(BATCH_SIZE)
            model = _AsTrained(trainer.ship(task.shape, run), example)
            found: object = getattr(trainer, what)(Predict(model, example, run.alive), run)
            quality = None if found is None else run.checked(found)
        assert model.calls, f"{what}() never called predict(), which is what it judges"
        return quality

    def needs(self, plugin: Trainer, *methods: str) -> None:
        """Skip a check of something that a trainer need not have."""
        missing = next((method for method in methods if not has(plugin, method)), None)
        if missing is not None:
            pytest.skip(f"it has no {missing}()")


def _kind(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
