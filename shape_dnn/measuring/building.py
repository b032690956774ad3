"""Building the networks that are measured, some of which may not fit into memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from shape_dnn import devices
from shape_dnn.errors import DeploymentError, NetworkError
from shape_dnn.kinds import BYTES, Workload
from shape_dnn.measuring import inputs, peak_memory
from shape_dnn.measuring.forward_pass import ForwardPass, Numerics
from shape_dnn.plugins import checked
from shape_dnn.records import Measurement
from shape_dnn.shape import Shape
from shape_dnn.work import alive

OUT_OF_MEMORY = "out of memory"
DOES_NOT_RUN = "does not run"
"""Status of a network that the runtime cannot have or run."""
Result = TypeVar("Result")
Prepare = Callable[[Workload, Shape], Callable[[], object]]


def unsupported(error: Exception) -> Measurement:
    """Return the measurement of a network that cannot be run: no value, and why."""
    status = OUT_OF_MEMORY if devices.is_out_of_memory(error) else DOES_NOT_RUN
    return Measurement(None, status=status, details={"why": in_short(error)})


def in_short(error: Exception) -> str:
    """Return the beginning of what an error says, in one line."""
    return " ".join(str(error).split())[:300]


class Builder:
    """Makes calls that run networks, and remembers which shapes were too large, so that larger ones are not tried.

    Args:
        workload: what to run.
        numerics: formats and mode.
        prepare: makes a call that runs the network of a shape; by default torch runs it.
    """

    def __init__(self, workload: Workload, numerics: Numerics, prepare: Prepare | None = None) -> None:
        self.workload = workload
        self.numerics = numerics
        self._prepare = prepare or partial(ForwardPass, numerics=numerics)
        self._too_large: dict[Shape, str] = {}
        self._refused: dict[Shape, Measurement] = {}

    def start(self, shape: Shape) -> Callable[[], object]:
        """Build a network with random weights and run it once; return what runs it again."""
        import torch

        torch.manual_seed(0)
        call = self._prepare(self.workload, shape)
        call()
        return call

    def build(self, shape: Shape) -> Callable[[], object] | None:
        """Do the same; None if it is too large, and then :meth:`refusal` says why."""
        return self.attempt(shape, partial(self.start, shape))

    def attempt(self, shape: Shape, action: Callable[[], Result]) -> Result | None:
        """Do something with a network; None if that needs more memory than there is, or cannot be done with it."""
        alive()
        smaller = next((s for s in self._too_large if s.depth <= shape.depth and s.width <= shape.width), None)
        if smaller is not None:
            self._too_large[shape] = f"not tried, since {smaller} does not fit"
            return None
        try:
            self._check_memory(shape)
            return action()
        except Exception as error:
            if devices.is_out_of_memory(error):
                self._too_large[shape] = in_short(error)
            elif isinstance(error, DeploymentError):
                self._refused[shape] = unsupported(error)
            else:
                raise
        self.release()
        return None

    def _check_memory(self, shape: Shape) -> None:
        """Refuse what the system would end this process for, as it grants memory it has not.

        Raises:
            MemoryError: says how much is needed and how much there is.
        """
        try:
            needed = self._least_memory(shape)
        except NetworkError:
            return  # it may look at the values of its inputs, and if it is wrong, that shows when it runs
        free = devices.free_memory("cpu")
        if needed > free:
            raise MemoryError(f"it needs at least {needed / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free")

    def _least_memory(self, shape: Shape) -> int:
        """Return the bytes that a forward pass takes of this machine's memory at least; 0 if it runs on another one."""
        workload, shipping = self.workload, self.workload.shipping
        if shipping is not None and not shipping.target.is_here:
            return 0
        if workload.device != "cpu":  # the inputs are made here, and go there
            with checked.blame_network(workload.architecture, checked.EXAMPLE, shape):
                return sum(value.nbytes for value in inputs.tensors(inputs.on_meta(workload.example)))
        needed = peak_memory.computed(workload, shape, self.numerics)
        if shipping is not None and workload.ships:
            return needed * BYTES[shipping.deployment.precision] // BYTES[self.numerics.precision]
        return needed

    def is_hopeless(self, shape: Shape) -> bool:
        """Tell whether more memory would not help, since a smaller one does not fit or it cannot be run at all."""
        return shape in self._refused or any(
            s != shape and s.depth <= shape.depth and s.width <= shape.width for s in self._too_large
        )

    def forget(self, shape: Shape) -> None:
        """Take back that a shape is too large, as more memory will be free."""
        del self._too_large[shape]

    def refusal(self, shape: Shape) -> Measurement:
        """Return the measurement of a shape that was not done: no value, and why."""
        return self._refused.get(shape) or Measurement(
            None, status=OUT_OF_MEMORY, details={"why": self._too_large[shape]}
        )

    def release(self) -> None:
        """Give back the memory of networks that are gone."""
        devices.release_memory(self.workload.device)
