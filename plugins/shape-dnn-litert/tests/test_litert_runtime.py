"""The runtime on artifacts that were made elsewhere, which needs no converter."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from shape_dnn import UnavailableError
from shape_dnn.deploying import in_process
from shape_dnn.deploying.artifacts import Artifact
from shape_dnn.deploying.session import Session
from shape_dnn.errors import DeploymentError
from shape_dnn.kinds import Target
from shape_dnn_litert.deployment import LiteRT

PRECISIONS = ("float32", "float16", "int8")
TOLERANCES = {"float32": 1e-5, "float16": 1e-3, "int8": 0.1}


def stored(precision: str) -> tuple[Artifact, list[np.ndarray], np.ndarray]:
    """Return an artifact that takes token ids and weights, with its inputs, and what torch made of them in float32."""
    artifact = Artifact(Path(__file__).parent / "data" / precision)
    with np.load(artifact.example) as arrays:
        inputs = [arrays["0"], arrays["1"]]
    return artifact, inputs, np.load(Path(__file__).parent / "data" / "expected.npy")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_it_runs_artifacts_of_every_precision_and_takes_64_bit_integers(precision: str) -> None:
    artifact, inputs, expected = stored(precision)
    assert inputs[0].dtype == np.int64
    (output,) = in_process.load(LiteRT(precision), artifact.files_in).run(inputs)
    assert output.dtype == np.float32
    np.testing.assert_allclose(output, expected, rtol=0, atol=TOLERANCES[precision])


def test_smaller_numbers_make_other_results() -> None:
    outputs = []
    for precision in PRECISIONS:
        artifact, inputs, _ = stored(precision)
        outputs.append(in_process.load(LiteRT(precision), artifact.files_in).run(inputs)[0].tobytes())
    assert len(set(outputs)) == 3


def test_outputs_stay_as_they_were_when_it_runs_again() -> None:
    artifact, (tokens, weights), expected = stored("float32")
    model = in_process.load(LiteRT(), artifact.files_in)
    (first,) = model.run([tokens, weights])
    (second,) = model.run([tokens, weights + 1])
    np.testing.assert_allclose(first, expected, rtol=0, atol=1e-5)
    assert np.abs(second - first).max() > 0.1


def test_a_runner_gives_what_this_process_gives() -> None:
    artifact, inputs, _ = stored("int8")
    with Session(LiteRT("int8"), Target(), 600) as session:
        (there,) = session.load(artifact).run(inputs)
    assert there.tobytes() == in_process.load(LiteRT("int8"), artifact.files_in).run(inputs)[0].tobytes()


def test_threads_that_cannot_be_had_are_refused() -> None:
    artifact, _, _ = stored("float32")
    with pytest.raises(ValueError, match="threads=0; accepted are numbers from 1"):
        in_process.runtime(LiteRT()).load(str(artifact.files_in), {"threads": 0})


def test_another_number_of_inputs_is_refused() -> None:
    artifact, inputs, _ = stored("float32")
    with pytest.raises(ValueError, match="1 inputs were given; accepted are 2"):
        in_process.load(LiteRT(), artifact.files_in).run(inputs[:1])


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(b"nothing")
    with pytest.raises(DeploymentError, match=f"cannot load '{tmp_path}'"):
        in_process.load(LiteRT(), tmp_path)


def test_a_missing_converter_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(UnavailableError, match=r"torch.*pip install shape-dnn-litert"):
        LiteRT().identity()


def test_only_int8_needs_examples_to_calibrate_by() -> None:
    assert [LiteRT(precision, calibration=64).calibration for precision in PRECISIONS] == [0, 0, 64]
