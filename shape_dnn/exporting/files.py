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

import torch
from torch import Tensor

from shape_dnn.deploying.agreement import difference_of, is_rounding
from shape_dnn.errors import ExportError, UsageError, describe
from shape_dnn.exporting import ARTIFACT, CARD, FORMATS, RUNTIME, artifact
from shape_dnn.exporting.signature import BATCH, SIZES, Signature
from shape_dnn.exporting.trained import Trained
from shape_dnn.measuring import inputs
from shape_dnn.system import durable, environment

environment.forbid_telemetry()

MOST_IN_ONE_FILE = 1_500_000_000
"""Bytes of weights up to which ONNX keeps them in the file of the program; its format ends at 2 GiB."""

Program = Callable[[Any], Any]
"""Computes what the network does of the same inputs."""


def write(trained: Trained, card: Mapping[str, Any], directory: Path, formats: Sequence[str]) -> None:
    """Write a network into a directory, which has all files at the end, or is as it was before.

    Args:
        trained: the network.
        card: what is known of it.
        directory: a former export there is replaced.
        formats: of :data:`shape_dnn.exporting.FORMATS`, and ``artifact``.

    Raises:
        UsageError: the directory cannot be written, or holds something else.
        ExportError: a format cannot hold the network, or what was written computes something else.
    """
    place = _free_place(directory)
    with _naming_errors(directory), durable.replaced_directory(place) as partial:
        shutil.copyfile(trained.found.weights, partial / FORMATS["safetensors"])
        if ARTIFACT in formats:
            artifact.write(trained.found, partial)
        batches = trained.batches()
        differences = {}
        if programs := [name for name in formats if name in WRITERS]:
            program = _program(trained)
            for name in programs:
                computed = WRITERS[name](program, partial / FORMATS[name], trained.signature)
                differences[name] = max(_compare(name, trained, computed, batch) for _, batch in batches)
        agreement = {trained.examples: sum(size for size, _ in batches), "largest_difference": differences}
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
    own = {CARD, RUNTIME, artifact.EXAMPLE, *FORMATS.values(), *(f"{name}.data" for name in FORMATS.values())}
    if not {CARD} <= {path.name for path in directory.iterdir() if path.is_file()} <= own:
        return False
    try:
        card = json.loads((directory / CARD).read_text(encoding="utf-8"))
        is_card = {"format", "agreement"} <= card.keys() and not card.keys().isdisjoint({"architecture", "trainer"})
        return is_card and not any(path.is_dir() and path.name != ARTIFACT for path in directory.iterdir())
    except (ValueError, AttributeError):
        return False


@contextmanager
def _naming_errors(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write {str(directory)!r}: {error.strerror or error}", setting="output") from error


def _program(trained: Trained) -> torch.export.ExportedProgram:
    """Trace the network for batches of any size."""
    example = trained.example(SIZES[0])
    args, kwargs = inputs.arguments(example)
    with _failures_of("torch.export"):
        dynamic = trained.signature.dynamic(example)
        program = torch.export.export(trained.network, args, kwargs, dynamic_shapes=dynamic)
        for module in program.graph_module.modules():
            for node in getattr(getattr(module, "graph", None), "nodes", ()):
                node.meta.pop("stack_trace", None)  # paths and lines of this machine are nobody else's business
        return program


def _write_pt2(program: torch.export.ExportedProgram, path: Path, _signature: Signature) -> Program:
    file = io.BytesIO()  # on a full disk torch's own writer speaks of frames of C++, or ends the process
    with _failures_of("pt2"):
        torch.export.save(program, file)
        path.write_bytes(file.getbuffer())
        read_back = torch.export.load(path).module()
    return lambda example: inputs.call(read_back, example)


def _write_onnx(program: torch.export.ExportedProgram, path: Path, signature: Signature) -> Program:
    import onnxruntime

    taken, made = ([slot.name for slot in slots] for slots in (signature.inputs, signature.outputs))
    with _failures_of("onnx"):
        exported = torch.onnx.export(program, input_names=taken, output_names=made, dynamo=True, verbose=False)
        assert exported is not None  # noqa: S101 - with dynamo it is a program
        for slot, tensor in zip(signature.inputs, exported.model.graph.inputs, strict=True):
            axes = zip(slot.shape, tensor.shape or (), strict=True)
            exported.rename_axes({str(axis): BATCH for size, axis in axes if size == BATCH})
        weights = sum(value.nbytes for value in program.state_dict.values())
        exported.save(path, external_data=weights > MOST_IN_ONE_FILE)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def compute(example: Any) -> list[Tensor]:
        given = {name: value.numpy() for name, value in zip(taken, inputs.tensors(example), strict=True)}
        return [torch.from_numpy(value) for value in session.run(made, given)]

    return compute


WRITERS: Mapping[str, Callable[[torch.export.ExportedProgram, Path, Signature], Program]] = {
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


def _compare(name: str, trained: Trained, computed: Program, batch: Any) -> float:
    """Return the largest difference of an output from that of the network.

    Raises:
        ExportError: it is beyond what rounding explains.
    """
    largest, network, slots = 0.0, trained.network, trained.signature.outputs
    with torch.inference_mode():
        expected = inputs.tensors(inputs.call(network, batch))
        with _failures_of(name):
            pairs = list(zip(slots, expected, inputs.tensors(computed(batch)), strict=True))
            differences = [_difference(value, other) for _, value, other in pairs]
        for (slot, value, _), difference in zip(pairs, differences, strict=True):
            if not is_rounding(difference, value):
                message = f"the {slot.name} of what was written as {name} differ by {difference:.2g} from the network's"
                raise ExportError(f"{message}, which is more than rounding; --formats leaves formats out")
            largest = max(largest, difference)
    return largest


def _difference(expected: Tensor, computed: Tensor) -> float:
    """Return the largest difference of an element of tensors of one shape."""
    if expected.shape != computed.shape:
        raise ValueError(f"an output of shape {tuple(computed.shape)} should be {tuple(expected.shape)}")
    return difference_of(expected, computed)
