"""The answer of a search as users see it: in Python, as JSON, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shape_dnn.answers import encoding
from shape_dnn.answers.data_frames import data_frame
from shape_dnn.answers.summary import Shown, Summary
from shape_dnn.answers.table import summarize
from shape_dnn.answers.words import beside, number
from shape_dnn.constraints import Constraint
from shape_dnn.errors import NothingCompliesError
from shape_dnn.quality import ACCURACY, Quality
from shape_dnn.records import Transferred
from shape_dnn.search.query import Answer, Candidate, Stage
from shape_dnn.shape import Shape

if TYPE_CHECKING:
    from pandas import DataFrame

    from shape_dnn.answers.advice import Advice

ALWAYS_SHOWN = ("size", "latency", "energy")


@dataclass(frozen=True, repr=False)
class Result(Shown):
    """What :func:`shape_dnn.tune` returns.

    Attributes:
        answer: the answer of the search, or to a question.
        arch: name of the architecture; None if a table was replayed and none was named.
        metrics: the values of each metric for the complying shapes; None where nothing was measured.
        units: unit of each metric.
        plugins: name, version and distribution of each plugin that had a part in the result.
        new_trainings: number of trainings made for this answer; the others were known.
        estimated: for each metric, the shapes whose value was not measured but predicted by a line in depth; None if
            none may be.
        seeds: number of trainings of each shape.
        goal: what decides which shape is the best, as the user wrote it; None if nothing does.
        scores: score of each shape by the goal, of which the lowest is the best; None for a shape whose score cannot be
            computed.
        confidence: probability from which a shape that was not trained counts as surely complying; None if that was not
            asked for.
        is_front: whether the shapes are the front of a trade-off.
        transferred: the outcome of trainings that started from the weights of a smaller shape, if there were any.
        recipe: how shapes are trained: for each part its ``value``, and in ``from`` who set it; None if nothing is
            trained.
        report: the file that shows the outcome of a search.
        prior: what the accuracy model knew from elsewhere, and how much that counted; None if it knew nothing.
        advice: for a question, the further training or measurement that would most likely change the answer, if there
            is one.
        quality: the quality that trainings are judged by.
        weights: names of the weights that trainings started from, by shape; None for random weights.
        deployment: what ships and where it runs, as JSON values; None if a table was replayed.
        as_trained: the quality of each network before it was converted; None if the precision changes no quality.
    """

    answer: Answer
    arch: str | None
    metrics: Mapping[str, Mapping[Shape, float | None]]
    units: Mapping[str, str]
    plugins: Sequence[Mapping[str, str]]
    new_trainings: int
    estimated: Mapping[str, frozenset[Shape]] | None = None
    seeds: int = 1
    goal: str | None = None
    scores: Mapping[Shape, float | None] = field(default_factory=dict)
    confidence: float | None = None
    is_front: bool = False
    transferred: Transferred | None = None
    recipe: Mapping[str, Mapping[str, object]] | None = None
    report: Path | None = None
    prior: Mapping[str, object] | None = None
    advice: Advice | None = None
    quality: Quality = ACCURACY
    weights: Mapping[Shape, str] | None = None
    deployment: Mapping[str, object] | None = None
    as_trained: Mapping[Shape, float] | None = None

    def __repr__(self) -> str:
        best = f", best {self.best}" if self.best else ""
        return f"<Result: {len(self.shapes):,} of {self.answer.space:,} shapes comply{best}, verified {self.verified}>"

    @property
    def summaries(self) -> list[Summary]:
        """The table of the command, with the lines around it."""
        return [summarize(self)]

    @property
    def shapes(self) -> list[Shape]:
        """The shapes that comply."""
        return [candidate.shape for candidate in self.answer.complying]

    @property
    def best(self) -> Shape | None:
        """The best of the shapes that comply, by the goal; None without a goal."""
        return None if self.answer.best is None else self.answer.best.shape

    @property
    def verified(self) -> bool:
        """Whether the best shape was trained and complies."""
        return self.answer.verified

    @property
    def metric_names(self) -> list[str]:
        """The metrics in the order in which they are shown."""
        return [*ALWAYS_SHOWN, *sorted(set(self.metrics) - set(ALWAYS_SHOWN))]

    @property
    def shows_score(self) -> bool:
        """Whether a score says more than the metrics; it does not if the goal is simply one of them."""
        known = any(score is not None for score in self.scores.values())
        return known and (self.goal or "").strip() not in {*self.metrics, self.quality.name}

    @property
    def shows_probability(self) -> bool:
        """Whether the quality is limited, so that shapes that were not trained comply with a probability."""
        return bool(self.limits_on(self.quality.name))

    def limits_on(self, metric: str) -> list[Constraint]:
        """Return the limits on a metric, or on the quality."""
        limits = [stage.constraint for stage in self.answer.stages]
        return [limit for limit in limits if limit.metric == metric]

    def is_estimated(self, metric: str, shape: Shape) -> bool:
        """Tell whether a value was predicted instead of measured."""
        return self.estimated is not None and shape in self.estimated.get(metric, ())

    def rows(self) -> list[dict[str, Any]]:
        """Return the complying shapes as flat records, for tables and data frames."""
        return [self._row(candidate) for candidate in self.answer.complying]

    @property
    def columns(self) -> list[str]:
        """Names of the entries of :meth:`rows`."""
        more = [*(["probability"] if self.shows_probability else []), *([] if self.goal is None else ["score"]),
                *([] if self.estimated is None else ["estimated"])]  # fmt: skip
        name = self.quality.name
        shipped = [] if self.as_trained is None else [f"float_{name}"]
        return ["depth", "width", *self.metric_names, name, *shipped, f"predicted_{name}", "predicted_std", *more]

    def to_pandas(self) -> DataFrame:
        """Return the complying shapes as a data frame with the columns of :meth:`rows`; what was not measured is NaN.

        Raises:
            ImportError: pandas is not installed.
        """
        return data_frame(self.rows(), self.columns)

    def to_dict(self) -> dict[str, Any]:
        """Return the object that ``--format json`` prints."""
        answer, name = self.answer, self.quality.name
        best = answer.best
        trained = [t for t in answer.trainings if not t.reason]
        return {
            "space": {"arch": self.arch, "shapes": answer.space},
            **({} if self.quality == ACCURACY else {"quality": self.quality.record}),
            **({} if self.deployment is None else {"deployment": dict(self.deployment)}),
            **({} if self.weights is None else {"weights": list(map(encoding.weights, self.weights.items()))}),
            "stages": [
                {"metric": s.constraint.metric, "limit": s.constraint.bound, "before": s.before, "after": s.after}
                for s in answer.stages
            ],
            "trained": [{**encoding.shape(t.shape), name: t.quality} for t in trained],
            "failed": [{**encoding.shape(t.shape), "reason": t.reason} for t in answer.failed],
            "shapes": self.rows(),
            "best": None if best is None else {**self._row(best), f"test_{name}": answer.test_quality},
            "verified": answer.verified,
            **({} if answer.noise is None else {"noise": asdict(answer.noise)}),
            **({} if answer.certificate is None else {"certificate": asdict(answer.certificate)}),
            **({"failing": [encoding.failing(each, name) for each in answer.failing]} if answer.failing else {}),
            **({"accidents": [encoding.accident(each, name) for each in answer.accidents]} if answer.accidents else {}),
            **({} if self.transferred is None else {"transfer": encoding.transferred(self.transferred)}),
            **({} if answer.closest is None else {"closest": self._row(answer.closest)}),
            **({} if self.advice is None else {"advice": encoding.advice(self.advice)}),
            **({} if self.prior is None else {"prior": dict(self.prior)}),
            "cost": self.cost,
            **({} if self.recipe is None else {"recipe": {name: dict(part) for name, part in self.recipe.items()}}),
            **({} if self.report is None else {"report": str(self.report)}),
            "plugins": [dict(plugin) for plugin in self.plugins],
        }

    @property
    def cost(self) -> dict[str, float | None]:
        """The cost as the paper has it: trainings, against the shapes left after the limits that need no training.

        A shape that was trained again counts twice.

        In a plan, ``most`` is the largest number of trainings before verification, and the speedup is computed from it.
        """
        answer = self.answer
        trained, candidates, space = len(answer.trainings) + answer.repeated, answer.candidates, answer.space
        most = trained if answer.budget is None else max(trained, answer.budget)
        return {
            "trained": trained,
            "candidates": candidates,
            "percent_of_space": 100 * trained / space,
            "speedup": candidates / most if most else None,
            "new_trainings": self.new_trainings,
            **({} if answer.budget is None else {"most": most}),
        }

    def raise_if_empty(self) -> None:
        """Raise an error if nothing complies.

        Raises:
            NothingCompliesError: nothing complies; the message says which constraint dropped the last shapes, or that
                no training succeeded.
        """
        answer = self.answer
        if answer.complying:
            return
        failures = [t for t in answer.trainings if t.reason]
        emptied = next((s for s in answer.stages if s.before and not s.after), None)  # no training, nothing before
        if emptied is None and failures and len(failures) == len(answer.trainings):
            raise NothingCompliesError(f"no training succeeded; the first failed because {failures[0].reason}")
        limits = self.limits_on(self.quality.name)
        closest = _closest(answer.closest, self.quality, limits)
        if emptied is not None:
            count = f"{emptied.before:,} shapes" if emptied.before != 1 else "shape"
            closest = closest or _nearest(emptied)
            raise NothingCompliesError(f"nothing complies: {emptied.constraint} dropped the last {count}{closest}")
        if self.is_front:
            raise NothingCompliesError("nothing complies: no shape has a value of all that is traded off")
        missed = " and ".join(map(str, limits)) or "the constraints"
        raise NothingCompliesError(
            f"nothing complies: every shape predicted to meet {missed} failed it when trained{closest}"
        )

    def probability(self, candidate: Candidate) -> float | None:
        """Return the probability that a training of a shape meets the limits on the quality."""
        return candidate.probability(self.limits_on(self.quality.name))

    def _row(self, candidate: Candidate) -> dict[str, Any]:
        prediction, quality = candidate.prediction, self.quality.name
        estimated = [name for name in self.metric_names if self.is_estimated(name, candidate.shape)]
        return {
            **encoding.shape(candidate.shape),
            **{name: self.metrics.get(name, {}).get(candidate.shape) for name in self.metric_names},
            quality: candidate.quality,
            **({} if self.as_trained is None else {f"float_{quality}": self.as_trained.get(candidate.shape)}),
            f"predicted_{quality}": None if prediction is None else prediction.mean,
            "predicted_std": None if prediction is None else prediction.std,
            **({"probability": self.probability(candidate)} if self.shows_probability else {}),
            **({} if self.goal is None else {"score": self.scores.get(candidate.shape)}),
            **({} if self.estimated is None else {"estimated": estimated}),
        }


def _closest(closest: Candidate | None, quality: Quality, limits: Sequence[Constraint]) -> str:
    """Tell which shape comes closest to the limits on the quality, if that is why nothing complies."""
    if closest is None or closest.expected is None:
        return ""
    how = "predicted" if closest.quality is None else "trained"
    value = f"{beside(limits, closest.expected, quality.number)} {quality.unit}".rstrip()
    return f"; the closest is {closest.shape} with a {how} {quality.name} of {value}"


def _nearest(stage: Stage) -> str:
    """Tell which shape misses a limit on a metric by the least."""
    if stage.nearest is None:
        return ""
    shape, value = stage.nearest
    text = beside([stage.constraint], value, number)
    return f"; the closest is {shape} with a {stage.constraint.metric} of {text} {stage.constraint.unit}".rstrip()
