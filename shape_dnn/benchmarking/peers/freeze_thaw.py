"""The default search, which looks at a training on its way and may leave it there."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from shape_dnn.assembly.assembly import Assembly
from shape_dnn.benchmarking.facts import Seen
from shape_dnn.benchmarking.method import Found, Method
from shape_dnn.benchmarking.peers.looks import Looks
from shape_dnn.events import Judged
from shape_dnn.plugins.registry import Registry
from shape_dnn.records import Prediction, Training
from shape_dnn.search import design, fitting
from shape_dnn.search.algorithm import apply_quality_limits, predict, verify
from shape_dnn.search.failures import counting
from shape_dnn.search.ordering import eligible, min_by_goal
from shape_dnn.search.posterior import AnswerPosterior
from shape_dnn.search.posterior_of import PosteriorOf
from shape_dnn.search.query import Candidate, Query
from shape_dnn.settings import Settings
from shape_dnn.shape import Shape

LOOKS = (1, 50)
"""Percent of the epochs after which it looks. Both save most; half-way alone saves less, and loses fewer answers."""


class FreezeThaw(Method):
    """Look at a training on its way, leave it there, and go on with the most promising (Swersky et al. 2014).

    It is the default search, of which a step is a part of a training: after each look everything is judged anew, and
    the next part is of the shape whose quality, once known, improves the answer most for the square root of what is
    left of its training. So it goes on unless the look speaks against the shape, and a look that is gone on from
    costs nothing. It begins and ends as the default does: three trainings to the end, and an answer that was trained
    to the end. Steps by the expected reduction of doubt per second were tried, and cost more.

    Args:
        percent: of the epochs after which it looks, and at least one epoch; 0 for those of ``LOOKS``. At 100 it never
            looks, and is the default search.
    """

    needs_curves = True

    def __init__(self, percent: int = 0) -> None:
        self._percents = (percent,) if percent else LOOKS
        self._registry = Registry([])

    def answer(self, seen: Seen, seed: int) -> Found:
        """Train part by part until the answer stands."""
        settings = dataclasses.replace(Settings.create({"together": 1}), seed=seed)
        parts = Assembly(settings, self._registry, quality=seen.quality)
        modelling = parts.modelling
        looks = Looks(modelling.model)
        modelling = dataclasses.replace(modelling, model=looks)
        query = Query(seen.limits, seen.goal, {"size": 0.0, "params": 0.0}, parts.confidence, quality=seen.quality)
        posterior_of = PosteriorOf(query, modelling, seen, counting(query, seen))
        return _Search(seen, query, looks, posterior_of).run(self._stops(seen))

    def _stops(self, seen: Seen) -> list[int]:
        """Return the epochs after which it looks, and the last."""
        assert seen.epochs is not None  # noqa: S101 - it needs curves
        return sorted({min(max(1, percent * seen.epochs // 100), seen.epochs) for percent in (*self._percents, 100)})


class _Search:
    """One search.

    Args:
        seen: trains.
        query: limits, goal and confidence.
        looks: the accuracy model.
        posterior_of: tells what is known by it.
    """

    def __init__(self, seen: Seen, query: Query, looks: Looks, posterior_of: PosteriorOf) -> None:
        self._seen, self._query, self._looks, self._posterior_of = seen, query, looks, posterior_of
        self._finished: list[Training] = []

    def run(self, stops: Sequence[int]) -> Found:
        """Search.

        Args:
            stops: epochs after which it looks, and the last.
        """
        decisions: dict[int, Judged] = {}
        while True:
            posterior = self._posterior(stops[-1])
            if len(self._finished) < min(posterior.initial, len(posterior.shapes)):
                trained = {training.shape for training in self._finished}
                self._finish(design.d_optimal(posterior.shapes, 1, posterior.costs, trained))
                continue
            decisions[len(self._finished)] = posterior.judgement
            if not posterior.settled:
                self._go_on(posterior.choose(1)[0], stops)
                continue
            candidates = self._eligible(posterior)
            made = verify(candidates, self._query, self._seen)
            if not made:
                best = min_by_goal(candidates, self._query, self._seen)
                shape = None if best is None else best.shape
                return Found(shape, (), self._predictions(posterior), list(decisions.values()))
            self._finish([training.shape for training in made])

    def _posterior(self, epochs: int) -> AnswerPosterior:
        begun = {shape: len(curve) / epochs for shape, curve in self._looks.begun.items()}
        return dataclasses.replace(self._posterior_of(self._seen.shapes, self._finished), begun=begun)

    def _go_on(self, shape: Shape, stops: Sequence[int]) -> None:
        """Train a shape to the next stop."""
        made = len(self._looks.begun.get(shape, ()))
        stop = next(stop for stop in stops if stop > made)
        if stop == stops[-1]:
            self._finish([shape])
        else:
            self._looks.begun[shape] = self._seen.curve(shape, stop)

    def _finish(self, shapes: Sequence[Shape]) -> None:
        assert self._seen.epochs is not None  # noqa: S101 - it needs curves
        for training in self._seen.train(shapes):
            self._finished.append(training)
            curve = self._seen.curve(training.shape, self._seen.epochs)
            self._looks.finish(training.shape, curve, self._seen.trained(training.shape))

    def _eligible(self, posterior: AnswerPosterior) -> list[Candidate]:
        """Return the shapes of which one may be called the best, as the default search has them."""
        complying, _ = apply_quality_limits(predict(posterior.shapes, posterior.observed, self._looks), self._query)
        return eligible(complying, self._query, verified=True)

    def _predictions(self, posterior: AnswerPosterior) -> dict[Shape, Prediction]:
        """Predict what was not trained to the end."""
        others = [shape for shape in posterior.shapes if shape not in self._looks.finished]
        if not others:
            return {}
        return dict(zip(others, fitting.predict(self._looks, posterior.observed, others), strict=True))
