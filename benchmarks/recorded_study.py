"""A study with facts that nobody had to wait for."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from shape_dnn.assembly.assembly import Assembly
from shape_dnn.records import Epoch, Measurement, Training
from shape_dnn.settings import Settings
from shape_dnn.shape import Shape
from shape_dnn.store.facts import Store
from shape_dnn.store.families import TRAINING, TRAININGS, Family
from shape_dnn.store.runs import RunState
from shape_dnn.study.problem import Problem

SCALES = {"latency": 0.1, "energy": 0.01, "memory": 1.0, "file-size": 0.02}
"""What one image takes of each metric, times depth and width."""


def record_study(
    directory: Path,
    trained: Sequence[int] = range(0, 1000, 3),
    failed: Sequence[int] = (4,),
    reason: str = "it diverged",
    **settings: Any,
) -> list[Shape]:
    """Write a study in which some shapes are trained, all are measured, and some have failed, by their place.

    Where the settings say what ships, the thinnest networks lose most by it, latencies are those of each target, and
    the study also has those of torch on this machine, which order some shapes otherwise.
    """
    rng = random.Random(0)
    parts = Assembly(Settings.create({"study": str(directory), "device": "cpu", **settings}))
    problem, shapes = parts.problem.in_precision("float32"), parts.shapes
    store = Store(directory)
    provenance = {"python": "3", "libraries": {"torch": "2"}}
    run = store.runs.begin("tune", parts.settings.to_dict(), problem.record)
    networks = store.context(TRAINING, problem.training_identity)
    trainings = store.context(TRAINING, problem.of_what_ships(problem.training_identity))
    contexts = {TRAININGS: trainings}
    for place, shape in enumerate(shapes):
        accuracy = 99.5 - 6 / shape.depth - 1.2 / float(shape.width) ** 0.5 + rng.gauss(0, 0.15)
        curve = tuple(Epoch(i, 2 / i, accuracy - 20 / i + 20 / 12) for i in range(1, 13))
        if place in failed:
            training = Training(shape, None, reason, curve[:3])
        elif place in trained:
            training = Training(shape, accuracy, "", curve, shape.depth / 3)
        else:
            continue
        store.add_training(networks, training, provenance)
        if trainings != networks:
            lost = None if training.quality is None else training.quality - 0.5 / float(shape.width)
            store.add_training(trainings, replace(training, quality=lost), provenance)
    for family, identity in _measured(problem):
        context = store.context(family.kind, identity)
        in_torch = problem.deployment is not None and "deployment" not in identity
        if not in_torch:
            contexts.setdefault(family, context)
        scale = SCALES[family.kind] * int(identity["batch_size"]) * (0.3 if str(family).endswith("@server") else 1)
        for place, shape in enumerate(shapes):
            # Eager calls cost the same in thin networks as in wide ones.
            value = scale * shape.depth * ((2 if in_torch else 1) + float(shape.width)) * rng.uniform(0.97, 1.03)
            status = "contended" if place % 5 == 2 else "ok"
            store.add_measurement(context, shape, Measurement(value, 0.95 * value, 1.05 * value, status), provenance)
    store.runs.end(run, contexts, RunState.DONE)
    finished = [t for t in store.trainings(trainings).values() if t.quality is not None]
    if finished:
        best = max(finished, key=lambda training: training.quality or 0.0)
        store.add_test(trainings, best.shape, best.quality or 0.0)
    store.close()
    return shapes


def _measured(problem: Problem) -> Iterator[tuple[Family, Mapping[str, Any]]]:
    """Yield which metrics are known, and what determines each, at the batch size that is meant and at a larger one."""
    ships = problem.deployment is not None
    for metric in ("latency", "memory", "file-size") if ships else ("latency", "energy", "memory"):
        for factor in (1, 8):
            own = {
                "architecture": problem.architecture.identity,
                "meter": {"name": metric, "options": {}},
                **problem.conditions.record,
                "batch_size": factor * problem.conditions.batch_size,
            }
            if not ships or metric == "latency":
                yield Family(metric), {**own, "fingerprint": {"hardware": "a desk"}}
            several = len(problem.targets) > 1 and metric != "file-size"
            for target in (problem.targets if several else [""]) if ships else ():
                there = {"machine": "aarch64", "processor": f"that of {target}", "versions": {"onnxruntime": "1.20.1"}}
                identity = {**own, "deployment": problem.deployment_identity, "target": there}
                yield Family(f"{metric}@{target}" if several else metric), identity
