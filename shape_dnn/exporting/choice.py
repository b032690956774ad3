"""Which training of a study is exported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shape_dnn.deploying.artifacts import Artifact
from shape_dnn.errors import ExportError, NothingCompliesError, UsageError
from shape_dnn.records import Training
from shape_dnn.search.ordering import min_by_goal
from shape_dnn.shape import Shape, by_width_then_depth

if TYPE_CHECKING:
    from shape_dnn.answers.question import StudyQuestion

MOST_NAMED = 8
"""Trained shapes that a message lists."""


@dataclass(frozen=True)
class Found:
    """A training that came to a quality, and the study that knows of it.

    Attributes:
        known: the study.
        context: number of the family of the training.
        training: what came of it.
        weights: its safetensors file.
        artifact: what ships; None for networks as torch runs them.
    """

    known: StudyQuestion
    context: int
    training: Training
    weights: Path
    artifact: Artifact | None = None

    @property
    def shape(self) -> Shape:
        """Depth and width."""
        return self.training.shape

    @property
    def identity(self) -> Mapping[str, Any]:
        """What determined its quality (:class:`shape_dnn.study.problem.Problem`)."""
        return self.known.store.identity(self.context)

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Versions of plugins and libraries that it was trained with."""
        return self.known.store.provenance(self.context, self.shape)


def best(known: StudyQuestion) -> Shape:
    """Return the best shape by the goal among those that comply and were trained.

    Raises:
        UsageError: there is no goal.
        NothingCompliesError: no trained shape meets the limits.
    """
    if known.parts.goal is None:
        raise UsageError("nothing says which shape is the best; give a goal, or name one by --shape", setting="goal")
    known.check(stacklevel=5)
    trained = [candidate for candidate in known.answer.complying if candidate.quality is not None]
    found = min_by_goal(trained, known.parts.query, known.facts)
    if found is None:
        known.result().raise_if_empty()
        raise NothingCompliesError("no shape that meets the limits was trained; shape-dnn tune with them does so")
    return found.shape


def untrained_rival(known: StudyQuestion, chosen: Shape) -> Shape | None:
    """Return a shape that was not trained and is predicted to be better; None if the question is that of the search.

    The search has decided how good is good enough.
    """
    rival = known.answer.best
    return None if known.repeats or rival is None or rival.shape == chosen else rival.shape


def named(text: str | tuple[int, Any], shapes: Sequence[Shape]) -> Shape:
    """Read the shape that the user names, of some that are known if its width is the decimal of theirs.

    Results have widths as decimals, which of a third is not exact.

    Raises:
        UsageError: it is none.
    """
    try:
        depth, width = Shape.parse(text if isinstance(text, str) else ",".join(map(str, text)))
    except (ValueError, TypeError):
        message = f"{text!r} is not a shape; write DEPTH,WIDTH, for example 10,3/4"
        raise UsageError(message, setting="shape") from None
    known = (one for one in shapes if one.depth == depth and float(one.width) == float(width))
    return next(known, Shape(depth, width))


def training_of(known: StudyQuestion, shape: Shape) -> Found:
    """Return the training of a shape, that for the first seed that counts if there are several.

    Raises:
        UsageError: it was not trained.
        ExportError: its weights are gone.
    """
    facts = known.first_that_counts(shape)
    found = facts.find(shape)
    if found is None:
        raise UsageError(f"shape {shape} was not trained; {_trained(known)}", setting="shape")
    context, training = facts.contexts[found[0]], found[1]
    if training.quality is None:
        message = f"the training of {shape} came to no result: {training.reason}; {_trained(known)}"
        raise UsageError(message, setting="shape")
    files = known.store.files
    weights = files.weights(facts.context_of_network(found[0]), shape)
    if not weights.is_file():
        place = repr(str(weights))
        message = f"the weights of {shape} are gone: there is no {place}"
        if known.parts.is_own:
            message = f"there are no weights of {shape}: its trainer did not run.save() any, or {place} is gone"
        raise ExportError(f"{message}; a copy of a study needs its folder 'weights', too")
    ships = facts.context_of_network(found[0]) != context
    return Found(known, context, training, weights, Artifact(files.artifact(context, shape)) if ships else None)


def _trained(known: StudyQuestion) -> str:
    """List some of the shapes that can be exported."""
    trained = [t.shape for t in known.first_seed.verify(known.parts.shapes) if t.quality is not None]
    if not trained:
        return "no shape of the study is; shape-dnn tune trains some"
    shown = sorted(trained, key=by_width_then_depth)[:MOST_NAMED]
    more = f" and {len(trained) - len(shown)} more" if len(trained) > len(shown) else ""
    return f"trained are {', '.join(map(str, shown))}{more}"
