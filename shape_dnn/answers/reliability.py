"""What came of recorded searches that were as sure as another one is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shape_dnn.quality import ACCURACY, Quality

DEFAULTS = {"sampler": "active", "accuracy_model": "log-error"}
"""The plugins that were judged."""
MISSED = ((0.05, 2), (0.2, 2), (0.4, 7), (0.7, 38), (1.0, 69))
"""Up to which stated doubt how many of 100 searches missed a shape that was better by more than a training varies.

By 2,371 decisions in 500 searches of five recorded tables, and what trainings of their better shapes vary by
(``benchmarks/reliability.py``, ``benchmarks/results/2026-11-27-reliability.txt``).
"""


def missed_in_100(doubt: float, plugins: Iterable[Mapping[str, str]], quality: Quality = ACCURACY) -> int | None:
    """Return how many of 100 searches that stated such a doubt missed a better shape.

    Args:
        doubt: the probability of that by the accuracy model.
        plugins: kind and name of each that had a part in the search.
        quality: by which trainings are judged.

    Returns:
        None if other plugins decided, or on another quality, which was not judged.
    """
    used = {plugin["kind"]: plugin["name"] for plugin in plugins}
    if quality != ACCURACY or any(used.get(kind) != name for kind, name in DEFAULTS.items()):
        return None
    return next(missed for most, missed in MISSED if doubt <= most)
