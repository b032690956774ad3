"""Measuring every shape of a space."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from shape_dnn.answers.measurements import Measurements
from shape_dnn.api.functions import by_file
from shape_dnn.api.recording import close, recorded
from shape_dnn.api.studying import study_of
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.assembly.selection import is_formula
from shape_dnn.errors import UsageError
from shape_dnn.events import Event, ignore
from shape_dnn.records import Measurement
from shape_dnn.settings import Settings
from shape_dnn.store.facts import Store
from shape_dnn.system.text import listed


def measure(metrics: Iterable[str], *, notify: Callable[[Event], None] = ignore, **settings: Any) -> Measurements:
    """Measure metrics of every shape of a space, without training.

    Args:
        metrics: names of metrics.
        notify: called with every event.
        **settings: as for :func:`tune`, including the functions of a trainer.

    Returns:
        For each shape its measurements by metric: a dictionary that is also a table.

    Raises:
        UsageError: a setting cannot be used.
        MeterError: a metric cannot be measured here.
    """
    metrics = listed(metrics)
    if not metrics:
        raise UsageError("name at least one metric", setting="metrics")
    twice = next((metric for metric in metrics if metrics.count(metric) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice} is named twice", setting="metrics")
    parts = Assembly(Settings.create(by_file(settings)))
    parts.check()
    quality = parts.quality.name
    if quality in metrics:
        raise UsageError(f"{quality} is not measured but trained; use tune", setting="metrics")
    if parts.settings.replay is not None:
        raise UsageError("a recorded table is not measured", setting="replay")
    with ExitStack() as stack:
        stack.callback(close, parts.executor.instance)
        meters = parts.meters_of(metrics)
        shapes = parts.shapes
        _ = parts.problem  # so that what is wrong with it shows before a study is made
        store = Store(Path(parts.settings.study))
        stack.callback(store.close)
        study = study_of(parts, store, meters, notify)
        found = Measurements({shape: {} for shape in shapes})
        with recorded(store, "measure", parts, [study]):
            for metric in metrics:
                values = study.estimate(metric, shapes)
                known = {} if is_formula(meters[metric]) else study.facts.estimates(metric, shapes)
                for shape, value in zip(shapes, values, strict=True):
                    found[shape][metric] = known.get(shape, Measurement(value, value, value))
        return found
