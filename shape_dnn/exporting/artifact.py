"""The artifact of an exported network: the files that ship."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shape_dnn.deploying import artifacts, in_process
from shape_dnn.deploying.judging import Predict
from shape_dnn.errors import ExportError, UsageError
from shape_dnn.exporting import ARTIFACT, RUNTIME
from shape_dnn.exporting.checks import check_identity, naming
from shape_dnn.exporting.choice import Found
from shape_dnn.kinds import Deployment
from shape_dnn.plugins.registry import Registry
from shape_dnn.plugins.sources import Loaded
from shape_dnn.study.problem import identity_of

if TYPE_CHECKING:
    import torch

    from shape_dnn.exporting.own_network import TrainedByOwn

EXAMPLE = "artifact_example.npz"
"""Inputs that the artifact takes."""


def describe(found: Found) -> dict[str, Any] | None:
    """Return what a card says of what ships; None for networks as torch runs them.

    Raises:
        ExportError: the artifact is gone.
    """
    if found.artifact is None:
        return None
    deployment, identity = _deployment(found), _identity(found)
    with naming(found.artifact.directory):
        files = {str(path.relative_to(found.artifact.files_in)): _digest(path) for path in found.artifact.files}
        if not files:
            message = f"the artifact of {found.shape} is gone: there is nothing in {str(found.artifact.directory)!r}"
            raise ExportError(f"{message}; a copy of a study needs its folder 'artifacts', too")
    return {
        **{name: value for name, value in identity.items() if name != "batch_size"},
        "precision": deployment.instance.precision,
        "batch_size": identity["batch_size"],
        "settings": dict(deployment.instance.settings),
        "files": files,
        "file_size": found.artifact.size,
    }


def made_of(trained: TrainedByOwn, directory: Path) -> Found:
    """Make the artifact of a network that ships in float32 and whose trainer does not judge that.

    Args:
        trained: the network.
        directory: for the artifact.

    Returns:
        Its training, with the artifact; without one where networks ship as torch runs them.

    Raises:
        DeploymentError: the runtime cannot have the network.
        StudyError: the directory cannot be written.
    """
    found = trained.found
    deployment, batch_size = found.known.parts.deployment, found.known.parts.settings.batch_size
    if found.artifact is not None or deployment is None or deployment.instance.in_process:
        return found
    made = artifacts.make(deployment.instance, trained.as_it_ships(), trained.example(batch_size), [], directory)
    return replace(found, artifact=made)


def write(found: Found, directory: Path) -> None:
    """Copy the artifact, the module that runs it, and inputs that it takes."""
    assert found.artifact is not None  # noqa: S101 - asked for only then
    shutil.copytree(found.artifact.files_in, directory / ARTIFACT)
    shutil.copyfile(found.artifact.example, directory / EXAMPLE)
    (directory / RUNTIME).write_text(_deployment(found).instance.runtime, encoding="utf-8")


class Shipped:
    """What ships, ready to be called: inputs like those of the network, of any number, to what it makes of them.

    Attributes:
        card: what is known of it (``card.json``).
    """

    def __init__(self, card: Mapping[str, Any], predict: Predict) -> None:
        self.card = card
        self._predict = predict

    def __call__(self, inputs: Any) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Run it."""
        made: torch.Tensor | tuple[torch.Tensor, ...] = self._predict(inputs)
        return made


def read(card: Mapping[str, Any], path: Path, plugins: Sequence[str]) -> Shipped:
    """Read back what ships, by the deployment that made it.

    Args:
        card: what is known of it.
        path: of the card; the artifact lies beside it.
        plugins: Python files that may declare the deployment.

    Raises:
        UsageError: it was exported without an artifact.
        ExportError: a file is damaged or missing, or the deployment is another one here.
        UnavailableError: the runtime is not installed.
    """
    import numpy as np
    import torch

    place = path.with_name(ARTIFACT)
    if "deployment" not in card or not place.is_dir():
        raise UsageError(f"{str(path.parent)!r} was exported without an artifact", setting="artifact")
    with naming(path):
        identity = card["deployment"]
        expected = dict(identity["files"])
        options = dict(identity["options"])
    for name, digest in sorted(expected.items()):
        with naming(place / name):
            if _digest(place / name) != digest:
                raise ExportError(f"{str(place / name)!r} is damaged: its content is not what the card says")
    registry = Registry(map(Path, plugins))
    try:
        loaded: Loaded[Deployment] = registry.load("deployment", str(identity["name"]), options)
    except UsageError as error:
        raise ExportError(f"{str(path)!r}: {error.message}; if a file declares it, name that file as plugin") from error
    check_identity(loaded, identity, ("from",))
    model = in_process.load(loaded.instance, place)
    with naming(path.with_name(EXAMPLE)), np.load(path.with_name(EXAMPLE)) as arrays:
        example = tuple(torch.from_numpy(arrays[str(number)]) for number in range(len(arrays.files)))
    return Shipped(card, Predict(model, example, lambda: None))


def _deployment(found: Found) -> Loaded[Deployment]:
    loaded = found.known.parts.deployment
    assert loaded is not None  # noqa: S101 - artifacts are of one
    check_identity(loaded, _identity(found), ("from",))
    return loaded


def _identity(found: Found) -> Mapping[str, Any]:
    """Return what determines an artifact beside the network: that of its training, or what makes it now."""
    if "deployment" in found.identity:
        judged: Mapping[str, Any] = found.identity["deployment"]
        return judged
    parts = found.known.parts
    assert parts.deployment is not None  # noqa: S101 - artifacts are of one
    return {**identity_of(parts.deployment), "batch_size": parts.settings.batch_size}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
