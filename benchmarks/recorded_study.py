"""A study with facts that nobody had to wait for."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shape_dnn.assembly.assembly import Assembly
from shape_dnn.records import Epoch, Measurement, Training
from shape_dnn.settings import Settings
from shape_dnn.shape import Shape
from shape_dnn.store.facts import Store
from shape_dnn.store.families import TRAINING, TRAININGS, Family
from shape_dnn.store.runs import RunState


def record_study(
    directory: Path,
    trained: Sequence[int] = range(0, 1000, 3),
    failed: Sequence[int] = (4,),
    reason: str = "it diverged",
    **settings: Any,
) -> list[Shape]:
    """Write a study in which some shapes are trained, all are measured, and some have failed, by their place."""
    rng = random.Random(0)
    parts = Assembly(Settings.create({"study": str(directory), "device": "cpu", **settings}))
    problem, shapes = parts.problem.in_precision("float32"), parts.shapes
    store = Store(directory)
    provenance = {"python": "3", "libraries": {"torch": "2"}}
    run = store.runs.begin("tune", parts.settings.to_dict(), problem.record)
    trainings = store.context(TRAINING, problem.training_identity)
    contexts = {TRAININGS: trainings}
    for place, shape in enumerate(shapes):
        accuracy = 99.5 - 6 / shape.depth - 1.2 / float(shape.width) ** 0.5 + rng.gauss(0, 0.15)
        curve = tuple(Epoch(i, 2 / i, accuracy - 20 / i + 20 / 12) for i in range(1, 13))
        if place in failed:
            store.add_training(trainings, Training(shape, None, reason, curve[:3]), provenance)
        elif place in trained:
            store.add_training(trainings, Training(shape, accuracy, "", curve, shape.depth / 3), provenance)
    for metric, scale in (("latency", 0.1), ("energy", 0.01), ("memory", 1.0)):
        for batch_size in (problem.conditions.batch_size, 8 * problem.conditions.batch_size):
            identity = {"meter": metric, "device": "a device", "batch_size": batch_size}
            context = store.context(metric, identity)
            contexts.setdefault(Family(metric), context)
            for place, shape in enumerate(shapes):
                value = batch_size * scale * shape.depth * (1 + float(shape.width)) * rng.uniform(0.97, 1.03)
                status = "contended" if place % 5 == 2 else "ok"
                measurement = Measurement(value, 0.95 * value, 1.05 * value, status)
                store.add_measurement(context, shape, measurement, provenance)
    store.runs.end(run, contexts, RunState.DONE)
    finished = [t for t in store.trainings(trainings).values() if t.quality is not None]
    if finished:
        best = max(finished, key=lambda training: training.quality or 0.0)
        store.add_test(trainings, best.shape, best.quality or 0.0)
    store.close()
    return shapes
