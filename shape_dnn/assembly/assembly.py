"""From settings to the objects of a search: every plugin is looked up by name here and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shape_dnn.assembly import modelling, question, recipe
from shape_dnn.assembly.own_trainer import CLASSIFIER, Own, find_trainer, is_file, recorded
from shape_dnn.assembly.pretrained import pretrained, remembered, select
from shape_dnn.assembly.prior import Prior, find_prior
from shape_dnn.assembly.question import Metrics
from shape_dnn.assembly.recipe import SetRecipe, transfer
from shape_dnn.assembly.replay import replays, table_to_replay, workload_of_table
from shape_dnn.assembly.selection import Selection
from shape_dnn.constraints import Constraint
from shape_dnn.errors import UsageError, blame
from shape_dnn.kinds import (
    AccuracyModel,
    Architecture,
    Dataset,
    Executor,
    Goal,
    Meter,
    Observer,
    Pretrained,
    Sampler,
    Terminator,
    Workload,
)
from shape_dnn.plugins.registry import Registry
from shape_dnn.plugins.sources import Loaded
from shape_dnn.quality import ACCURACY, Quality
from shape_dnn.recipes import Recipe
from shape_dnn.search.query import Modelling, Query
from shape_dnn.search.space import DesignSpace, Range
from shape_dnn.settings import Settings
from shape_dnn.shape import Shape
from shape_dnn.store.decoding import canonical
from shape_dnn.study.tables import Replay, Table

if TYPE_CHECKING:
    from shape_dnn.study.problem import Problem

CONFIDENCE = 0.95
"""With which the answer is to stand where the sampler decides by what is asked."""
USUAL_COSTS: Mapping[str, float] = {"size": 0.0, "latency": 1.0, "energy": 2.0}
"""Order of the filters where no meter declares it, as in a replay; any other metric comes after them."""


class Assembly:
    """The parts of a search, each made when it is first asked for.

    Args:
        settings: what the user wants.
        registry: plugins that were found before; by default they are found anew.
        origins: where settings, and options by their names, came from; the others, from flags.
        problem: what a study remembers of that of its search, so that neither files of weights nor a trainer of one's
            own need be there.

    Raises:
        UsageError: from any part; names the setting that cannot be used.
        PluginError: from any part; a plugin cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry | None = None,
        origins: Mapping[str, str] | None = None,
        problem: Mapping[str, Any] | None = None,
    ) -> None:
        self.settings = settings
        self._origins = origins or {}
        self._remembered = recorded(problem) if problem and "trainer" in problem else None
        self._pretrained = remembered(problem)
        self.selection = Selection(settings, registry or Registry([Path(name) for name in settings.plugin]))

    def check(self) -> None:
        """Look up every plugin that the settings name and check every option, whether the search will need them or not.

        Raises:
            UsageError: a name or an option is not known.
            PluginError: a plugin cannot be used.
        """
        goal = self.settings.goal
        written_out = goal is not None and question.is_expression(goal, self.selection, self._metrics)
        passed_over = {"replay"} if self.settings.replay is not None else set()  # a file, perhaps
        passed_over |= {"goal"} if written_out else set()
        passed_over |= {"trainer"} if is_file(self.settings.trainer) else set()
        self.selection.check(passed_over)
        _ = self.own, self.transfer, self.confidence, self.table, self.prior
        if self.settings.replay is not None and self.settings.terminator != "none":
            raise UsageError("a recorded table trains nothing that could be stopped", setting="terminator")

    # Plugins

    @cached_property
    def own(self) -> Own | None:
        """The trainer of the user, if it is not the built-in classifier."""
        return None if self._remembered is not None else find_trainer(self.selection)

    @property
    def is_own(self) -> bool:
        """Whether shapes are trained by a trainer of the user, of which a question need not have the code."""
        return self.settings.trainer != CLASSIFIER

    @cached_property
    def architecture(self) -> Loaded[Architecture]:
        """The family of networks."""
        if self._remembered is not None:
            return self._remembered[0]
        if self.own is not None:
            return self.own.architecture
        return self.selection.load("architecture", self.settings.arch)

    @cached_property
    def dataset(self) -> Loaded[Dataset]:
        """The images to classify."""
        name, registry = self.settings.dataset, self.selection.registry
        if self.settings.data_dir is not None and "data_dir" not in registry.declaration("dataset", name).options:
            raise UsageError(f"dataset {name!r} reads no files; leave it out", setting="data_dir")
        return self.selection.load("dataset", name)

    @cached_property
    def meters(self) -> dict[str, Loaded[Meter]]:
        """The meter of each metric that a constraint or the goal needs, and of size."""
        sized = {"size"} if self.own is None or self.own.builds else set()
        return self.meters_of({*sized, *self.metrics_in_question} - {self.quality.name})

    def meters_of(self, metrics: Iterable[str]) -> dict[str, Loaded[Meter]]:
        """Load the meter of each metric; in a replay, of those that the table lacks and a meter has.

        Raises:
            PluginError: there is none.
        """
        selection, table = self.selection, self.table
        installed = selection.registry.names("meter")
        return {
            metric: selection.load_meter(metric)
            for metric in sorted(metrics)
            if table is None or (metric not in table.columns and selection.meter_of(metric) in installed)
        }

    @cached_property
    def executor(self) -> Loaded[Executor]:
        """Where trainings run."""
        return self.selection.load("executor", self.settings.executor)

    @cached_property
    def terminator(self) -> Loaded[Terminator]:
        """Which trainings are stopped early."""
        return self.selection.load("terminator", self.settings.terminator)

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
        model: Loaded[AccuracyModel] = self.selection.load("accuracy_model", self.settings.model)
        return model if self.prior is None else self.prior.teach(model)

    @cached_property
    def prior(self) -> Prior | None:
        """What the same family achieved elsewhere, if the user names where."""
        return find_prior(self.selection)

    @property
    def quality(self) -> Quality:
        """By which trainings are judged."""
        if self._remembered is not None:
            return self._remembered[1]
        return ACCURACY if self.own is None else self.own.loaded.instance.quality

    # The space

    @cached_property
    def table(self) -> Table | None:
        """The table to replay, if there is one."""
        return table_to_replay(self.selection)

    @cached_property
    def pretrained(self) -> Mapping[Shape, Pretrained] | None:
        """The weights that trainings start from, by shape; None for random ones."""
        return pretrained(self.architecture.instance) if self._pretrained is None else self._pretrained

    @cached_property
    def space(self) -> DesignSpace:
        """The design space, where shapes need no weights to start from."""
        architecture = self.architecture.instance
        depths, widths = self.ranges
        usual = architecture if self.own is None else self.own.loaded.instance
        with blame(architecture):
            return DesignSpace(
                architecture,
                depths or _usual("depth", usual.default_depths, architecture),
                widths or _usual("width", usual.default_widths, architecture),
            )

    @cached_property
    def ranges(self) -> tuple[Range | None, Range | None]:
        """Those of depths and widths that the user gives."""
        found: list[Range | None] = []
        for name in ("depth", "width"):
            text = getattr(self.settings, name)
            try:
                found.append(None if text is None else Range.parse(text))
            except UsageError as error:
                raise UsageError(error.message, setting=name) from None
        return found[0], found[1]

    @cached_property
    def shapes(self) -> list[Shape]:
        """Every shape of the design space: those in its ranges, or in the table that is replayed, or with weights."""
        if self.table is not None:
            return self.table.shapes
        return self.space.shapes() if self.pretrained is None else select(self.pretrained, *self.ranges)

    # The question

    @cached_property
    def _metrics(self) -> Metrics:
        return Metrics(self.selection, self.table)

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
        """The probability with which the answer is to stand; None to go by expected accuracies alone."""
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
        asked = {metric: USUAL_COSTS.get(metric, math.inf) for metric in self.metrics_in_question}
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

    # The problem

    @cached_property
    def device(self) -> str:
        """Where to train and measure."""
        executor = self.executor.instance
        with blame(executor):
            return executor.device(self.settings.device)

    @property
    def recipe(self) -> Recipe:
        """How shapes are trained."""
        return self._recipe.recipe

    @property
    def recipe_record(self) -> dict[str, dict[str, object]] | None:
        """Each part of the recipe, as JSON values, and who set it; None where the trainer has it for itself."""
        return self._recipe.record if self.own is None else None

    @cached_property
    def _recipe(self) -> SetRecipe:
        parts = self.dataset.instance, self.architecture.instance, self.device
        return recipe.recipe(self.selection, *parts, self._origins)

    @cached_property
    def problem(self) -> Problem:
        """What determines the facts of a study."""
        from shape_dnn.assembly.problem import problem, threads_of

        if self.own is not None:
            return self.own.problem(self.selection, self.device, self.shapes[-1], threads_of(self.executor))
        plugins = self.architecture, self.dataset, self.executor
        return problem(self.selection, *plugins, self.device, self.recipe, self.shapes, self.pretrained)

    @property
    def seeds(self) -> range:
        """Those of the trainings of each shape."""
        return range(self.settings.seed, self.settings.seed + self.settings.seeds)

    @cached_property
    def transfer(self) -> Fraction | None:
        """The part of the epochs that verification takes, starting from other weights."""
        if self.settings.transfer is None:
            return None
        if self.table is not None:
            raise UsageError("a recorded table has no weights to start from", setting="transfer")
        if self.pretrained is not None:
            raise UsageError("trainings start from other weights already; leave it out", setting="transfer")
        return transfer(self.settings.transfer, self.architecture.instance, self.shapes)

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
        return workload_of_table(self.architecture.instance, self.dataset.instance, self.shapes)


def _usual(setting: str, text: str | None, architecture: Architecture) -> Range:
    """Read the range that is searched unless the user gives one."""
    if text is None:
        raise UsageError(f"{architecture.title} has no usual range; give MIN:MAX:STEP", setting=setting)
    return Range.parse(text)
