"""Latencies of the shapes of a search: those of what ships, and those of other runtimes and machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shape_dnn.answers.question import StudyQuestion
from shape_dnn.constraints import LATENCY, base_of
from shape_dnn.records import Measurement
from shape_dnn.shape import Shape
from shape_dnn.store.families import Family

CONDITIONS = ("architecture", "input_shape", "classes", "batch_size")
"""What of their identity two latencies must have in common to be compared."""
MOST_OTHERS = 5
"""Latencies beside those of what ships; if there are more, those of most shapes."""


@dataclass(frozen=True)
class Timing:
    """The latency of shapes in one runtime on one machine.

    Attributes:
        title: what tells it from the others, such as ``torch eager`` or ``onnxruntime int8 on pi``.
        values: of each shape, with its interval.
        metric: by which name it can be limited; empty for one that is known beside what ships.
        in_torch: whether networks were timed as torch runs them, before any conversion.
    """

    title: str
    values: Mapping[Shape, Measurement]
    metric: str = ""
    in_torch: bool = False


def timings(known: StudyQuestion) -> list[Timing]:
    """Return each latency of the search, and then those of two of its shapes or more that the study has beside them."""
    metrics = [metric for metric in known.metrics if base_of(metric.name) == LATENCY.name]
    contexts = [known.first_seed.contexts[Family(metric.name)] for metric in metrics]
    if not contexts:
        return []
    store = known.store
    with store.decoding():
        identities = [store.identity(number) for number in contexts]
        others = _others(known, contexts, identities[0])
        identities += [store.identity(number) for number in others]
        titles = _titles(identities, _places(known, [metric.name for metric in metrics], identities))
    names, values = [metric.name for metric in metrics], [metric.values for metric in metrics]
    return [
        Timing(title, found, name, "deployment" not in identity)
        for title, found, name, identity in zip(
            titles, [*values, *others.values()], [*names, *[""] * len(others)], identities, strict=True
        )
    ]


def first_choice(found: Sequence[Timing]) -> tuple[int, int]:
    """Return the places of the two of several that are compared unless others are chosen: torch and what ships."""
    return next((place for place, each in enumerate(found) if each.in_torch != found[0].in_torch), 1), 0


def _others(
    known: StudyQuestion, contexts: Sequence[int], own: Mapping[str, Any]
) -> dict[int, dict[Shape, Measurement]]:
    """Return the latencies that can be compared with those of the search, by the number of their family of facts."""
    found, shapes = {}, frozenset(known.parts.shapes)
    for number in known.store.contexts(LATENCY.name):
        identity = known.store.identity(number)
        if number not in contexts and all(identity.get(name) == own.get(name) for name in CONDITIONS):
            values = known.store.measurements(number).items()
            found[number] = {shape: m for shape, m in values if shape in shapes and m.value is not None}
    most = sorted(found, key=lambda number: (-len(found[number]), number))[:MOST_OTHERS]
    return {number: found[number] for number in sorted(most) if len(found[number]) > 1}


def _places(known: StudyQuestion, metrics: Sequence[str], identities: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say where each latency was measured, as far as it is another machine than this one or there are several targets.

    Of those that are known beside the search the study has no name of a target, unless it is one of this search.
    """
    targets = known.parts.targets
    names: dict[tuple[str, ...], str] = {}
    for metric, identity in zip(metrics, identities, strict=False):
        target = targets.get(metric.partition("@")[2]) or next(iter(targets.values()))
        names[_machine(identity)] = "" if target.is_here and len(targets) == 1 else f" on {target.name}"
    machines = map(_machine, identities)
    return [names.get(machine, f" on {machine[0]}" if machine else "") for machine in machines]


def _machine(identity: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what identifies a target, its name first; nothing for networks as torch runs them on this machine."""
    target = _part(identity, "target")
    told = (target.get(name) for name in ("model", "processor", "machine"))
    return tuple(str(part) for part in told if part is not None)


def _titles(identities: Sequence[Mapping[str, Any]], places: Sequence[str]) -> list[str]:
    """Say what each latency is of; where two would be called alike, also what differs in their identity."""
    short = [_what(identity) + place for identity, place in zip(identities, places, strict=True)]
    titles = []
    for title, identity in zip(short, identities, strict=True):
        alike = [dict(_leaves(other)) for other, name in zip(identities, short, strict=True) if name == title]
        own = dict(_leaves(identity))
        differing = [path for path in own if any(other.get(path) != own[path] for other in alike)]
        more = ", ".join(f"{path.rpartition('.')[2]} {own[path]}" for path in differing)
        titles.append(f"{title} ({more})" if more else title)
    return titles


def _what(identity: Mapping[str, Any]) -> str:
    """Name a runtime and its precision; of torch also how it runs networks, eager or as a graph."""
    is_torch = "deployment" not in identity
    plugin = _part(identity, "meter" if is_torch else "deployment")
    options = _part(plugin, "options")
    precision = str(options.get("precision", "float32"))
    if not is_torch:
        return f"{plugin['name']} {precision}"
    return f"torch {options.get('mode', 'eager')}" + ("" if precision == "float32" else f" {precision}")


def _part(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = record.get(name)
    return found if isinstance(found, Mapping) else {}


def _leaves(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield what there is in nested JSON values, each by its path."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _leaves(part, f"{path}.{name}")
    else:
        yield path, str(value)
