"""How what a report shows came about, and what can be made of it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from shape_dnn.answers.table import prior_in_words, recipe_lines
from shape_dnn.assembly.own_trainer import is_file
from shape_dnn.store.decoding import canonical
from shape_dnn.store.families import TRAININGS

if TYPE_CHECKING:
    from shape_dnn.answers.question import StudyQuestion
    from shape_dnn.assembly.assembly import Assembly


def of_study(known: StudyQuestion) -> list[tuple[str, str]]:
    """Tell what was searched, with which versions, on which device."""
    settings = known.parts.settings.changed()
    asked = ", ".join(f"{name} {value}" for name, value in settings.items() if name != "study")
    entries = [("Settings", asked or "all defaults"), *_prior(known.prior), ("State of the search", known.run.state)]
    problem = dict(known.run.problem)
    with known.store.decoding():
        recipe = "; ".join(f"of {line}" for line in recipe_lines(dict(problem.pop("recipe", {}))))
    entries += [("Recipe", recipe)] if recipe else []  # a study of a former version does not tell who set it
    entries += [(name, str(value)) for name, value in sorted(problem.items())]
    entries += _plugins(known.parts)
    for number, content in enumerate(known.store.provenances(), start=1):
        entries.append((f"Versions {number}", content))
    for family, number in sorted(known.run.contexts.items(), key=lambda entry: str(entry[0])):
        entries.append((f"What determines {family}", canonical(known.store.identity(number))))
    entries.append(("Written", time.strftime("%Y-%m-%d %H:%M")))
    return entries


def of_replay(parts: Assembly) -> list[tuple[str, str]]:
    """Tell which table was looked up, and what the accuracy model knew from elsewhere."""
    assert parts.table is not None  # noqa: S101 - called only then
    prior = None if parts.prior is None else parts.prior.record(parts.model.instance)
    return [("Table", parts.table.path.name), *_prior(prior), *_plugins(parts)]


def export_command(known: StudyQuestion) -> str:
    """Return what to call for the network of a trained shape; nothing where a trainer kept no weights."""
    store, settings = known.store, known.parts.settings
    if known.parts.is_own:
        facts = known.first_seed
        context = facts.context_of_network(TRAININGS) if TRAININGS in facts.contexts else None
        if context is None or not any(store.files.weights_of(context).glob("*.safetensors")):
            return ""
    trainer = f" --trainer {shlex.quote(settings.trainer)}" if is_file(settings.trainer) else ""
    return f"shape-dnn export {shlex.quote(str(store.directory))}{trainer}"


def _plugins(parts: Assembly) -> list[tuple[str, str]]:
    found = [" ".join(f"{value}" for value in plugin.values()) for plugin in parts.selection.plugins]
    return [("Plugins", "; ".join(found))]


def _prior(record: Mapping[str, object] | None) -> list[tuple[str, str]]:
    return [] if record is None else [("Prior", prior_in_words(record))]
