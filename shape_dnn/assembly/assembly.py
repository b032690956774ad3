"""From settings to the objects of a search: every plugin is looked up by name here and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any

from shape_dnn.assembly import modelling, question, shipping
from shape_dnn.assembly.own_trainer import is_file
from shape_dnn.assembly.prior import Prior, find_prior
from shape_dnn.assembly.problem_parts import ProblemParts
from shape_dnn.assembly.question import Metrics
from shape_dnn.assembly.replay import replays, workload_of_table
from shape_dnn.constraints import Constraint, base_of
from shape_dnn.errors import UsageError
from shape_dnn.kinds import AccuracyModel, Goal, Meter, Observer, Sampler, Terminator, Workload
from shape_dnn.plugins.sources import Loaded
from shape_dnn.search.query import Modelling, Query
from shape_dnn.store.decoding import canonical
from shape_dnn.study.tables import Replay

CONFIDENCE = 0.95
"""With which the answer is to stand where the sampler decides by what is asked."""
USUAL_COSTS: Mapping[str, float] = {"size": 0.0, "latency": 1.0, "energy": 2.0}
"""Order of the filters where no meter declares it, as in a replay; any other metric comes after them."""


class Assembly(ProblemParts):
    """The parts of a search: of its problem, and what is asked of it, each made when it is first asked for."""

    def check(self) -> None:
        """Look up every plugin that the settings name and check every option, whether the search will need them or not.

        Raises:
            UsageError: a name or an option is not known.
            PluginError: a plugin cannot be used.
        """
        goal = self.settings.goal
        written_out = goal is not None and question.is_expression(goal, self.selection, self._metrics)
        if goal is not None and not written_out and not self.selection.registry.is_declared("goal", goal):
            _ = self.goal  # is refused, and told what the quality is called
        passed_over = {"replay"} if self.settings.replay is not None else set()  # a file, perhaps
        passed_over |= {"goal"} if written_out else set()
        passed_over |= {"trainer"} if is_file(self.settings.trainer) else set()
        self.selection.check(passed_over)
        _ = self.table, self.own, self.transfer, self.confidence, self.prior
        shipping.check(self.deployment, self.own, self.selection.options("target"))
        if self.own is not None and self.own.loaded.instance.steps is None and self.settings.terminator != "none":
            length = "give its train() a parameter epochs or steps, with a default"
            raise UsageError(f"nobody knows how long {self.own.title} trains; {length}", setting="terminator")

    # Plugins

    @cached_property
    def meters(self) -> dict[str, Loaded[Meter]]:
        """The meter of each metric that a constraint or the goal needs, and of size."""
        sized = {"size"} if self.own is None or self.own.builds else set()
        return self.meters_of({*sized, *self.metrics_in_question} - {self.quality.name})

    def meters_of(self, metrics: Collection[str]) -> dict[str, Loaded[Meter]]:
        """Load the meter of each metric; in a replay, of those that the table lacks and a meter has.

        Raises:
            UsageError: the trainer has no networks, or no inputs for them, that could be measured.
            PluginError: there is none.
        """
        if self.own is not None and self.table is None:
            self.own.check(metrics)
        selection, table = self.selection, self.table
        installed = selection.registry.names("meter")
        meters = {
            metric: selection.load_meter(metric)
            for metric in sorted(metrics)
            if table is None or (metric not in table.columns and selection.meter_of(metric) in installed)
        }
        if table is None:
            shipping.check_meters(self.deployment, self.targets, meters, selection.options("meter"))
        return meters

    @cached_property
    def terminator(self) -> Loaded[Terminator]:
        """Which trainings are stopped early."""
        return self._judging(self.selection.load("terminator", self.settings.terminator))

    @cached_property
    def observers(self) -> list[Loaded[Observer]]:
        """Who is told what happens."""
        return [self.selection.load_one_of_several("observer", name) for name in self.settings.observer]

    @cached_property
    def sampler(self) -> Loaded[Sampler]:
        """Which shapes are trained."""
        return self.selection.load("sampler", self.settings.sampler)

    @cached_property
    def model(self) -> Loaded[AccuracyModel]:
        """The accuracy model, which has taken note of the prior if there is one."""
        model: Loaded[AccuracyModel] = self._judging(self.selection.load("accuracy_model", self.settings.model))
        return model if self.prior is None else self.prior.teach(model)

    @cached_property
    def prior(self) -> Prior | None:
        """What the same family achieved elsewhere, if the user names where."""
        return find_prior(self.selection, self.quality)

    def _judging(self, plugin: Loaded[Any]) -> Loaded[Any]:
        """Tell a plugin that looks at qualities by which trainings are judged."""
        if plugin.instance.quality != self.quality:
            plugin.instance.quality = self.quality
        return plugin

    # The question

    @cached_property
    def _metrics(self) -> Metrics:
        return Metrics(self.selection, self.table, self.quality, self.targets)

    @cached_property
    def constraints(self) -> tuple[Constraint, ...]:
        """All limits."""
        return question.constraints(self.settings, self._metrics)

    @cached_property
    def goal(self) -> Goal | None:
        """What makes the best shape, if the user said so."""
        return question.goal(self.settings, self.selection, self._metrics)

    @cached_property
    def pareto(self) -> tuple[str, ...]:
        """The metrics whose trade-off is asked for."""
        return question.pareto(self.settings, self._metrics)

    @cached_property
    def confidence(self) -> float | None:
        """The probability with which the answer is to stand; None to go by expected qualities alone."""
        if self.settings.confidence is not None:
            return question.confidence(self.settings.confidence)
        return CONFIDENCE if self.sampler.instance.confident else None

    @cached_property
    def metrics_in_question(self) -> frozenset[str]:
        """The metrics that the limits and the goal need."""
        return Query(self.constraints, self.goal, pareto=self.pareto).metrics

    @cached_property
    def query(self) -> Query:
        """Limits and goal."""
        costs = {metric: meter.instance.cost for metric, meter in self.meters.items()}
        asked = {metric: USUAL_COSTS.get(base_of(metric), math.inf) for metric in self.metrics_in_question}
        return Query(self.constraints, self.goal, {**asked, **costs}, self.confidence, self.pareto, self.quality)

    @property
    def question(self) -> str:
        """Limits and goal in words."""
        goal = f"goal {self.settings.goal}" if self.settings.goal else "no goal"
        return ", ".join([*map(str, self.constraints), goal])

    @property
    def question_record(self) -> str:
        """All that tells this question to a study from others, as canonical JSON."""
        by_name = {flag: dict(sorted(self.selection.options(flag).items())) for flag in ("goal", "model")}
        asked = [self.question, *self.pareto, self.confidence, self.settings.model, by_name]
        return canonical([*asked, list(self.seeds), self.settings.transfer, *([self.prior.path] if self.prior else [])])

    @cached_property
    def modelling(self) -> Modelling:
        """Which shapes to train, and how to predict the others."""
        sampler, model = self.sampler.instance, self.model.instance
        return modelling.modelling(self.selection, sampler, model, is_replay=self.table is not None)

    # Replays

    @property
    def replay(self) -> Replay:
        """Facts from the table, for the first seed."""
        return self.replays[0]

    @cached_property
    def replays(self) -> list[Replay]:
        """Facts from the table, for each seed."""
        assert self.table is not None  # noqa: S101 - asked for only then
        return replays(self.table, self.seeds, self.meters, self.workload_of_table)

    @cached_property
    def workload_of_table(self) -> Workload | None:
        """What closed forms are computed for in a replay; None unless the user names architecture and dataset."""
        if not {"arch", "dataset"} <= self.settings.given:
            return None
        batch_size = self.settings.batch_size
        return workload_of_table(self.architecture.instance, self.dataset.instance, self.shapes, batch_size)
