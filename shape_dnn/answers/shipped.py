"""What an answer says of what ships, beside its metrics and qualities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from shape_dnn.assembly.assembly import Assembly
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
    """Return the versions of converters and runtimes by which facts are told apart, or else that of torch."""
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


def as_trained(parts: Assembly, facts: KnownFacts, shapes: Iterable[Shape]) -> dict[Shape, float] | None:
    """Return the quality that each network had before it was converted; None where the precision changes none.

    Of several trainings of a shape, it is that of the first seed.
    """
    if parts.table is not None or parts.deployment is None or parts.deployment.instance.precision == "float32":
        return None
    found = {shape: facts.as_trained(shape) for shape in shapes}
    return {shape: training.quality for shape, training in found.items() if training and training.quality is not None}
