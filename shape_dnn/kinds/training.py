"""How a shape comes to its quality."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shape_dnn.errors import UsageError, label
from shape_dnn.quality import ACCURACY, Quality

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from shape_dnn.shape import Shape


@dataclass(frozen=True)
class Resources:
    """What one training takes of a machine, so that no more run at once than it can bear.

    Attributes:
        cores: of the processor; so many threads its operators have, and those of numpy and the like.
        gpus: where the device is a GPU, how many it has for itself; it sees no others, and calls them ``cuda:0``,
            ``cuda:1`` and so on. None, as by default, for one that it shares as far as memory allows; 0 for none, and
            then it runs on the processor. Without meaning where the device is the processor anyway.
        memory: bytes of the device that it needs at most, its processes included; 0 if that is not known, and then it
            is estimated if there are networks, example inputs and a batch size.
        loaders: processes of its own that load data, each of which keeps a further core busy.

    Raises:
        ValueError: a part cannot be used; names it and what is accepted.
    """

    cores: int = 1
    gpus: int | None = None
    memory: int = 0
    loaders: int = 0

    def __post_init__(self) -> None:
        """Check every part, wherever it comes from."""
        for name, least in (("cores", 1), ("gpus", 0), ("memory", 0), ("loaders", 0)):
            value = getattr(self, name)
            if name == "gpus" and value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} is {value!r}; accepted are whole numbers from {least}")


class Saved(Mapping[str, "torch.Tensor"]):
    """What an interrupted attempt at a training saved: a state that a module can load.

    Attributes:
        more: whatever was saved beside it, by name.
    """

    def __init__(self, state: Mapping[str, torch.Tensor], more: Mapping[str, Any]) -> None:
        self._state, self.more = dict(state), dict(more)

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._state[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._state)

    def __len__(self) -> int:
        return len(self._state)


class Run(ABC):
    """One training that goes on: where it is to be made, and who is told of it.

    Attributes:
        seed: of everything random about it. Python's, numpy's and torch's generators start from it already.
        device: where the network is to be, as torch writes it, such as ``cpu`` or ``cuda:0``.
        directory: for files of this training. It survives interruptions, and is removed when the training has ended.
        stopped: whether it was asked to stop, as :meth:`report` has said.
        interrupted: whether it is to stop at once, as a sign of life was answered. A training that can go on from the
            middle of an epoch should save what it needs for that, set ``stopped``, and return. Others go on, and are
            asked when they report.
        deaths: how many attempts at this training died with their process, or for want of memory. After one, a training
            had better do without whatever is quick and may fail.
    """

    seed: int
    device: str
    directory: Path
    stopped: bool = False
    interrupted: bool = False
    deaths: int = 0

    @abstractmethod
    def report(self, step: int, quality: float, **more: float) -> bool:
        """Report what has been reached: a point of the learning curve, and a sign of life.

        Args:
            step: epochs so far, or whatever the training counts, from 1 and rising.
            quality: on data that is not trained on.
            **more: other numbers for the learning curve, such as ``loss``.

        Returns:
            Whether to go on. If not, the training should save what another attempt can go on from, and return.

        Raises:
            TrainingError: the step is not a later one, or the quality is impossible.
        """

    @abstractmethod
    def alive(self) -> None:
        """Give a sign of life where a step takes long; may be called as often as is convenient."""

    @abstractmethod
    def save(self, module: torch.nn.Module | Mapping[str, torch.Tensor], **more: Any) -> None:
        """Save the weights, from which an interrupted training can go on. The last ones saved are those of the shape.

        Args:
            module: the network, or its state.
            **more: what else is needed to go on, such as the step and the state of the optimiser: anything that
                ``torch.load`` reads with ``weights_only``.
        """

    @property
    @abstractmethod
    def is_due(self) -> bool:
        """Whether enough time has passed since it was saved for saving to be worth it (``--checkpoint-minutes``)."""

    @abstractmethod
    def load(self) -> Saved | None:
        """Return what an interrupted attempt at this training saved last; None at the first attempt.

        The learning curve then goes on from where it was saved. A training that does not ask begins anew.
        """


class Trainer(ABC):
    """Trains the networks of a family, in whatever way. Instances are created anew in every worker process."""

    quality: Quality = ACCURACY
    """What trainings are judged by."""
    default_depths: str | None = None
    """Range of depths searched unless the user gives one, ``MIN:MAX:STEP``; None if the user must give one."""
    default_widths: str | None = None
    """Range of widths searched unless the user gives one."""
    steps: int | None = None
    """How many steps a whole training reports; None if that is not known, and then none can be stopped early."""
    batch_size: int | None = None
    """Examples in one step, by which the memory of a training is estimated; None if that is not known."""

    @abstractmethod
    def train(self, shape: Shape, run: Run) -> float | None:
        """Train one shape, and return its quality; None for that which was reported last.

        Runs in a process of its own.
        """

    def build(self, shape: Shape) -> torch.nn.Module:
        """Build the network of a shape with random weights, drawn from torch's generator.

        Sizes are counted on torch's ``meta`` device, where a network of any size takes no memory.

        Raises:
            UsageError: unless it is overridden; whatever needs a network cannot be asked for then.
        """
        raise UsageError(f"{label(self)} has no build(shape), so there are no networks to measure or to export")

    def example(self, batch_size: int) -> Any:
        """Make inputs for a forward pass of so many examples: a tensor, or tensors in tuples, lists and mappings.

        A tuple is passed to the network as positional arguments, a mapping as keyword arguments, anything else as the
        one argument. Only shapes and types matter, so the values may be random.

        Raises:
            UsageError: unless it is overridden; networks cannot be run then, and so not be timed.
        """
        raise UsageError(f"{label(self)} gives no example inputs, so its networks cannot be run")

    def test(self, shape: Shape, run: Run) -> float | None:
        """Return the quality on data that was kept for the end, of the weights that :meth:`Run.load` returns.

        Asked once, for the best shape. None, as by default, if there is no such data.
        """
        return None

    # What ships (``--deploy``)

    def ship(self, shape: Shape, run: Run) -> torch.nn.Module:
        """Build the network of a shape as it ships, for inference, with the weights that :meth:`Run.load` returns.

        By default what :meth:`build` makes. A trainer that prepares inputs outside of its networks may put that in.
        """
        network, saved = self.build(shape), run.load()
        if saved is None:
            raise UsageError(f"{label(self)} saved no weights, so nothing can ship; have train() call run.save()")
        network.load_state_dict(saved)
        return network.eval()

    def calibration(self, batch_size: int, run: Run) -> Iterable[Any]:
        """Give batches of inputs of the training split, like those of :meth:`example`, as many as are asked for.

        The ranges of activations are found on them where a conversion needs these, as that to int8 does.

        Raises:
            UsageError: unless it is overridden.
        """
        raise UsageError(f"{label(self)} has no calibration(batch_size, run), without which nothing becomes int8")

    def judge(self, predict: Callable[[Any], Any], run: Run) -> float | None:
        """Return the quality of what ships, on the data that trainings are judged on; None if it cannot tell.

        Args:
            predict: computes what the network does of inputs like those of :meth:`example`, but of any number of
                examples, in the runtime and precision that ships. It takes and returns tensors.
            run: of the training, for its seed and for signs of life; nothing is reported or saved.
        """
        return None

    def judge_test(self, predict: Callable[[Any], Any], run: Run) -> float | None:
        """Return the same on data that was kept for the end; None, as by default, if there is no such data."""
        return None

    def resources(self, shape: Shape) -> Resources:
        """Return what the training of a shape takes; by default one core, and a GPU where that is the device."""
        return Resources()
