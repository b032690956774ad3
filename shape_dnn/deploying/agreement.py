"""Whether a runtime, or a file, computes what a network does, in float32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from shape_dnn.errors import DeploymentError

if TYPE_CHECKING:
    import numpy as np
    import torch

TOLERANCE = 1e-3
"""How much an output may differ, as a part of the largest of all, or in itself if that is below 1."""


def check(
    runtime: str, names: Sequence[str], expected: Sequence[torch.Tensor], computed: Sequence[np.ndarray[Any, Any]]
) -> None:
    """See that outputs are the same but for rounding.

    Args:
        runtime: its name, for the message.
        names: of the outputs.
        expected: what the network computes.
        computed: what the runtime does.

    Raises:
        DeploymentError: an output differs by more; names it.
    """
    import torch

    for name, value, array in zip(names, expected, computed, strict=True):
        difference = difference_of(value, torch.from_numpy(array))
        if not is_rounding(difference, value):
            message = f"{runtime} computes another {name} than the network, by {difference:.2g}"
            raise DeploymentError(f"{message}, which is more than rounding")


def difference_of(expected: torch.Tensor, computed: torch.Tensor) -> float:
    """Return the largest difference of an element; what is infinite or no number in both does not differ."""
    right, found = expected.double(), computed.double()
    differing = (right != found) & ~(right.isnan() & found.isnan())
    return _largest((found - right)[differing])


def is_rounding(difference: float, expected: torch.Tensor) -> bool:
    """Tell whether rounding explains how much a tensor differs from what is expected."""
    return difference <= TOLERANCE * max(1.0, _largest(expected[expected.isfinite()].double()))


def _largest(values: torch.Tensor) -> float:
    return float(values.abs().max()) if values.numel() else 0.0
