"""Questions to a study: nothing is measured or trained."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from shape_dnn.answers.advice import most_telling
from shape_dnn.answers.gathering import gather
from shape_dnn.answers.result import Result
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.constraints import KNOWN_METRICS, base_of, known_metric
from shape_dnn.errors import MeterError, ShapeDnnError, UsageError
from shape_dnn.kinds import Conditions, Workload
from shape_dnn.records import Measurement
from shape_dnn.search.algorithm import predict
from shape_dnn.search.facts import Facts
from shape_dnn.search.failures import Count, Counted, Recount, as_they_are
from shape_dnn.search.lookup import recall
from shape_dnn.search.query import Answer, Candidate
from shape_dnn.settings import QUESTION, Settings
from shape_dnn.shape import Shape
from shape_dnn.store.facts import Store
from shape_dnn.store.families import Family
from shape_dnn.store.runs import RecordedRun
from shape_dnn.study.known import KnownFacts, stop_by
from shape_dnn.study.seeds import mean_over_seeds

MODEL = ("model", "prior")
"""Settings of a search that hold for any question to its study, unless the question has its own."""


def ask(study: str | Path, **settings: Any) -> Result:
    """Answer a question from what a study knows: nothing is measured or trained.

    Args:
        study: directory of the study.
        **settings: limits, goal, confidence, model or prior of the question. Model and prior are those of the search if
            they are not given; the others are not taken over.

    Returns:
        The result, with the one further training or measurement that would most likely change it.

    Raises:
        UsageError: there is no study, or a setting cannot be used.
    """
    with StudyQuestion.open(study, settings) as known:
        known.check()
        return known.result()


@dataclass(frozen=True)
class KnownMetric:
    """A metric that is known for some shapes.

    Attributes:
        name: the word used in flags.
        unit: unit of its values.
        values: value of each shape, with interval and status if it was measured.
    """

    name: str
    unit: str
    values: Mapping[Shape, Measurement]


@dataclass
class StudyQuestion:
    """What a study knows, and a question to it.

    Attributes:
        store: the study file.
        run: the search whose settings the question takes over.
        parts: the objects of that search, with the limits and the goal of the question.
        of_seeds: what is known for each seed.
        repeats: whether the question is the one that was searched.
    """

    store: Store
    run: RecordedRun
    parts: Assembly
    of_seeds: list[KnownFacts]
    repeats: bool

    @classmethod
    @contextmanager
    def open(
        cls, study: str | Path, settings: Mapping[str, Any], *, as_searched: bool = False, latest: bool = False
    ) -> Iterator[StudyQuestion]:
        """Open a study for a question.

        Args:
            study: its directory.
            settings: limits, goal, confidence, model or prior of the question.
            as_searched: whether the limits and the goal of the search apply if none are given.
            latest: whether to take the search that began last, finished or not.

        Raises:
            UsageError: there is no study, nothing was searched in it, or a setting cannot be used.
        """
        asked = Settings.create(settings)
        allowed = {*QUESTION, "option", "plugin"}
        wrong = sorted(set(settings) - allowed)
        if wrong:
            raise UsageError(f"cannot be changed by a question; it takes {', '.join(sorted(allowed))}", wrong[0])
        # What is no option at all is told so where options are read.
        fixed = [text for text in asked.option if "=" in text and not text.startswith(("goal.", "model."))]
        if fixed:
            message = f"{fixed[0]!r} cannot be changed by a question; it takes options of goal and model"
            raise UsageError(message, setting="option")
        store = Store(Path(study), create=False)
        try:
            former = store.runs.last(latest=latest)
            if former is None:
                raise UsageError(f"nothing was searched in the study {str(study)!r} yet", setting="study")
            with store.decoding():
                repeats = as_searched and not set(settings) & set(QUESTION) - {"confidence", *MODEL}
                kept = {k: v for k, v in former.settings.items() if k not in QUESTION or k in MODEL or repeats}
                plugins, given = list(map(str, kept["plugin"])), list(map(str, kept["option"]))
                channels, height, width = map(int, former.problem["input_shape"])
                classes, batch_size = int(former.problem["classes"]), int(kept["batch_size"])
                conditions = Conditions((channels, height, width), classes, batch_size, "")
            if plugins and not asked.plugin:
                # A study may come from a stranger, and a plugin file is a program.
                named = ", ".join(map(repr, plugins))
                message = f"the study was made with {named}; name the files again if you trust them"
                raise UsageError(message, setting="plugin")
            changed = (set() if repeats else {"goal."}) | ({"model."} if "model" in settings else set())
            options = [text for text in given if not text.startswith(tuple(changed))] if changed else given
            replaced = {text.partition("=")[0] for text in asked.option}
            options = [text for text in options if text.partition("=")[0] not in replaced]
            parts = Assembly(
                Settings.create({**kept, **settings, "option": [*options, *asked.option]}), problem=former.problem
            )
            _check_prior(parts, settings)
            with store.decoding():
                workload = conditions.of(parts.architecture.instance, parts.shipping)
            yield cls(store, former, parts, remember(store, workload, parts, former.contexts), repeats)
        finally:
            store.close()

    @property
    def first_seed(self) -> KnownFacts:
        """What is known for the first seed, measurements included."""
        return self.of_seeds[0]

    @property
    def facts(self) -> Facts:
        """What is known for all seeds together."""
        return mean_over_seeds(self.of_seeds)

    @cached_property
    def count(self) -> Count:
        """Tells how trainings count, as it did in the search."""
        searched = self.run.settings.get("confidence") is not None
        return (
            Recount(self.facts, quality=self.parts.quality)
            if searched or self.parts.confidence is not None
            else as_they_are
        )

    @cached_property
    def counted(self) -> Counted:
        """Every training, as it counts."""
        return self.count(self.facts.known(self.parts.shapes))

    def first_that_counts(self, shape: Shape) -> KnownFacts:
        """Return what is known for the first seed, or for that of a second training if that counts for the shape."""
        second = self.first_seed.second if shape in self.counted.accidental else None
        return self.first_seed if second is None else second

    @cached_property
    def metrics(self) -> list[KnownMetric]:
        """Every metric of which something is known, except the quality."""
        names = in_order({"size", *(family.metric for family in self.first_seed.contexts if family.metric is not None)})
        return [metric for metric in map(self._metric, names) if metric.values]

    def _metric(self, name: str) -> KnownMetric:
        shapes, known, by_name = self.parts.shapes, self.first_seed, known_metric(name)
        unit = "" if by_name is None else by_name.unit
        try:
            meter = self.parts.meters.get(name) or self.parts.meters_of([name])[name]
            unit = meter.instance.unit
        except ShapeDnnError:
            pass  # the plugin is gone; what it measured is still there
        if Family(name) in known.contexts:
            return KnownMetric(name, unit, known.estimates(name, shapes))
        found = zip(shapes, known.measure(name, shapes), strict=True)
        return KnownMetric(name, unit, {shape: Measurement(value) for shape, value in found if value is not None})

    @cached_property
    def candidates(self) -> list[Candidate]:
        """Every shape of the space whose training did not fail, with its prediction."""
        return predict(self.parts.shapes, self.counted.trainings, self.parts.model.instance)

    @cached_property
    def prior(self) -> Mapping[str, object] | None:
        """What the accuracy model knew from elsewhere, and how much that counts, given all that the study knows."""
        _ = self.candidates  # the weight is that of the last fit
        return None if self.parts.prior is None else self.parts.prior.record(self.parts.model.instance)

    @cached_property
    def answer(self) -> Answer:
        """The answer to the question; that of the search, if the question was searched."""
        parts, counted = self.parts, self.counted
        found = recall(
            parts.shapes, parts.query, self.candidates, self.facts, verified=self.was_searched, again=counted.accidental
        )
        failed = tuple(t for t in counted.trainings if t.reason and t.shape in found.survivors)
        return replace(found, failing=counted.failing, accidents=counted.accidents, known_failed=failed)

    @cached_property
    def was_searched(self) -> bool:
        """Whether a search with this question came to its end, in this space and with these trainings."""
        return self.store.runs.was_searched(self.parts.question_record, self.run, self.parts.resolved)

    def result(self) -> Result:
        """Return the answer as users see it."""
        advice = most_telling(
            self.parts.query,
            self.candidates,
            self.facts,
            self.first_seed,
            self.parts.model.instance,
            verified=self.was_searched,
        )
        arch = self.parts.architecture.choice.name
        return gather(self.parts, self.answer, self.first_seed, arch, of_seeds=self.of_seeds, advice=advice)

    def check(self, stacklevel: int = 3) -> None:
        """Refuse a question about a metric of which the study knows nothing; warn if it knows it of some shapes only.

        Shapes that are beyond another limit of the question lack nothing.

        Args:
            stacklevel: of the warning, as :func:`warnings.warn` takes it.

        Raises:
            MeterError: nothing is known of a metric.
        """
        shapes, metrics, quality = self.parts.shapes, self.parts.metrics_in_question, self.parts.quality.name
        left = self._within_known_limits()
        trained = self.first_seed.train(shapes) if quality in metrics else []
        if left and quality in metrics and not any(training.quality is not None for training in trained):
            reasons = [training.reason for training in trained if training.reason and not training.stopped]
            why = f"no training of its last search succeeded; the first failed because {reasons[0]}" if reasons else ""
            raise MeterError(why or f"no shape of the study was trained, so no {quality} is known; run shape-dnn tune")
        for metric in sorted(metrics - {quality}):
            lacking = {s for s, v in zip(shapes, self.first_seed.estimate(metric, shapes), strict=True) if v is None}
            unknown = len(lacking & left)
            if unknown and len(lacking) == len(shapes):
                raise MeterError(f"the study knows the {metric} of no shape; measure it with shape-dnn measure or tune")
            if unknown and not self.was_searched:  # a search has measured what its question needs
                count = f"{unknown:,} of {len(shapes):,} shapes"
                message = f"the study does not know the {metric} of {count}; these are left out"
                warnings.warn(message, stacklevel=stacklevel)

    def _within_known_limits(self) -> set[Shape]:
        """Return the shapes that no limit on a metric drops, as far as the metric is known of them."""
        left = set(self.parts.shapes)
        for limit in self.parts.query.non_functional:
            values = self.first_seed.estimate(limit.metric, self.parts.shapes)
            known = zip(self.parts.shapes, values, strict=True)
            left -= {shape for shape, value in known if value is not None and not limit.allows(value)}
        return left


def _check_prior(parts: Assembly, settings: Mapping[str, Any]) -> None:
    """Check that the prior of a question can be read. If it is that of the search, say so: the user did not name it."""
    try:
        _ = parts.prior
    except UsageError as error:
        if settings.get("prior") is not None:
            raise
        searched = f"the study was searched with the prior {parts.settings.prior!r}: {error.message}"
        raise UsageError(f"{searched}; name it where it lies now, or none to do without", "prior") from None


def in_order(names: Set[str]) -> list[str]:
    """Sort metrics: those of the paper come first, on whatever target."""
    first = list(KNOWN_METRICS)
    return sorted(names, key=lambda name: (first.index(base) if (base := base_of(name)) in first else len(first), name))


def _under_other_names(parts: Assembly, contexts: Mapping[Family, int]) -> dict[Family, int]:
    """Return what is known of metrics in question that were measured by their other name.

    With one target, ``latency`` and ``latency@pi`` are the same.
    """
    if len(parts.targets) != 1:
        return {}
    (target,) = parts.targets
    names = {f"{base}@{target}": base for base in map(base_of, parts.metrics_in_question)}
    both = [*names.items(), *((base, placed) for placed, base in names.items())]
    return {
        Family(wanted): contexts[Family(other)]
        for wanted, other in both
        if wanted in parts.metrics_in_question and Family(other) in contexts
    }


def remember(
    store: Store, workload: Workload, parts: Assembly, contexts: Mapping[Family, int], *, retry_failed: bool = False
) -> list[KnownFacts]:
    """Return what is known for each seed."""
    found, seeds = [], len(parts.seeds)
    contexts = {**_under_other_names(parts, contexts), **contexts}
    stop = stop_by(parts.terminator, parts.question)
    for seed in range(seeds):
        own = {
            replace(family, seed=0): number
            for family, number in contexts.items()
            if family.metric is not None
            or (family.seed == seed and (family.donor is None or parts.settings.transfer is not None))
        }
        found.append(
            KnownFacts(store, workload, parts.meters, own, parts.settings.fit_depths, stop, retry_failed, seeds)
        )
    return found
