"""Export: one trained network of a study, in files that work without it."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shape_dnn.errors import UsageError
from shape_dnn.system.text import listed

FORMATS: Mapping[str, str] = {
    "safetensors": "model.safetensors",
    "pt2": "model.pt2",
    "onnx": "model.onnx",
}
"""File of each format: the trained weights, a program of ``torch.export``, and one of ONNX."""
ARTIFACT = "artifact"
"""Directory of what ships, where that is something else than networks as torch runs them; a format as well."""
RUNTIME = "artifact_runtime.py"
"""File of the module that runs the artifact; it imports no more than the runtime and numpy."""
CARD = "card.json"
"""File that says what the network is."""


def export(
    study: str | Path,
    output: str | Path | None = None,
    *,
    shape: str | tuple[int, Any] | None = None,
    formats: str | Sequence[str] | None = None,
    trainer: str | Path | None = None,
    **settings: Any,
) -> Path:
    """Write a trained network of a study as files that work without it: nothing is trained.

    A classifier takes images of shape (number, channels, height, width), with pixels from 0 to 1, of any number, and
    returns logits of shape (number, classes): the normalisation that it was trained with is part of it. A network of
    another trainer takes and returns what it does there. What each file computes is compared with the network itself,
    on images of the study or on the example inputs of the trainer.

    Args:
        study: its directory.
        output: directory for the files; by default ``export/DEPTH-WIDTH`` in the study. A former export there is
            replaced.
        shape: depth and width, such as ``"10,3/4"`` or ``(10, "3/4")``; by default the best trained one.
        formats: of :data:`FORMATS`, and ``artifact`` for what ships (``--deploy``); by default all of
            :data:`FORMATS`, or the artifact if there is one. The weights are always written.
        trainer: the file of the trainer, if the study was made with one: its code builds the network, so name it only
            if you trust it.
        **settings: limits and goal by which a shape is the best; those of the search by default
            (:func:`shape_dnn.ask`).

    Returns:
        The directory: what :func:`shape_dnn.load` takes.

    Raises:
        UsageError: there is no study, no such shape, or a setting cannot be used.
        NothingCompliesError: no trained shape meets the limits.
        ExportError: the weights are gone, a format cannot hold the network, or a file computes something else.
    """
    wanted = listed(formats or ())
    unknown = sorted(set(wanted) - {*FORMATS, ARTIFACT})
    if unknown:
        accepted = ", ".join([*FORMATS, ARTIFACT])
        raise UsageError(f"{unknown[0]!r} is not a format; accepted are {accepted}", setting="formats")

    from shape_dnn.answers.question import StudyQuestion
    from shape_dnn.exporting import artifact, choice, files
    from shape_dnn.exporting.card import describe
    from shape_dnn.exporting.classification import TrainedClassifier
    from shape_dnn.exporting.own_network import TrainedByOwn
    from shape_dnn.settings import QUESTION

    asked = sorted(set(settings) & set(QUESTION))
    if shape is not None and asked:
        raise UsageError("contradicts --shape, which says what to export whatever complies", setting=asked[0])
    with StudyQuestion.open(study, settings, as_searched=True) as known:
        if trainer is not None and not known.parts.is_own:
            raise UsageError("the networks of the study were trained by the classifier; leave it out", "trainer")
        chosen = choice.best(known) if shape is None else choice.named(shape, known.parts.shapes)
        found = choice.training_of(known, chosen)
        directory = known.store.directory / "export" / found.weights.stem if output is None else Path(output)
        trained = TrainedByOwn(found, trainer) if known.parts.is_own else TrainedClassifier(found)
        with tempfile.TemporaryDirectory() as scratch:
            if isinstance(trained, TrainedByOwn) and (formats is None or ARTIFACT in wanted):
                trained.found = found = artifact.made_of(trained, Path(scratch) / ARTIFACT)
            if ARTIFACT in wanted and found.artifact is None:
                raise UsageError("networks ship as torch runs them, so there is no artifact", setting="formats")
            if formats is None:
                wanted = list(FORMATS) if found.artifact is None else [ARTIFACT]
            files.write(trained, describe(trained), directory, [n for n in (*FORMATS, ARTIFACT) if n in wanted])
    if shape is None and (rival := choice.untrained_rival(known, chosen)) is not None:
        warnings.warn(
            f"{rival} is predicted to be better than {chosen}, and was not trained; shape-dnn tune would", stacklevel=2
        )
    return directory
