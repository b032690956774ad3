"""Where the images of a dataset lie while a device trains on them."""

from __future__ import annotations

from collections.abc import Sequence

from shape_dnn import devices
from shape_dnn.kinds import EncodedImages, Images
from shape_dnn.training.pixels import OnDevice, OnHost, Pixels, size

SHARE = 0.25
"""Part of a GPU's memory that images take at most."""


def place(parts: Sequence[Images], device: str) -> type[Pixels]:
    """Tell where the images of a dataset lie, by their size alone; what is trained on them is the same.

    Args:
        parts: of the dataset.
        device: that trains, as torch writes it.
    """
    if isinstance(parts[0], EncodedImages):
        from shape_dnn.training.streamed import Streamed

        return Streamed
    if not device.startswith("cuda"):
        return OnDevice
    return OnDevice if size(parts) <= SHARE * devices.total_memory(device) else OnHost
