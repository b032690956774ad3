"""The card of an exported network: what it is, how good it is, and where it comes from, as JSON values."""

from __future__ import annotations

from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING, Any

from shape_dnn.answers.result import ALWAYS_SHOWN
from shape_dnn.quality import ACCURACY
from shape_dnn.store.families import Family

if TYPE_CHECKING:
    from shape_dnn.answers.question import StudyQuestion
    from shape_dnn.exporting.choice import Trained
    from shape_dnn.shape import Shape

FORMAT = 1
"""Version of the format of cards."""
INPUT, OUTPUT = "images", "logits"
"""Names of what the network takes and returns."""
LEVELS = 255
"""The value of a pixel that is 1 for an exported network."""
NOTE = "part of model.pt2, of model.onnx and of what shape_dnn.load returns; the weights alone take normalised images"
LIBRARIES = ("shape-dnn", "torch", "onnx", "onnxscript", "onnxruntime")


def describe(known: StudyQuestion, trained: Trained) -> dict[str, Any]:
    """Return the card of a trained network, without what is found out when files are written."""
    shape, training, quality = trained.shape, trained.training, known.parts.quality
    settings, problem = known.parts.settings, known.run.problem
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
                "conditions": known.store.identity(known.first_seed.contexts[Family(metric.name)]),
            }
    mean, std = _normalisation(trained)
    return {
        "format": FORMAT,
        "architecture": trained.architecture.identity,
        "shape": _shape(shape),
        "input": {
            "name": INPUT,
            "shape": ["batch", *trained.input_shape],
            "dtype": "float32",
            "range": [0, 1],
        },
        "output": {"name": OUTPUT, "shape": ["batch", trained.classes], "dtype": "float32"},
        "normalisation": {"mean": mean, "std": std, "note": NOTE},
        "class_names": problem.get("class_names") or None,
        "metrics": {
            **metrics,
            quality.name: training.quality,
            f"test_{quality.name}": known.first_that_counts(shape).test(shape),
        },
        **({} if quality == ACCURACY else {"quality": quality.record}),
        "measurements": measurements,
        "training": {
            "recipe": asdict(trained.recipe),
            "seed": trained.seed,
            "protocol": trained.protocol,
            "validation_fraction": trained.validation_fraction,
            "donor": None if trained.donor is None else _shape(trained.donor),
            "weights": trained.pretrained,
            "seconds": training.seconds,
            **trained.provenance,
        },
        **({} if known.prior is None else {"prior": dict(known.prior)}),
        "data": {
            "dataset": settings.dataset,
            "options": [text for text in settings.option if text.startswith("dataset.")],
            "fingerprint": trained.fingerprint,
        },
        "exported_with": {name: metadata.version(name) for name in LIBRARIES},
    }


def _shape(shape: Shape) -> dict[str, Any]:
    return {"depth": shape.depth, "width": float(shape.width), "fraction": str(shape.width)}


def _normalisation(trained: Trained) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of each channel of the images it was trained on, of pixels from 0 to 1."""
    import torch

    from shape_dnn.training.batches import Batches

    learnt_from, _ = trained.split()
    mean, std = Batches(learnt_from, torch.device("cpu")).statistics
    return (mean / LEVELS).flatten().tolist(), (std / LEVELS).flatten().tolist()
