"""What became of recorded searches that were as sure as another one is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shape_dnn.quality import ACCURACY, Quality

DEFAULTS = {"sampler": "active", "accuracy_model": "log-error"}
"""The plugins that were judged."""
MISSED = ((0.05, 2), (0.2, 2), (0.4, 7), (0.7, 38), (1.0, 69))
"""Pairs of a stated doubt and a number: how many of 100 searches with up to this doubt missed a shape that was better
by more than a training varies.

The numbers rest on 2,371 decisions in 500 searches of five recorded tables, and on how much trainings of their better
shapes vary (``benchmarks/reliability.py``, ``benchmarks/results/2026-11-27-reliability.txt``).
"""


def missed_in_100(doubt: float, plugins: Iterable[Mapping[str, str]], quality: Quality = ACCURACY) -> int | None:
    """Return how many of 100 searches that stated such a doubt missed a better shape.

    Args:
        doubt: the probability of missing one, by the accuracy model.
        plugins: kind and name of each plugin that had a part in the search.
        quality: the quality that trainings are judged by.

    Returns:
        The number; None if other plugins decided, or if they decided on another quality, since these were not judged.
    """
    used = {plugin["kind"]: plugin["name"] for plugin in plugins}
    if quality != ACCURACY or any(used.get(kind) != name for kind, name in DEFAULTS.items()):
        return None
    return next(missed for most, missed in MISSED if doubt <= most)
