"""Meters, which obtain a metric without training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import torch

    from shape_dnn.kinds.deploying import Shipping
    from shape_dnn.kinds.networks import Architecture, InputShape
    from shape_dnn.records import Measurement
    from shape_dnn.shape import Shape


@dataclass(frozen=True)
class Workload:
    """What a meter is given: the conditions under which shapes are measured.

    Attributes:
        architecture: the architecture, which builds the networks.
        input_shape: channels, height and width of an image.
        classes: number of outputs.
        batch_size: images in one forward pass.
        device: the device as torch writes it, such as ``cpu`` or ``cuda:0``.
        shipping: deployment and target of the artifacts to measure instead of networks; None to measure networks as
            torch runs them.
    """

    architecture: Architecture
    input_shape: InputShape
    classes: int
    batch_size: int
    device: str
    shipping: Shipping | None = None

    @property
    def ships(self) -> bool:
        """Whether artifacts are measured, rather than networks in this process."""
        return self.shipping is not None and not self.shipping.in_process

    def build(self, shape: Shape) -> torch.nn.Module:
        """Build the network of a shape with random weights, drawn from torch's generator."""
        return self.architecture.build(shape, self.input_shape, self.classes)

    def example(self) -> Any:
        """Make a batch of inputs: a tensor, or tensors in tuples, lists and mappings."""
        return self.architecture.example(self.batch_size, self.input_shape)


@dataclass(frozen=True)
class Conditions:
    """A workload without its architecture: plain values, which can be sent and recorded.

    Attributes:
        input_shape: channels, height and width of an image.
        classes: number of outputs.
        batch_size: images in one forward pass.
        device: the device as torch writes it, such as ``cpu`` or ``cuda:0``.
    """

    input_shape: InputShape
    classes: int
    batch_size: int
    device: str

    def of(self, architecture: Architecture, shipping: Shipping | None = None) -> Workload:
        """Return the workload for an architecture and for what ships."""
        return Workload(architecture, self.input_shape, self.classes, self.batch_size, self.device, shipping)

    @property
    def record(self) -> dict[str, object]:
        """The conditions as JSON values."""
        return {**asdict(self), "input_shape": list(self.input_shape)}


class Meter(ABC):
    """Obtains one metric of a shape without training it. Lower values are better.

    Derive from :class:`Formula` or :class:`Instrument`.
    """

    metric: str
    """Name of the metric, used in ``--max METRIC=VALUE`` and in results."""
    unit: str
    """Unit of all its values. For ``size`` it must be MB, for ``latency`` ms, and for ``energy`` J."""
    cost: float
    """Place in the order of the filters, where the cheapest comes first: size has 0, memory 0.5, latency 1, energy
    2."""
    linear_in_depth: bool = False
    """Whether the metric is a straight line in depth at fixed width, so that ``--fit-depths`` may skip some
    measurements."""


class Formula(Meter):
    """A meter that computes: nothing runs, and values are recorded only if a question could not compute them."""

    @abstractmethod
    def compute(self, workload: Workload, shapes: Sequence[Shape]) -> Sequence[float]:
        """Return the metric of each shape, in order."""


class Instrument(Meter):
    """A meter that runs networks on the device. Every value is recorded in the study."""

    measures_artifacts: ClassVar[bool] = False
    """Whether it measures artifacts where a workload has them (:attr:`Workload.ships`), rather than networks alone."""
    depends_on_device: ClassVar[bool] = True
    """Whether its values depend on what runs the networks: on the device and, for artifacts, on the target."""

    @abstractmethod
    def identity(self, workload: Workload) -> Mapping[str, object]:
        """Return what else determines a value, as JSON values: a fingerprint of the device, versions of libraries.

        Architecture, shape, input, classes, batch size, device name, meter and options need not be repeated. This runs
        in the process of the search, before anything is measured.

        Raises:
            MeterError: there is nothing to measure with; the message says why, and what to do.
        """

    def remarks(self, workload: Workload) -> Sequence[str]:
        """Say what will make values worse than they need be: a line for each cause, with the remedy.

        This runs in the process of the search, after :meth:`identity` and before anything is measured. By default there
        is nothing to say.
        """
        return ()

    @abstractmethod
    def measure(self, workload: Workload, shapes: Sequence[Shape]) -> Iterator[tuple[Shape, Measurement]]:
        """Measure every shape, in any order, and yield each value as soon as it is known.

        This runs in a worker process.

        Raises:
            MeterError: the sensor failed; the message says why, and what to do.
        """
