"""The files of an exported network. Each is read back and compared with the network before anybody sees it."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shape_dnn import durable
from shape_dnn.errors import ExportError, UsageError, describe
from shape_dnn.exporting import CARD, FORMATS
from shape_dnn.exporting.card import INPUT, LEVELS, OUTPUT
from shape_dnn.exporting.choice import Trained
from shape_dnn.exporting.classifier import Classifier

COMPARED = 64
"""Images on which the files are compared with the network."""
TOLERANCE = 1e-3
"""How much a logit may differ, as a part of the largest of all, or in itself if that is below 1."""
MOST_IN_ONE_FILE = 1_500_000_000
"""Bytes of weights up to which ONNX keeps them in the file of the program; its format ends at 2 GiB."""

Program = Callable[[Tensor], Tensor]


def write(trained: Trained, card: Mapping[str, Any], directory: Path, formats: Sequence[str]) -> None:
    """Write a network into a directory, which has all files at the end, or is as it was before.

    Args:
        trained: the network.
        card: what is known of it.
        directory: a former export there is replaced.
        formats: of :data:`shape_dnn.exporting.FORMATS`.

    Raises:
        UsageError: the directory cannot be written, or holds something else.
        ExportError: a format cannot hold the network, or what was written computes something else.
    """
    if directory.exists() and not (directory.is_dir() and (_is_empty(directory) or (directory / CARD).is_file())):
        message = f"{str(directory)!r} holds something else than an export (no {CARD}); choose another"
        raise UsageError(message, setting="output")
    network = Classifier.build(trained.architecture, trained.weights, card)
    images = _images(trained)
    with _naming_errors(directory), durable.replaced_directory(directory) as partial:
        shutil.copyfile(trained.weights, partial / FORMATS["safetensors"])
        program = _program(network, images) if set(formats) - {"safetensors"} else None
        differences = {}
        for name in formats:
            if program is not None and name in WRITERS:
                computed = WRITERS[name](program, partial / FORMATS[name])
                differences[name] = _compare(name, network, computed, images)
        agreement = {"images": len(images), "largest_difference": differences}
        text = json.dumps({**card, "agreement": agreement}, indent=2, allow_nan=False)
        (partial / CARD).write_text(text + "\n", encoding="utf-8")


def _is_empty(directory: Path) -> bool:
    return next(directory.iterdir(), None) is None


@contextmanager
def _naming_errors(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write {str(directory)!r}: {error.strerror or error}", setting="output") from error


def _images(trained: Trained) -> Tensor:
    """Return some of the images that the network was judged on."""
    _, judged_on = trained.split()
    levels = np.asarray(judged_on.images.images[judged_on.indices[:COMPARED]])
    return torch.from_numpy(levels).float() / LEVELS


def _program(network: Classifier, images: Tensor) -> torch.export.ExportedProgram:
    """Trace the network for batches of any size."""
    batch = torch.export.Dim("batch", min=1)
    example = torch.zeros(2, *images.shape[1:])  # torch.export takes a size of 1 for a constant
    with _failures_of("torch.export"):
        return torch.export.export(network, (example,), dynamic_shapes=({0: batch},))


def _write_pt2(program: torch.export.ExportedProgram, path: Path) -> Program:
    with _failures_of("pt2"):
        torch.export.save(program, path)
        computed: Program = torch.export.load(path).module()
        return computed


def _write_onnx(program: torch.export.ExportedProgram, path: Path) -> Program:
    import onnxruntime

    with _failures_of("onnx"):
        exported = torch.onnx.export(program, input_names=[INPUT], output_names=[OUTPUT], dynamo=True, verbose=False)
        assert exported is not None  # noqa: S101 - with dynamo it is a program
        exported.rename_axes({str(axes[0]): "batch" for axes in [exported.model.graph.inputs[0].shape] if axes})
        weights = sum(value.nbytes for value in program.state_dict.values())
        exported.save(path, external_data=weights > MOST_IN_ONE_FILE)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run([OUTPUT], {INPUT: images.numpy()})[0])


WRITERS: Mapping[str, Callable[[torch.export.ExportedProgram, Path], Program]] = {
    "pt2": _write_pt2,
    "onnx": _write_onnx,
}
"""Write a program into a file, and return what that computes when it is read back."""


@contextmanager
def _failures_of(format_: str) -> Iterator[None]:
    """Say which format cannot hold the network; what exporters only warn of says nothing to users."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except OSError:
        raise
    except Exception as error:
        message = f"the network cannot be written as {format_}: {describe(error)[:300]}"
        raise ExportError(f"{message}; --formats leaves formats out") from error


def _compare(name: str, network: Classifier, computed: Program, images: Tensor) -> float:
    """Return the largest difference of a logit from that of the network, in batches of different sizes.

    Raises:
        ExportError: it is beyond what rounding explains.
    """
    largest = 0.0
    with torch.inference_mode():
        for batch in torch.split(images, [1, *_rest(len(images) - 1)]):
            expected = network(batch)
            with _failures_of(name):
                difference = float((computed(batch) - expected).abs().max())
            if not difference <= TOLERANCE * max(1.0, float(expected.abs().max())):
                message = f"the logits of what was written as {name} differ by {difference:.2g} from the network's"
                raise ExportError(f"{message}, which is more than rounding; --formats leaves formats out")
            largest = max(largest, difference)
    return largest


def _rest(number: int) -> list[int]:
    """Divide a number of images into two batches of different sizes, where there are enough."""
    return [size for size in (number // 3, number - number // 3) if size]
