"""What an answer says about what ships, besides metrics and qualities."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shape_dnn.assembly.assembly import Assembly
from shape_dnn.search.failures import Counted
from shape_dnn.search.query import Answer
from shape_dnn.shape import Shape
from shape_dnn.study.known import KnownFacts


def deployment(parts: Assembly, facts: KnownFacts) -> dict[str, Any]:
    """Return what ships and where it runs, with the versions that the facts of an answer were obtained with."""
    targets = parts.targets
    return {
        "name": parts.settings.deploy,
        "precision": "float32" if parts.deployment is None else parts.deployment.instance.precision,
        "target": str(next(iter(targets.values()))) if len(targets) == 1 else {n: str(t) for n, t in targets.items()},
        "versions": _versions(facts),
    }


def _versions(facts: KnownFacts) -> dict[str, Any]:
    """Return the versions of converters and runtimes that distinguish facts, or else the version of torch."""
    found: dict[str, Any] = {}
    with facts.store.decoding():
        for family in sorted(facts.contexts, key=str):
            identity = facts.store.identity(facts.contexts[family])
            deployment: Mapping[str, Any] = identity.get("deployment", {})
            found |= deployment.get("converters", {})
            target: Mapping[str, Any] = identity.get("target", {})
            _, at, name = str(family).partition("@")
            versions: Mapping[str, Any] = target.get("versions", {})
            found |= {f"{package}{at}{name}": version for package, version in versions.items()}
    return found or facts.libraries("torch")


def as_trained(
    parts: Assembly, of_seeds: Sequence[KnownFacts], counted: Answer | Counted, shapes: Iterable[Shape]
) -> dict[Shape, float] | None:
    """Return the quality that each network had before it was converted; None if the precision changes no quality.

    Args:
        parts: the parts of the search.
        of_seeds: what is known for each seed.
        counted: says which trainings of a shape count; of several, the mean does.
        shapes: shapes of the networks.
    """
    if parts.table is not None or parts.deployment is None or parts.deployment.instance.precision == "float32":
        return None
    repeated = {*counted.accidental, *(failing.shape for failing in counted.failing)}
    found = {}
    for shape in shapes:
        again = _before([facts.second for facts in of_seeds], shape) if shape in repeated else []
        qualities = again if shape in counted.accidental else [*_before(of_seeds, shape), *again]
        if qualities:
            found[shape] = statistics.fmean(qualities)
    return found


def _before(of_seeds: Sequence[KnownFacts | None], shape: Shape) -> list[float]:
    """Return the qualities before the conversion, one for each seed; empty if one of them is not known."""
    trainings = [None if facts is None else facts.as_trained(shape) for facts in of_seeds]
    found = [training.quality for training in trainings if training is not None and training.quality is not None]
    return found if len(found) == len(of_seeds) else []
