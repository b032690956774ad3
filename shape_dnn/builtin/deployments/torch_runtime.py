"""Runs programs of torch.export. Works with torch and numpy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

REQUIRES = {"torch": "2.11"}


def versions() -> dict[str, str]:
    """Return the versions of what runs artifacts here."""
    import numpy as np
    import torch

    return {"torch": str(torch.__version__), "numpy": np.__version__}


def load(directory: str, settings: Mapping[str, Any]) -> Model:
    """Load an artifact."""
    return Model(Path(directory) / "model.pt2", settings)


class Model:
    """An artifact that is loaded."""

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        import torch

        torch.set_num_threads(settings["threads"])
        self._torch = torch
        program = torch.export.load(path)
        self._takes = len(program.graph_signature.user_inputs)
        self._program = program.module(check_guards=False)  # the sizes of inputs are fixed

    def run(self, arrays: Sequence[Any]) -> list[Any]:
        """Return the outputs, given the inputs in the order in which the network takes them."""
        if len(arrays) != self._takes:
            raise ValueError(f"{len(arrays)} inputs were given; accepted are {self._takes}")
        with self._torch.inference_mode():
            return [value.numpy() for value in self._program(*map(self._torch.from_numpy, arrays))]
