"""In which precision trainings compute: by a rule, which depends on no clock, nor on what is trained first."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shape_dnn.errors import describe
from shape_dnn.kinds import Architecture, InputShape
from shape_dnn.recipes import Precision
from shape_dnn.shape import Shape

if TYPE_CHECKING:
    from shape_dnn.training.classifier import ClassifierTrainer

CHANNELS, PART = 16, 0.9
"""Networks compute in bfloat16 whose dense layers with so many channels, or more, do this part of the work.

Of those that were measured (``benchmarks/precision.py``), all gained by it, and those that lost do less.
"""
PROCESSOR_FLAGS = ("amx_bf16", "avx512_bf16", "bf16")
"""Names of what multiplies matrices of bfloat16: of x86 the first two, of ARM the last."""
CAPABILITY = (8, 0)
"""Least compute capability of a GPU that multiplies matrices of bfloat16."""
PROCESSOR = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Decision:
    """A precision, and why.

    Attributes:
        precision: in which operators compute that gain from less of it.
        because: one line.
    """

    precision: Precision
    because: str

    def __str__(self) -> str:
        return f"{self.precision}: {self.because}"


def decide(trainer: ClassifierTrainer, shape: Shape) -> Decision:
    """Decide by the device that trains, and by the kind of one network.

    Args:
        trainer: of a search.
        shape: that stands for all of it.
    """
    able, device = bfloat16_of(trainer.device)
    if not able:
        return Decision("float32", device)
    try:
        work = work_by_channels(trainer.load_architecture(), shape, trainer.input_shape, trainer.classes)
    except Exception as error:  # noqa: BLE001 - what is wrong with the network shows when it is trained
        return Decision("float32", f"the work of {shape} could not be counted ({describe(error)})")
    part = sum(own for channels, own in work.items() if channels >= CHANNELS) / max(1, sum(work.values()))
    network = f"{100 * part:.0f} % of the work of {shape} is in dense layers of {CHANNELS} channels or more"
    if part < PART:
        return Decision("float32", f"only {network}")
    return Decision("bfloat16", f"{device}, and {network}")


def bfloat16_of(device: str) -> tuple[bool, str]:
    """Tell whether a device computes in bfloat16 by itself, and why that is known."""
    if device.startswith("cuda"):
        import torch

        capability = torch.cuda.get_device_capability(device)
        return capability >= CAPABILITY, f"the GPU has compute capability {capability[0]}.{capability[1]}"
    found = sorted(processor_flags() & set(PROCESSOR_FLAGS))
    return bool(found), f"the processor has {' and '.join(found) or 'no instructions for bfloat16'}"


def processor_flags() -> set[str]:
    """Return what the system says that the processor can do; nothing where it does not say."""
    if sys.platform == "darwin":
        asked = ["/usr/sbin/sysctl", "-n", "hw.optional.arm.FEAT_BF16"]
        answer = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 - a constant
        return {"bf16"} if answer.stdout.strip() == "1" else set()
    try:
        lines = PROCESSOR.read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.startswith(("flags", "Features")) for flag in line.partition(":")[2].split()}


def work_by_channels(
    architecture: Architecture, shape: Shape, input_shape: InputShape, classes: int
) -> Mapping[int, int]:
    """Count the multiply-adds of one image in convolutions and linear layers, without computing anything.

    Returns:
        Multiply-adds by the channels of the layer, the input's or the output's, whichever are fewer; those of
        convolutions whose channels are not all combined count as of 0 channels.
    """
    import torch
    from torch import nn

    work: Counter[int] = Counter()

    def count(layer: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
        weights: torch.Tensor = layer.weight  # type: ignore[assignment]
        dense = getattr(layer, "groups", 1) == 1
        work[min(weights.shape[:2]) if dense else 0] += output.numel() * weights[0].numel()

    with torch.device("meta"), torch.inference_mode():
        network = architecture.build(shape, input_shape, classes).eval()
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.register_forward_hook(count)
        network(torch.empty(1, *input_shape))
    return work
