"""Runs artifacts by LiteRT. Works with Python 3.9, ai-edge-litert and numpy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

REQUIRES = {"ai-edge-litert": "2"}


def versions() -> dict[str, str]:
    """Return the versions of what runs artifacts here."""
    import ai_edge_litert.interpreter
    import numpy as np

    return {"ai-edge-litert": metadata.version(ai_edge_litert.__name__), "numpy": np.__version__}


def load(directory: str, settings: Mapping[str, Any]) -> Model:
    """Load an artifact.

    Raises:
        ValueError: a setting cannot be had here; says what can.
    """
    return Model(Path(directory) / "model.tflite", settings)


class Model:
    """An artifact that is loaded."""

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        from ai_edge_litert.interpreter import Interpreter

        threads = settings["threads"]
        if threads < 1:
            raise ValueError(f"threads={threads}; accepted are numbers from 1")
        self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
        self._interpreter.allocate_tensors()
        signature = self._interpreter.get_signature_runner()
        self._inputs = _places(signature.get_input_details())
        self._outputs = _places(signature.get_output_details())

    def run(self, arrays: Sequence[Any]) -> list[Any]:
        """Return the outputs, given the inputs in the order in which the network takes them."""
        if len(arrays) != len(self._inputs):
            raise ValueError(f"{len(arrays)} inputs were given; accepted are {len(self._inputs)}")
        for place, array in zip(self._inputs, arrays):  # noqa: B905 - not in Python 3.9
            self._interpreter.set_tensor(place, array)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(place) for place in self._outputs]


def _places(details: Mapping[str, Any]) -> list[int]:
    """Return where tensors lie, by the numbers in their names: ``args_10`` comes after ``args_9``."""
    return [details[name]["index"] for name in sorted(details, key=lambda name: int(name.rpartition("_")[2]))]
