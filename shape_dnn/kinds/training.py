"""Trainers, which find out the quality of a shape."""

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
    """What one training takes of its machine, so that no more trainings run at once than the machine can bear.

    Attributes:
        cores: cores of the processor. The operators of the training use as many threads, and so do numpy and the like.
        gpus: how many GPUs the training has to itself, if the device is a GPU. It sees no others, and they are called
            ``cuda:0``, ``cuda:1`` and so on. None, as by default, stands for one GPU that it shares as far as memory
            allows; 0 for none, so that it runs on the processor. Without meaning if the device is the processor anyway.
        memory: the most memory that it needs on the device, in bytes, including that of its processes; 0 if that is not
            known. The memory is then estimated, if there are networks, example inputs and a batch size.
        loaders: number of processes of its own that load data, each of which keeps a further core busy.

    Raises:
        ValueError: an attribute cannot be used; the message names it and says what is accepted.
    """

    cores: int = 1
    gpus: int | None = None
    memory: int = 0
    loaders: int = 0

    def __post_init__(self) -> None:
        """Check every attribute, wherever it comes from."""
        for name, least in (("cores", 1), ("gpus", 0), ("memory", 0), ("loaders", 0)):
            value = getattr(self, name)
            if name == "gpus" and value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} is {value!r}; accepted are whole numbers from {least}")


class Saved(Mapping[str, "torch.Tensor"]):
    """What an interrupted attempt at a training has saved: a state that a module can load.

    Attributes:
        more: whatever else was saved with it, by name.
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
    """A training that is going on: where it takes place, and whom it reports to.

    Attributes:
        seed: seed of everything random in the training. The generators of Python, numpy and torch already start from
            it.
        device: where the network is to be, as torch writes it, such as ``cpu`` or ``cuda:0``.
        directory: directory for files of this training. It survives interruptions, and is removed when the training has
            ended.
        stopped: whether the training was asked to stop; :meth:`report` has then returned False.
        interrupted: whether the training is to stop at once, as it was told in answer to a sign of life. If it can go
            on later from the middle of an epoch, it should save what it needs for that, set ``stopped``, and return.
            Otherwise it goes on, and is asked to stop when it reports.
        deaths: how many attempts at this training ended because their process died or memory ran out. After one, a
            training should avoid whatever is fast but may fail.
    """

    seed: int
    device: str
    directory: Path
    stopped: bool = False
    interrupted: bool = False
    deaths: int = 0

    @abstractmethod
    def report(self, step: int, quality: float, **more: float) -> bool:
        """Report the quality reached so far: a point of the learning curve, and a sign of life.

        Args:
            step: number of epochs so far, or of whatever else the training counts, from 1 and rising.
            quality: quality on data that is not trained on.
            **more: other numbers for the learning curve, such as ``loss``.

        Returns:
            Whether to go on. If not, the training should save what another attempt needs in order to go on, and return.

        Raises:
            TrainingError: the step is not later than the last one, or the quality is impossible.
        """

    @abstractmethod
    def alive(self) -> None:
        """Give a sign of life where a step takes long. May be called as often as is convenient."""

    @abstractmethod
    def save(self, module: torch.nn.Module | Mapping[str, torch.Tensor], **more: Any) -> None:
        """Save weights, from which an interrupted training can go on. The last ones saved are those of the shape.

        Args:
            module: the network, or its state.
            **more: whatever else is needed to go on, such as the step and the state of the optimiser: anything that
                ``torch.load`` reads with ``weights_only``.
        """

    @property
    @abstractmethod
    def is_due(self) -> bool:
        """Whether enough time has passed since the last save for another to pay off (``--checkpoint-minutes``)."""

    @abstractmethod
    def load(self) -> Saved | None:
        """Return what an interrupted attempt at this training saved last; None in the first attempt.

        The learning curve then goes on from where it was saved. A training that does not call this begins anew.
        """


class Trainer(ABC):
    """Trains the networks of a family, in any way it likes. Instances are created anew in every worker process."""

    quality: Quality = ACCURACY
    """The quality that trainings are judged by."""
    default_depths: str | None = None
    """Range of depths searched unless the user gives one, ``MIN:MAX:STEP``; None if the user must give one."""
    default_widths: str | None = None
    """Range of widths searched unless the user gives one."""
    steps: int | None = None
    """How many steps a whole training reports; None if that is not known, in which case no training can be stopped
    early."""
    batch_size: int | None = None
    """Number of examples in one step, from which the memory of a training is estimated; None if that is not known."""

    @abstractmethod
    def train(self, shape: Shape, run: Run) -> float | None:
        """Train one shape, and return its quality; None stands for the quality that was reported last.

        Runs in a process of its own.
        """

    def build(self, shape: Shape) -> torch.nn.Module:
        """Build the network of a shape with random weights, drawn from torch's generator.

        Sizes are counted on torch's ``meta`` device, where a network of any size takes no memory.

        Raises:
            UsageError: always, unless it is overridden; nothing that needs a network can then be asked for.
        """
        raise UsageError(f"{label(self)} has no build(shape), so there are no networks to measure or to export")

    def example(self, batch_size: int) -> Any:
        """Make inputs for a forward pass of ``batch_size`` examples.

        The inputs are a tensor, or tensors in tuples, lists and mappings. A tuple is passed to the network as
        positional arguments, a mapping as keyword arguments, and anything else as its only argument. Only shapes and
        types matter, so the values may be random.

        Raises:
            UsageError: always, unless it is overridden; networks can then not be run, and so not be timed.
        """
        raise UsageError(f"{label(self)} gives no example inputs, so its networks cannot be run")

    def test(self, shape: Shape, run: Run) -> float | None:
        """Return the quality of the weights that :meth:`Run.load` returns, on data that was kept for the end.

        This is called once, for the best shape. It returns None, as by default, if there is no such data.
        """
        return None

    # What ships (``--deploy``)

    def ship(self, shape: Shape, run: Run) -> torch.nn.Module:
        """Build the network of a shape as it ships, for inference, with the weights that :meth:`Run.load` returns.

        By default this is the network that :meth:`build` makes. A trainer that prepares inputs outside its networks may
        put that preparation into this network.
        """
        network, saved = self.build(shape), run.load()
        if saved is None:
            raise UsageError(f"{label(self)} saved no weights, so nothing can ship; have train() call run.save()")
        network.load_state_dict(saved)
        return network.eval()

    def calibration(self, batch_size: int, run: Run) -> Iterable[Any]:
        """Give batches of inputs of the training split, like those of :meth:`example`, as many as are asked for.

        A conversion that needs the ranges of activations, such as that to int8, finds them on these inputs.

        Raises:
            UsageError: always, unless it is overridden.
        """
        raise UsageError(f"{label(self)} has no calibration(batch_size, run), without which nothing becomes int8")

    def judge(self, predict: Callable[[Any], Any], run: Run) -> float | None:
        """Return the quality of what ships, on the data that trainings are judged on; None if it cannot be told.

        Args:
            predict: computes what the network does, in the runtime and precision that ships. It takes inputs like those
                of :meth:`example`, but of any number of examples, and takes and returns tensors.
            run: the run of the training, for its seed and for signs of life; nothing is reported or saved.
        """
        return None

    def judge_test(self, predict: Callable[[Any], Any], run: Run) -> float | None:
        """Return the same quality on data that was kept for the end; None, as by default, if there is no such data."""
        return None

    def resources(self, shape: Shape) -> Resources:
        """Return what the training of a shape takes; by default one core, and a GPU if that is the device."""
        return Resources()
