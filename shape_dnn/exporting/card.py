"""The card of an exported network: what it is, how good it is, and where it comes from, as JSON values."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from shape_dnn.answers.question import StudyQuestion
from shape_dnn.answers.result import ALWAYS_SHOWN
from shape_dnn.exporting import artifact
from shape_dnn.exporting.trained import Trained, record
from shape_dnn.quality import ACCURACY
from shape_dnn.store.families import Family

FORMAT = 1
"""Version of the format of cards."""
OF_IMAGES = ("classes", "input_shape")
"""Conditions that say nothing of a network of a trainer of one's own."""
LIBRARIES = ("shape-dnn", "torch", "onnx", "onnxscript", "onnxruntime")


def describe(trained: Trained) -> dict[str, Any]:
    """Return the card of a trained network, without what is found out when files are written."""
    found, shape = trained.found, trained.shape
    known, quality = found.known, found.known.parts.quality
    metrics: dict[str, float | None] = dict.fromkeys(ALWAYS_SHOWN)
    measurements: dict[str, Any] = {}
    for metric in known.metrics:
        m = metric.values.get(shape)
        metrics[metric.name] = None if m is None else m.value
        if m is not None and Family(metric.name) in known.first_seed.contexts:
            measurements[metric.name] = {
                "low": m.low,
                "high": m.high,
                "unit": metric.unit,
                "status": m.status,
                "conditions": _conditions(known, metric.name),
            }
    deployment = artifact.describe(found)
    as_trained = known.first_that_counts(shape).as_trained(shape) if deployment else None
    seeds = {"seeds": len(known.of_seeds)} if len(known.of_seeds) > 1 else {}
    return {
        "format": FORMAT,
        "shape": record(shape),
        **trained.description,
        "metrics": {
            **metrics,
            quality.name: found.training.quality,
            **({} if as_trained is None else {f"float_{quality.name}": as_trained.quality}),
            f"test_{quality.name}": known.first_that_counts(shape).test(shape),
        },
        **({} if quality == ACCURACY else {"quality": quality.record}),
        **({} if deployment is None else {"deployment": deployment}),
        "measurements": measurements,
        "training": {**trained.made, **seeds, "seconds": found.training.seconds, **found.provenance},
        **({} if known.prior is None else {"prior": dict(known.prior)}),
        "exported_with": {name: metadata.version(name) for name in LIBRARIES},
    }


def _conditions(known: StudyQuestion, metric: str) -> dict[str, Any]:
    """Return under which conditions a metric was measured."""
    conditions = known.store.identity(known.first_seed.contexts[Family(metric)])
    left_out = OF_IMAGES if known.parts.is_own else ()
    return {name: value for name, value in conditions.items() if name not in left_out}
