"""Which devices there are, and what identifies one."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from shape_dnn.errors import UnavailableError, UsageError, describe
from shape_dnn.system import cgroups, cuda

PROCESSOR = Path("/proc/cpuinfo")
NAMING = ("model name", "cpu family", "model", "stepping", "Hardware", "CPU implementer", "CPU architecture")
"""What names a processor there: of x86 the first four, of ARM the others, with the parts of its cores."""
SYSCTL = ("/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string")
"""What prints the name on macOS, such as ``Apple M4``; Python says ``arm`` of all of them."""


def resolve(device: str) -> str:
    """Return the device as torch writes it; ``auto`` is the first GPU that torch has kernels for, else the processor.

    Raises:
        UsageError: there is no such device; the message lists those there are, and why a GPU is not among them. Or
            torch has no kernels for it, so that nothing can run there.
    """
    if device == "cpu":
        return device
    import torch

    there = available()
    if device == "auto":
        return next((gpu for gpu in there[1:] if not cuda.missing_kernels(gpu)), "cpu")
    try:
        wanted = torch.device(device)
    except RuntimeError:
        raise UsageError(
            f"{device!r} is not a device; write cpu, cuda or cuda:N; here are: {', '.join(there)}", setting="device"
        ) from None
    name = "cuda:0" if device == "cuda" else device  # torch takes cuda:256 for cuda:0
    if name not in there:
        why = cuda.why_absent() if wanted.type == "cuda" else ""
        raise UsageError(f"{device!r} is not there; here are: {', '.join(there)}{why and '; '}{why}", setting="device")
    if name != "cpu" and (missing := cuda.missing_kernels(name)):
        raise UsageError(missing, setting="device")
    return name


def available() -> list[str]:
    """List the devices this machine can train and measure on, the processor first.

    Raises:
        UnavailableError: the environment says of GPUs what cannot be.
    """
    import torch

    return ["cpu", *(f"cuda:{i}" for i in range(gpus() if torch.cuda.is_available() else 0))]


def cores() -> int:
    """Count the processors that this process may keep busy, within what its container, job or task is granted.

    Not every system tells those that it may use apart from those there are.
    """
    usable = getattr(os, "sched_getaffinity", None)
    there = len(usable(0)) if usable else os.cpu_count() or 1
    return min(there, cgroups.processors() or there, _granted or there)


_granted: int | None = None


def grant(cores: int | None) -> None:
    """Have this process keep no more processors busy, where its cluster counts them and nothing else holds it back.

    Args:
        cores: that its task has; None for as many as there are.
    """
    global _granted  # noqa: PLW0603 - it is of the process
    _granted = cores


def gpus() -> int:
    """Count the GPUs that this process may use, without making use of any.

    Raises:
        UnavailableError: the environment says of them what cannot be.
    """
    import torch

    try:
        return torch.cuda.device_count()
    except RuntimeError as error:
        said = f"{describe(error)}; correct or unset what the environment says: {cuda.hiding() or 'nothing'}"
        raise UnavailableError(f"the GPUs cannot be counted: {said}") from None


def visible(gpus: Sequence[int]) -> dict[str, str]:
    """Return the part of an environment by which another process sees only some of the GPUs of this one.

    Args:
        gpus: their numbers here.

    Raises:
        UnavailableError: the environment names fewer than torch has found, so it was changed meanwhile.
    """
    variable, names = cuda.visible()
    here = None if names is None else names.split(",")
    if here is not None and max(gpus) >= len(here):
        raise UnavailableError(f"{cuda.hiding()} names fewer GPUs than torch has found; set it before that is asked")
    return {variable: ",".join(str(gpu) if here is None else here[gpu].strip() for gpu in gpus)}


OUT_OF_MEMORY = (
    "allocate memory", "out of memory", "ALLOC_FAILED", "unable to find an engine", "valid cuDNN algorithm",
)  # fmt: skip
"""What the messages of torch, CUDA, cuDNN and other runtimes have in common that speak of it.

Those of cuDNN say that none of its ways to compute something fits into what is left.
"""


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether this is how Python, torch or another runtime says that the memory does not suffice."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(words in str(error) for words in OUT_OF_MEMORY)


def release_memory(device: str) -> None:
    """Give back what networks that are gone had of a GPU's memory."""
    import torch

    if device.startswith("cuda"):
        with contextlib.suppress(RuntimeError):  # a GPU that has failed gives nothing back
            torch.cuda.empty_cache()


def free_memory(device: str) -> int:
    """Return the bytes of a device that are free, within what the system grants this process."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    import psutil

    return min([int(psutil.virtual_memory().available), *(free for _, free in cgroups.memory())])


def total_memory(device: str) -> int:
    """Return the bytes that a device has, within what the system grants this process."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.get_device_properties(device).total_memory)
    import psutil

    return min([int(psutil.virtual_memory().total), *(limit for limit, _ in cgroups.memory())])


def fingerprint(device: str) -> dict[str, str]:
    """Describe the hardware and software that determine how fast a network runs."""
    import torch

    if device == "cpu":
        backend = torch.backends.cpu.get_cpu_capability()
    else:
        backend = f"CUDA {torch.version.cuda}, cuDNN {_cudnn()}"
    return {"hardware": hardware(device), "backend": backend, "torch": torch.__version__, "system": platform.platform()}


def _cudnn() -> int | None:
    """Return the version of cuDNN; None if torch has none.

    Where cuDNN refuses one of the GPUs here, be it another one, torch raises that instead when it is first asked, and
    tells the version from then on. It is the same version, so what a GPU is known by is the same both times.
    """
    import torch

    try:
        return torch.backends.cudnn.version()  # type: ignore[no-untyped-call,no-any-return]
    except RuntimeError:
        return torch._C._cudnn.getVersionInt()  # noqa: SLF001 - which is all that the other one returns


def hardware(device: str) -> str:
    """Name the processor, or a GPU with its memory."""
    if device == "cpu":
        return _processor()
    import torch

    properties = torch.cuda.get_device_properties(device)
    return f"{properties.name}, {properties.total_memory // 2**20} MiB"


def _processor() -> str:
    """Name the processor so that two kinds of them have two names."""
    try:
        lines = PROCESSOR.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    said = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    found = {name: value for name, value in said if name in NAMING}
    parts = sorted({value for name, value in said if name == "CPU part"})  # cores may be of several kinds
    if parts:
        found["CPU parts"] = ", ".join(parts)
    named = ", ".join(f"{name} {value}" for name, value in sorted(found.items()))
    if not named and sys.platform == "darwin":
        named = subprocess.run(SYSCTL, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
    return named or platform.processor() or "unknown"
