"""The memory that a training of the classifier takes, estimated without computing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shape_dnn.data import images
from shape_dnn.shape import Shape

if TYPE_CHECKING:
    from shape_dnn.training.classifier import ClassifierTrainer

CUDA_CONTEXT = 700_000_000
"""Bytes of a GPU that a process takes for the code of its kernels, by what is known of current drivers."""
SCRATCH = 1.15
"""Factor for the scratch memory of operators."""


def peak_memory(trainer: ClassifierTrainer, shape: Shape) -> int:
    """Estimate the bytes that a training takes on its device, its process included; 0 if that cannot be told.

    A step runs on torch's ``meta`` device in float32, where nothing is computed, so it is quick and needs no memory.
    """
    import psutil
    import torch

    from shape_dnn.measuring.peak_memory import LiveTensors
    from shape_dnn.training.descent import descent

    live = LiveTensors()
    batch = trainer.recipe.batch_size
    try:
        with torch.device("meta"):
            network = trainer.build(shape).train()
            kept = [*network.parameters(), *network.buffers()]
            pixels, labels = torch.empty(batch, *trainer.input_shape), torch.empty(batch, dtype=torch.int64)
            live.note([kept, dict(descent(network, trainer.recipe).state), pixels, labels])
            with live.active():
                torch.nn.functional.cross_entropy(network(pixels), labels).backward()  # type: ignore[no-untyped-call]
    except Exception:  # noqa: BLE001 - what is wrong with the network shows when it is trained
        return 0
    state = sum(value.nbytes for value in kept)
    if trainer.device.startswith("cuda"):
        data = sum(part.images.nbytes + part.labels.nbytes for part in images.load(trainer.images))
        return int(live.peak * SCRATCH) + data + CUDA_CONTEXT
    # The best weights so far, and two copies on their way into files.
    return int(live.peak * SCRATCH) + 3 * state + int(psutil.Process().memory_info().rss)
