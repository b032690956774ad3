"""How what a report shows came about, and what can be made of it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from shape_dnn.answers.question import MODEL
from shape_dnn.answers.words import notation, prior_in_words
from shape_dnn.assembly.own_trainer import is_file
from shape_dnn.settings import INCIDENTAL, QUESTION, as_flags
from shape_dnn.store.decoding import canonical
from shape_dnn.store.families import TRAININGS
from shape_dnn.system.text import encodable

if TYPE_CHECKING:
    from shape_dnn.answers.question import StudyQuestion
    from shape_dnn.assembly.assembly import Assembly

ASKED = frozenset(QUESTION) - {*MODEL} | {"replay"}
"""Settings that a page writes itself behind a command, by what its reader asks."""


@dataclass(frozen=True)
class Origin:
    """One thing that is told of how a report came about.

    Attributes:
        name: of what.
        text: about it.
        parts: rows of a table, whose first cell is a name.
        raw: the same as JSON, for whoever needs every digit.
    """

    name: str
    text: str = ""
    parts: Sequence[tuple[str, ...]] = ()
    raw: str = ""

    @classmethod
    def of_json(cls, name: str, text: str) -> Origin:
        """Make a JSON object readable: a row for each value in it, whose name is the path to it."""
        content = json.loads(text)
        return cls(name, parts=list(_leaves(content)), raw=json.dumps(content, indent=2, ensure_ascii=False))


def of_study(known: StudyQuestion) -> list[Origin]:
    """Tell what was searched, with which versions, on which device."""
    asked = [(name, _text(value)) for name, value in known.parts.settings.changed().items() if name != "study"]
    settings = Origin("Settings", parts=asked) if asked else Origin("Settings", "all defaults")
    entries = [settings, *_prior(known.prior), Origin("State of the search", known.run.state)]
    problem = dict(known.run.problem)
    with known.store.decoding():
        recipe = dict(problem.pop("recipe", {}))
        parts = [(name, notation(part["value"]), f"of {part['from']}") for name, part in recipe.items()]
    entries += [Origin("Recipe", parts=parts)] if recipe else []  # a former version does not tell who set it
    entries += [Origin("Problem", parts=list(_leaves(dict(sorted(problem.items())))))]
    entries += _plugins(known.parts)
    for number, content in enumerate(known.store.provenances(), start=1):
        entries.append(Origin.of_json(f"Versions {number}", content))
    for family, number in sorted(known.run.contexts.items(), key=lambda entry: str(entry[0])):
        entries.append(Origin.of_json(f"What determines {family}", canonical(known.store.identity(number))))
    entries.append(Origin("Written", datetime.now().astimezone().isoformat(" ", "minutes")))
    return entries


def of_replay(parts: Assembly) -> list[Origin]:
    """Tell which table was looked up, and what the accuracy model knew from elsewhere."""
    assert parts.table is not None  # noqa: S101 - called only then
    prior = None if parts.prior is None else parts.prior.record(parts.model.instance)
    return [Origin("Table", parts.table.path.name), *_prior(prior), *_plugins(parts)]


def export_command(known: StudyQuestion) -> str:
    """Return what to call for the network of a trained shape; nothing where a trainer kept no weights."""
    store, settings = known.store, known.parts.settings
    if known.parts.is_own:
        facts = known.first_seed
        context = facts.context_of_network(TRAININGS) if TRAININGS in facts.contexts else None
        if context is None or not any(store.files.weights_of(context).glob("*.safetensors")):
            return ""
    named = {"trainer": [settings.trainer] if is_file(settings.trainer) else [], "plugin": settings.plugin}
    return " ".join(["shape-dnn export", shlex.quote(encodable(str(store.directory))), *as_flags(named)])


def ask_command(known: StudyQuestion) -> str:
    """Return what to call for an answer to another question to a study; it has the model of this one."""
    settings, former = known.parts.settings, known.run.settings
    others = {name: value for name in MODEL if (value := getattr(settings, name)) != former.get(name)}
    with known.store.decoding():
        options = [each for each in settings.option if each.startswith("model.") and each not in former["option"]]
    flags = as_flags({"plugin": settings.plugin, **others, "option": options})
    return " ".join(["shape-dnn ask", shlex.quote(encodable(str(known.store.directory))), *flags])


def replay_command(parts: Assembly) -> str:
    """Return what to call for a search like this one on the same table, with another question."""
    changed = {name: value for name, value in parts.settings.changed().items() if name not in INCIDENTAL | ASKED}
    changed["option"] = [text for text in parts.settings.option if not text.startswith("goal.")]
    return " ".join(["shape-dnn", *as_flags({"replay": parts.settings.replay, **changed})])


def _plugins(parts: Assembly) -> list[Origin]:
    return [Origin("Plugins", parts=[tuple(map(str, plugin.values())) for plugin in parts.selection.plugins])]


def _prior(record: Mapping[str, object] | None) -> list[Origin]:
    return [] if record is None else [Origin("Prior", prior_in_words(record))]


def _leaves(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every value in nested JSON with the names that lead to it; a list of plain values is one."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _leaves(part, f"{path} {name}".lstrip())
    elif isinstance(value, list) and any(isinstance(part, dict | list) for part in value):
        for part in value:
            yield path, " ".join(text for _, text in _leaves(part))
    else:
        yield path, _text(value)


def _text(value: object) -> str:
    """Write a value for people."""
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "none"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return str(value)
