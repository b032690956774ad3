"""What float32 means on a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

CAPABILITY = (8, 0)
"""Least compute capability of a GPU that has TF32."""


@contextmanager
def allowing_tf32(allowed: bool) -> Iterator[None]:
    """Let convolutions in float32 be computed in TF32 meanwhile, with factors of 10 bits, or see that they are not.

    Torch lets them unless told otherwise; products of matrices it does not. A GPU without TF32 does not know it.
    """
    import torch

    convolutions = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    before = convolutions.fp32_precision
    convolutions.fp32_precision = before if allowed else "ieee"
    try:
        yield
    finally:
        convolutions.fp32_precision = before


def float32_of(device: str, precision: str) -> dict[str, str]:
    """Say for the record what convolutions in float32 are computed in; nothing where there is no choice."""
    import torch

    if not device.startswith("cuda") or precision != "float32":
        return {}
    has_tf32 = torch.cuda.get_device_capability(device) >= CAPABILITY
    computed = torch.backends.cudnn.conv.fp32_precision  # type: ignore[attr-defined]
    return {"convolutions": computed if has_tf32 else "ieee"}
