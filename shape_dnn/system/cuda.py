"""Whether torch, the driver and the GPUs of this machine go together."""

from __future__ import annotations

import os
import re
import shutil

from shape_dnn.errors import describe

CONTROL = "nvidia-cuda-mps-control"
"""The program that starts NVIDIA's multi-process service and speaks with it, which comes with the driver on Linux."""
OLDEST_DRIVER = {11: 450, 12: 525, 13: 580}
"""By major version of CUDA: of the driver, the oldest that runs it. Minor versions make no difference."""


def why_none() -> str:
    """Say why torch can use no GPU although the NVIDIA driver knows one, with the remedy; otherwise return nothing."""
    import torch

    driver = None if torch.version.hip or torch.cuda.is_available() else _driver_of_gpus()
    if driver is None:
        return ""
    if torch.version.cuda is None:
        return f"there is a GPU, with driver {driver}, but torch {torch.__version__} has no CUDA; install one that has"
    oldest = OLDEST_DRIVER.get(_major(torch.version.cuda), 0)
    if _major(driver) < oldest:
        return (
            f"the driver {driver} is too old for CUDA {torch.version.cuda} of this torch; upgrade the driver to "
            f"{oldest} or later, or install a torch for an older CUDA"
        )
    variable, names = visible()
    if names is not None and not torch.cuda.device_count():
        return f"there is a GPU, but {variable}={names!r} hides it; unset that"
    return f"there is a GPU, with driver {driver}, but CUDA cannot use it: {_failure()}"


def why_absent() -> str:
    """Say why torch may not see a GPU; return nothing if there is no more to say than that it is not there."""
    named = hiding()
    return why_none() or (f"{named} may hide it" if named else "")


def sharing() -> str:
    """Say how processes that share a GPU of NVIDIA run; return nothing where torch was made for others."""
    import torch

    if torch.version.hip:
        return ""
    if shutil.which(CONTROL) is None:
        return f"in turns, as there is no {CONTROL}"
    return "in turns, or with -o executor.mps=true side by side"


def visible() -> tuple[str, str | None]:
    """Return the variable that says which GPUs a process sees, with its value in this one; None for all of them.

    Where torch was made for GPUs of AMD, their own variable counts, or else that of CUDA.
    """
    import torch

    names = ("HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES") if torch.version.hip else ("CUDA_VISIBLE_DEVICES",)
    return names[0], next((os.environ[name] for name in names if name in os.environ), None)


def hiding() -> str:
    """Name the variables that may hide GPUs from this process, with their values; return nothing if there are none."""
    import torch

    names = ("CUDA_VISIBLE_DEVICES", *(("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES") if torch.version.hip else ()))
    return " and ".join(f"{name}={os.environ[name]!r}" for name in names if name in os.environ)


def missing_kernels(device: str) -> str:
    """Say that torch was not compiled for a GPU, with the remedy; return nothing if it was.

    Args:
        device: as torch writes it.
    """
    import torch

    capability, compiled = torch.cuda.get_device_capability(device), torch.cuda.get_arch_list()
    if torch.version.hip or not compiled or any(runs(capability, each) for each in compiled):
        return ""
    is_older = all(capability < (major, minor) for _, major, minor, _ in map(_parts, compiled))
    remedy = "install a torch for an older CUDA, if one has them" if is_older else "install a newer torch"
    return (
        f"{device}, {torch.cuda.get_device_name(device)}, has compute capability {capability[0]}.{capability[1]}, for "
        f"which torch {torch.__version__} has no kernels, but for {', '.join(compiled)}; {remedy}"
    )


def runs(capability: tuple[int, int], compiled: str) -> bool:
    """Tell whether a GPU runs what was compiled for one.

    Machine code (``sm_86``) runs where the major version is the same and the minor one is no older, and intermediate
    code (``compute_86``) on all that is no older. With an ``a`` behind it, it runs on nothing else; with an ``f``, on
    the same major version only.

    Args:
        capability: compute capability of the GPU.
        compiled: as torch writes it.
    """
    kind, major, minor, suffix = _parts(compiled)
    if suffix == "a":
        return capability == (major, minor)
    if kind == "compute" and not suffix:
        return capability >= (major, minor)
    return capability[0] == major and capability[1] >= minor


def _parts(name: str) -> tuple[str, int, int, str]:
    """Take apart such names as ``sm_120a``, of which the last digit is the minor version."""
    found = re.fullmatch(r"(sm|compute)_(\d+)(\d)([af]?)", name)
    assert found is not None, name  # noqa: S101 - all that nvcc knows are of this form
    return found[1], int(found[2]), int(found[3]), found[4]


def _driver_of_gpus() -> str | None:
    """Return the version of the NVIDIA driver if it knows a GPU."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:  # there is no driver
        return None
    try:
        return str(pynvml.nvmlSystemGetDriverVersion()) if pynvml.nvmlDeviceGetCount() else None
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()


def _failure() -> str:
    """Return what torch says when it is asked to use CUDA."""
    import torch

    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as error:
        return describe(error)[:200]
    return "torch finds none"


def _major(version: str) -> int:
    return int(version.partition(".")[0])
