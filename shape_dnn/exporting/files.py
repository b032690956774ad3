"""The files of an exported network. Each is read back and compared with the network before anybody sees it."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shape_dnn.errors import ExportError, UsageError, describe
from shape_dnn.exporting import CARD, FORMATS
from shape_dnn.exporting.card import INPUT, LEVELS, OUTPUT
from shape_dnn.exporting.choice import Trained
from shape_dnn.exporting.classifier import Classifier
from shape_dnn.system import durable

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
    place = _free_place(directory)
    with _naming_errors(directory):
        network = Classifier.build(trained.architecture, trained.weights, card)
        images = _images(trained)
        with durable.replaced_directory(place) as partial:
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


def _free_place(directory: Path) -> Path:
    """Return where a directory really is, if nothing but a former export would be lost there.

    Raises:
        UsageError: there is something else, or it is no name of a directory.
    """
    with _naming_errors(directory):
        try:
            place = directory.resolve()
            if not place.exists():
                return place
        except (ValueError, RuntimeError) as error:  # a NUL character, a loop of links
            raise OSError(error) from error
        if Path.cwd().is_relative_to(place):
            raise UsageError(f"{str(directory)!r} is, or holds, the working directory; choose another", "output")
        if not place.is_dir() or not (_is_export(place) or not any(place.iterdir())):
            message = f"{str(directory)!r} holds something else than an export (a {CARD} and its files)"
            raise UsageError(f"{message}; choose another", "output")
    return place


def _is_export(directory: Path) -> bool:
    """Tell whether a directory holds what was exported and nothing else."""
    own = {CARD, *FORMATS.values(), *(f"{name}.data" for name in FORMATS.values())}
    if not {CARD} <= {path.name for path in directory.iterdir() if path.is_file()} <= own:
        return False
    try:
        card = json.loads((directory / CARD).read_text(encoding="utf-8"))
        return {"format", "architecture", "agreement"} <= card.keys() and not any(map(Path.is_dir, directory.iterdir()))
    except (ValueError, AttributeError):
        return False


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
        program = torch.export.export(network, (example,), dynamic_shapes=({0: batch},))
        for module in program.graph_module.modules():
            for node in getattr(getattr(module, "graph", None), "nodes", ()):
                node.meta.pop("stack_trace", None)  # paths and lines of this machine are nobody else's business
        return program


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
    before = logging.root.manager.disable
    logging.disable()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    except OSError:
        raise
    except Exception as error:
        message = f"the network cannot be written as {format_}: {describe(error)[:300]}"
        raise ExportError(f"{message}; --formats leaves formats out") from error
    finally:
        logging.disable(before)


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
