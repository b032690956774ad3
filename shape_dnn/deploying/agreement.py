"""Whether a runtime computes what a network does, in float32."""

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
    """See that outputs are the same but for rounding; where one is infinite or not a number, the other must be.

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
        right, found = value.double(), torch.from_numpy(array).double()
        differing = (right != found) & ~(right.isnan() & found.isnan())
        difference, largest = _largest((found - right)[differing]), _largest(right[right.isfinite()])
        if not difference <= TOLERANCE * max(1.0, largest):
            message = f"{runtime} computes another {name} than the network, by {difference:.2g}"
            raise DeploymentError(f"{message}, which is more than rounding")


def _largest(values: torch.Tensor) -> float:
    return float(values.abs().max()) if values.numel() else 0.0
