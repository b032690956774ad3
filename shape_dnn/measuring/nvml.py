"""The sensors of an NVIDIA GPU, read through the driver's management library (NVML)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import pynvml

from shape_dnn.errors import MeterError

REMEDIES = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "libnvidia-ml.so.1 was not found; install the NVIDIA driver, and in a "
    "container let the runtime provide the capability 'utility'",
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "the NVIDIA driver is not loaded; load it, or restart the machine",
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "the NVIDIA driver was upgraded while in use; restart the machine",
    pynvml.NVML_ERROR_NO_PERMISSION: "this user may not read the sensors; ask the administrator for access",
    pynvml.NVML_ERROR_GPU_IS_LOST: "the GPU has fallen off the bus; restart the machine",
    pynvml.NVML_ERROR_NOT_FOUND: "NVML does not know this GPU; is it hidden from this container?",
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND: "the NVIDIA driver is too old for it; upgrade the driver",
}
SLOWDOWNS = (
    pynvml.nvmlClocksEventReasonHwSlowdown
    | pynvml.nvmlClocksEventReasonHwThermalSlowdown
    | pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown
    | pynvml.nvmlClocksEventReasonSwThermalSlowdown
)
"""Reasons for low clocks that come from outside the measured work. The board's power limit is not among them: a network
that reaches it runs at that speed wherever this board is used."""
ABSENT = (pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_FUNCTION_NOT_FOUND, pynvml.NVML_ERROR_NO_DATA)
FORBIDDEN = (pynvml.NVML_ERROR_NO_PERMISSION,)
Value = TypeVar("Value")
BUSY = 5
"""Percent of the multiprocessors that another process must use to count as contention."""


def explain(error: pynvml.NVMLError) -> str:
    """Say what went wrong, and the remedy if there is one."""
    remedy = REMEDIES.get(error.value)
    return f"NVML: {error}" + (f" ({remedy})" if remedy else "")


@contextmanager
def session() -> Iterator[None]:
    """Keep NVML open.

    Raises:
        MeterError: there is no NVML; says why and the remedy.
    """
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise MeterError(explain(error)) from None
    try:
        yield
    finally:
        pynvml.nvmlShutdown()


@dataclass(frozen=True)
class Gpu:
    """One GPU, found by its UUID: NVML counts all GPUs of the machine, whatever CUDA_VISIBLE_DEVICES says.

    Needs an open :func:`session`. What a board does not have is None; a read that fails raises an NVMLError. What only
    goes with a measurement, such as the temperature, is None also where this user may not read it.

    Attributes:
        uuid: such as ``GPU-1b2c…``.
        name: of the product.
        driver: its version.
    """

    handle: Any
    uuid: str
    name: str
    driver: str

    @classmethod
    def find(cls, uuid: str) -> Gpu:
        """Look a GPU up.

        Raises:
            MeterError: there is none of this UUID, or it is divided into instances (MIG).
        """
        try:
            handle, is_instance = _look_up(uuid)
            name, driver = pynvml.nvmlDeviceGetName(handle), pynvml.nvmlSystemGetDriverVersion()
            is_divided = is_instance or _is_divided(handle)
        except pynvml.NVMLError as error:
            raise MeterError(f"GPU {uuid}: {explain(error)}") from None
        if is_divided:
            raise MeterError(
                f"{name} is divided into instances (MIG), and its sensors see the sum of all; switch MIG off to measure"
            )
        return cls(handle, uuid, name, driver)

    def joules(self) -> float | None:
        """Read the energy since the driver was loaded (Volta and later)."""
        millijoules = _optional(lambda: int(pynvml.nvmlDeviceGetTotalEnergyConsumption(self.handle)))
        return None if millijoules is None else millijoules / 1e3

    def watts(self) -> float | None:
        """Read the power: of the moment where the driver tells it, otherwise as the board averages it."""
        instant = _optional(lambda: self._field(pynvml.NVML_FI_DEV_POWER_INSTANT))
        if instant is not None:
            return instant / 1e3
        milliwatts = _optional(lambda: int(pynvml.nvmlDeviceGetPowerUsage(self.handle)))
        return None if milliwatts is None else milliwatts / 1e3

    def _field(self, field: int) -> int:
        (value,) = pynvml.nvmlDeviceGetFieldValues(self.handle, [field])
        if value.nvmlReturn != pynvml.NVML_SUCCESS:
            raise pynvml.NVMLError(value.nvmlReturn)
        return int(value.value.uiVal)

    def clock_mhz(self) -> float | None:
        """Read the clock of the multiprocessors."""
        return _incidental(lambda: float(pynvml.nvmlDeviceGetClockInfo(self.handle, pynvml.NVML_CLOCK_SM)))

    def temperature_c(self) -> float | None:
        """Read the temperature of the chip."""
        return _incidental(lambda: float(pynvml.nvmlDeviceGetTemperature(self.handle, pynvml.NVML_TEMPERATURE_GPU)))

    def is_throttled(self) -> bool | None:
        """Tell whether heat or the power supply holds the clocks down."""
        reasons = _incidental(lambda: pynvml.nvmlDeviceGetCurrentClocksEventReasons(self.handle))
        if reasons is None:  # drivers before 535 call them throttle reasons
            reasons = _incidental(lambda: pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(self.handle))
        return None if reasons is None else bool(reasons & SLOWDOWNS)

    def use_by_others(self, since_us: int, own: int = 0) -> float | None:
        """Return the part of the multiprocessors that other processes use, by the driver's last samples.

        Args:
            since_us: time of the oldest sample, in microseconds since 1970.
            own: number of the process that may use the GPU; by default this one. In a container, where NVML sees
                other numbers, the busiest process is taken for it.
        """
        own = own or os.getpid()
        try:
            samples = pynvml.nvmlDeviceGetProcessUtilization(self.handle, since_us)
        except pynvml.NVMLError as error:
            if error.value == pynvml.NVML_ERROR_NOT_FOUND:  # nobody used it
                return 0.0
            if error.value in (*ABSENT, *FORBIDDEN):
                return None
            raise
        use: dict[int, int] = {}
        for sample in samples:
            use[sample.pid] = max(use.get(sample.pid, 0), sample.smUtil)
        use.pop(own if own in use else max(use, key=use.__getitem__, default=0), None)
        busy = sum(percent for percent in use.values() if percent >= BUSY)
        return busy / 100

    def condition(self) -> dict[str, float | None]:
        """Return clock and temperature, for the record."""
        return {"clock_mhz": self.clock_mhz(), "temperature_c": self.temperature_c()}


def uuid_of(device: str) -> str:
    """Return the UUID by which NVML knows a CUDA device of torch.

    Raises:
        MeterError: it is not a CUDA device, or has no UUID.
    """
    import torch

    if not device.startswith("cuda"):
        raise MeterError(f"NVML measures NVIDIA GPUs, and the device is {device}")
    uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    if uuid is None:
        raise MeterError(f"torch does not tell the UUID of {device}, by which NVML knows it; upgrade torch")
    text = str(uuid)
    return text if text.startswith(("GPU-", "MIG-")) else f"GPU-{text}"


def _optional(read: Callable[[], Value]) -> Value | None:
    """Read what not every board or driver has; anything else that goes wrong is an error."""
    try:
        return read()
    except pynvml.NVMLError as error:
        if error.value in ABSENT:
            return None
        raise


def _incidental(read: Callable[[], Value]) -> Value | None:
    """Read what a measurement can do without."""
    try:
        return _optional(read)
    except pynvml.NVMLError as error:
        if error.value in FORBIDDEN:
            return None
        raise


def _look_up(uuid: str) -> tuple[Any, bool]:
    """Return a GPU, or an instance of one, and whether it is an instance: torch tells the same kind of UUID of both."""
    is_instance = uuid.startswith("MIG-")
    try:
        return pynvml.nvmlDeviceGetHandleByUUID(uuid), is_instance
    except pynvml.NVMLError as error:
        if error.value == pynvml.NVML_ERROR_NOT_FOUND and not is_instance:
            with contextlib.suppress(pynvml.NVMLError):
                return pynvml.nvmlDeviceGetHandleByUUID(f"MIG-{uuid.removeprefix('GPU-')}"), True
        raise


def _is_divided(handle: Any) -> bool:
    mode = _optional(lambda: pynvml.nvmlDeviceGetMigMode(handle))
    return mode is not None and mode[0] == pynvml.NVML_DEVICE_MIG_ENABLE
