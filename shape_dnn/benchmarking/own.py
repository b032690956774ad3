"""Searches of this project: any sampler, strategy, accuracy model, confidence and terminator."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from shape_dnn.assembly.assembly import Assembly
from shape_dnn.assembly.prior import Prior
from shape_dnn.benchmarking.facts import Seen, whole_curve
from shape_dnn.benchmarking.method import Found, Method
from shape_dnn.benchmarking.problems import RecordedTable
from shape_dnn.benchmarking.questions import Ask
from shape_dnn.errors import UsageError
from shape_dnn.events import Event, Judged
from shape_dnn.kinds import AccuracyModel, Terminator
from shape_dnn.plugins import checked
from shape_dnn.plugins.registry import Registry
from shape_dnn.plugins.sources import Loaded
from shape_dnn.quality import Quality
from shape_dnn.records import Epoch, Prediction, Stop, Training
from shape_dnn.search import fitting, modes
from shape_dnn.search.query import Answer, Query
from shape_dnn.settings import Settings
from shape_dnn.shape import Shape

SETTINGS = ("sampler", "strategy", "model", "prior", "train", "confidence", "terminator", "together")
"""Settings of a search that matter on a recorded table; options are written ``KIND.OPTION``."""
OPTIONS = ("sampler", "strategy", "model", "terminator")
TOGETHER = 2
"""Trainings that a terminator compares while they run."""


class Own(Method):
    """A search with plugins of this project, or made for it, one training after the other as in any replay.

    Every metric of a goal costs something but closed forms, so that a search that measures only what may decide does
    so; the limits that need no training were applied before.

    Args:
        spec: how it was named.
        values: settings by name, ``confidence=none`` to go by expected qualities alone.
        registry: knows the plugins.
        measures_all: whether every metric is known of all shapes.
    """

    answers_sets = True

    def __init__(
        self, spec: str, values: Mapping[str, object], registry: Registry, *, measures_all: bool = False
    ) -> None:
        self.spec, self._registry, self._measures_all = spec, registry, measures_all
        self._prior: Prior | None = None
        self._by_expectation = values.get("confidence") == "none"
        kept = {name: value for name, value in values.items() if not (name == "confidence" and self._by_expectation)}
        self._settings = Settings.create({"together": 1, **kept})
        parts = self._assemble(seed=0)
        parts.check()
        self._prior = parts.prior
        _ = parts.modelling
        self.needs_curves = self._settings.terminator != "none"
        chosen: list[Loaded[Any]] = [parts.sampler, parts.model, *([parts.terminator] if self.needs_curves else [])]
        if self._settings.train is None:
            chosen.append(parts.selection.load("strategy", self._settings.strategy))
        self._identity: dict[str, object] = {
            "confidence": None if self._by_expectation else parts.confidence,
            "train": self._settings.train,
            "together": self._settings.together,
            "prior": None if parts.prior is None else [[str(s), q] for s, q in parts.prior.qualities.items()],
            "plugins": [[each.identity, each.provenance] for each in chosen],
            "measures all": measures_all,
        }

    @classmethod
    def parse(cls, text: str, registry: Registry, spec: str = "") -> Own:
        """Read ``model=ridge,sampler.initial=6``.

        Raises:
            UsageError: names what cannot be used.
            PluginError: a plugin cannot be used.
        """
        spec = spec or text
        values: dict[str, object] = {}
        options: list[str] = []
        for part in text.split(","):
            name, equals, value = (piece.strip() for piece in part.partition("="))
            is_option = name.partition(".")[0] in OPTIONS and "." in name
            if not (equals and value) or not (name in SETTINGS or is_option):
                accepted = ", ".join([*SETTINGS, *(f"{flag}.OPTION" for flag in OPTIONS)])
                message = f"{spec!r}: {part!r} is not a setting with its value; settings are {accepted}"
                raise UsageError(message, setting="method")
            if name in values:
                raise UsageError(f"{spec!r}: {name} is given twice", setting="method")
            if is_option:
                options.append(f"{name}={value}")
            else:
                values[name] = value
        try:
            return cls(spec, {**values, "option": options} if options else values, registry)
        except UsageError as error:
            raise UsageError(f"{spec!r}: {error.message}", setting="method") from None

    @property
    def identity(self) -> dict[str, object]:
        """The settings that matter, and the plugins with their options and versions."""
        return self._identity

    def refuses(self, table: RecordedTable, ask: Ask) -> str:
        """Name the terminator where there are no curves."""
        if self.needs_curves and table.curves is None:
            return f"terminator {self._settings.terminator!r} {super().refuses(table, ask)}"
        return super().refuses(table, ask)

    def answer(self, seen: Seen, seed: int) -> Found:
        """Search."""
        parts = self._assemble(seed, seen.quality)
        facts = Interrupted(seen, parts.terminator.instance) if self.needs_curves else seen
        metrics = dict.fromkeys(seen.metrics, 0.0) if self._measures_all else {"size": 0.0, "params": 0.0}
        confidence = None if self._by_expectation else parts.confidence
        query = Query(seen.limits, seen.goal, metrics, confidence, quality=seen.quality)
        decisions: dict[int, Judged] = {}

        def listen(event: Event) -> None:
            if isinstance(event, Judged):
                decisions[event.trained] = event

        found = modes.search(seen.shapes, query, parts.modelling, facts, listen)
        return Found(
            None if found.best is None else found.best.shape,
            [candidate.shape for candidate in found.complying],
            _predictions(found, seen.shapes, parts.modelling.model),
            list(decisions.values()),
        )

    def _assemble(self, seed: int, quality: Quality | None = None) -> Assembly:
        parts = Assembly(dataclasses.replace(self._settings, seed=seed), self._registry, quality=quality)
        if self._prior is not None:
            parts.prior = self._prior  # read once for all questions
        return parts


def _predictions(found: Answer, shapes: Sequence[Shape], model: AccuracyModel) -> dict[Shape, Prediction]:
    """Predict what was not trained, by all that was."""
    trained = {training.shape for training in found.trainings}
    others = [shape for shape in shapes if shape not in trained]
    if not others or not any(training.qualities for training in found.trainings):
        return {}
    return dict(zip(others, fitting.predict(model, found.trainings, others), strict=True))


class Interrupted:
    """Facts that a terminator has a say in: trainings go on epoch by epoch, two at a time.

    Args:
        seen: the facts.
        terminator: asked after every epoch.
    """

    def __init__(self, seen: Seen, terminator: Terminator) -> None:
        self._seen, self._terminator = seen, terminator
        self._ended: dict[Shape, Training] = {}
        self.known, self.measure, self.estimate = seen.known, seen.measure, seen.estimate
        self.again, self.test = seen.again, seen.test
        terminator.consider(seen.limits, seen.goal)

    def train(self, shapes: Sequence[Shape]) -> list[Training]:
        """Train shapes, to the end or until they are stopped."""
        waiting = [shape for shape in dict.fromkeys(shapes) if shape not in self._ended]
        running: dict[Shape, tuple[Epoch, ...]] = {}
        while waiting or running:
            while waiting and len(running) < TOGETHER:
                running[waiting.pop(0)] = ()
            for shape in list(running):
                running[shape] = whole_curve(self._seen.curve(shape, len(running[shape]) + 1))
                ended = self._end(shape, running)
                if ended is not None:
                    self._ended[shape] = ended
                    del running[shape]
        return [self._ended[shape] for shape in shapes]

    verify = train

    def _end(self, shape: Shape, running: Mapping[Shape, tuple[Epoch, ...]]) -> Training | None:
        """Return what came of a training if it is at its end, or is stopped."""
        epochs, curve = self._seen.epochs, running[shape]
        assert epochs is not None  # noqa: S101 - there are curves
        if len(curve) == epochs:
            return Training(shape, self._seen.trained(shape), curve=curve)
        others = [*self._ended.values(), *(Training(s, None, curve=c) for s, c in running.items() if s != shape)]
        if checked.should_stop(self._terminator, curve, epochs, others):
            return Training(shape, None, "stopped early", curve, stop=Stop(""))
        return None
