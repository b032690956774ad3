"""Building the networks that are measured, some of which may not fit into memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from shape_dnn import devices
from shape_dnn.errors import NetworkError
from shape_dnn.kinds import Workload
from shape_dnn.measuring import peak_memory
from shape_dnn.measuring.forward_pass import ForwardPass, Numerics
from shape_dnn.records import Measurement
from shape_dnn.shape import Shape
from shape_dnn.work import alive

OUT_OF_MEMORY = "out of memory"
Result = TypeVar("Result")


class Builder:
    """Makes forward passes, and remembers which shapes were too large, so that larger ones are not tried.

    Args:
        workload: what to run.
        numerics: formats and mode.
    """

    def __init__(self, workload: Workload, numerics: Numerics) -> None:
        self.workload = workload
        self.numerics = numerics
        self._too_large: dict[Shape, str] = {}

    def build(self, shape: Shape) -> ForwardPass | None:
        """Build a network and run it once; None if it is too large, and then :meth:`refusal` says why."""

        def make() -> ForwardPass:
            forward = ForwardPass(self.workload, shape, self.numerics)
            forward()
            return forward

        return self.attempt(shape, make)

    def attempt(self, shape: Shape, action: Callable[[], Result]) -> Result | None:
        """Do something with a network; None if that needs more memory than there is."""
        alive()
        smaller = next((s for s in self._too_large if s.depth <= shape.depth and s.width <= shape.width), None)
        if smaller is not None:
            self._too_large[shape] = f"not tried, since {smaller} does not fit"
            return None
        try:
            self._check_memory(shape)
            return action()
        except Exception as error:
            if not devices.is_out_of_memory(error):
                raise
            self._too_large[shape] = " ".join(str(error).split())[:300]
        self.release()
        return None

    def _check_memory(self, shape: Shape) -> None:
        """Refuse on the processor what the system would end this process for, as it grants memory it has not.

        Raises:
            MemoryError: says how much is needed and how much there is.
        """
        if self.workload.device == "cpu":
            import psutil

            try:
                needed = peak_memory.computed(self.workload, shape, self.numerics)
            except NetworkError:
                return  # it may look at the values of its inputs, and if it is wrong, that shows when it runs
            available = psutil.virtual_memory().available
            if needed > available:
                raise MemoryError(f"it needs at least {needed / 1e6:.0f} MB, and {available / 1e6:.0f} MB are free")

    def is_hopeless(self, shape: Shape) -> bool:
        """Tell whether a shape was not tried because a smaller one does not fit."""
        return any(s != shape and s.depth <= shape.depth and s.width <= shape.width for s in self._too_large)

    def forget(self, shape: Shape) -> None:
        """Take back that a shape is too large, as more memory will be free."""
        del self._too_large[shape]

    def refusal(self, shape: Shape) -> Measurement:
        """Return the measurement of a shape that is too large: no value, and why."""
        return Measurement(None, status=OUT_OF_MEMORY, details={"why": self._too_large[shape]})

    def release(self) -> None:
        """Give back the memory of networks that are gone."""
        devices.release_memory(self.workload.device)
