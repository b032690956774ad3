"""From settings to what determines the facts of a study: trainer, space and the conditions of measurements."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shape_dnn.assembly import recipe, shipping
from shape_dnn.assembly.own_trainer import CLASSIFIER, Own, find_trainer, recorded
from shape_dnn.assembly.pretrained import pretrained, remembered, select
from shape_dnn.assembly.recipe import SetRecipe, transfer
from shape_dnn.assembly.replay import table_to_replay
from shape_dnn.assembly.selection import Selection
from shape_dnn.errors import UsageError, blame
from shape_dnn.kinds import (
    Architecture,
    Dataset,
    Deployment,
    Executor,
    Pretrained,
    Shipping,
    Target,
)
from shape_dnn.plugins.registry import Registry
from shape_dnn.plugins.sources import Loaded
from shape_dnn.quality import ACCURACY, Quality
from shape_dnn.recipes import Recipe
from shape_dnn.search.space import DesignSpace, Range
from shape_dnn.settings import Settings
from shape_dnn.shape import Shape
from shape_dnn.study.tables import Table
from shape_dnn.training.networks import BuiltByTrainer

if TYPE_CHECKING:
    from shape_dnn.study.problem import Problem


class ProblemParts:
    """The parts of a problem, each made when it is first asked for.

    Args:
        settings: what the user wants.
        registry: plugins that were found before; by default they are found anew.
        origins: where settings, and options by their names, came from; the others, from flags.
        problem: what a study remembers of that of its search, so that neither files of weights nor a trainer of one's
            own need be there.
        quality: by which trainings are judged; by default that of the table or the trainer.

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
        quality: Quality | None = None,
    ) -> None:
        self.settings, self._quality = settings, quality
        self._origins = origins or {}
        self._remembered = recorded(problem) if problem and "trainer" in problem else None
        self._pretrained = remembered(problem)
        self.selection = Selection(settings, registry or Registry([Path(name) for name in settings.plugin]))

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
    def executor(self) -> Loaded[Executor]:
        """Where trainings run."""
        executor: Loaded[Executor] = self.selection.load("executor", self.settings.executor)
        executor.instance.directory = Path(self.settings.study).resolve() / "executor" / executor.choice.name
        return executor

    @cached_property
    def table(self) -> Table | None:
        """The table to replay, if there is one."""
        return table_to_replay(self.selection)

    @property
    def quality(self) -> Quality:
        """By which trainings are judged."""
        if self._quality is not None:
            return self._quality
        if self._remembered is not None:
            return self._remembered[1]
        if self.table is not None:
            return self.table.quality
        return ACCURACY if self.own is None else self.own.loaded.instance.quality

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
    def pretrained(self) -> Mapping[Shape, Pretrained] | None:
        """The weights that trainings start from, by shape; None for random ones."""
        return pretrained(self.architecture.instance) if self._pretrained is None else self._pretrained

    @cached_property
    def space(self) -> DesignSpace:
        """The design space, where shapes need no weights to start from."""
        architecture = self.architecture.instance
        depths, widths = self.ranges
        with blame(architecture):
            return DesignSpace(
                architecture,
                depths or _usual("depth", architecture.default_depths, architecture),
                widths or _usual("width", architecture.default_widths, architecture),
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

    def resolved(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return settings of a search in the same family of networks with the depths and widths that they mean.

        One range may be written in several ways, and where it is the usual one, be left out.
        """
        found = dict(settings)
        for name in ("depth", "width"):
            text = settings.get(name)
            if text is None and self.pretrained is None:
                text = getattr(self.architecture.instance, f"default_{name}s")
            found[name] = None if text is None else tuple(Range.parse(str(text)))
        return found

    @cached_property
    def shapes(self) -> list[Shape]:
        """Every shape of the design space: those in its ranges, or in the table that is replayed, or with weights."""
        if self.table is not None:
            return self.table.shapes
        return self.space.shapes() if self.pretrained is None else select(self.pretrained, *self.ranges)

    @property
    def seeds(self) -> range:
        """Those of the trainings of each shape."""
        return range(self.settings.seed, self.settings.seed + self.settings.seeds)

    @cached_property
    def transfer(self) -> Fraction | None:
        """The part of the epochs that verification takes, starting from other weights."""
        if self.settings.transfer is None:
            return None
        if self.pretrained is not None:
            raise UsageError("trainings start from other weights already; leave it out", setting="transfer")
        return transfer(self.settings.transfer, self.architecture.instance, self.shapes)

    @cached_property
    def targets(self) -> dict[str, Target]:
        """Where what ships runs, by name."""
        return shipping.targets(self.selection)

    @cached_property
    def deployment(self) -> Loaded[Deployment] | None:
        """What ships; None for networks as torch runs them here, with nothing more said."""
        return shipping.deployment(self.selection, self.targets)

    @property
    def shipping(self) -> Shipping | None:
        """What ships, to the first target; None for networks as torch runs them here, with nothing more said."""
        if self.deployment is None:
            return None
        return Shipping(self.deployment.instance, next(iter(self.targets.values())), Path())

    @cached_property
    def problem(self) -> Problem:
        """What determines the facts of a study."""
        from shape_dnn.assembly.problem import problem, threads_of

        if self.own is not None:
            found: Problem = self.own.problem(self.selection, self.device, self.shapes[-1], threads_of(self.executor))
        else:
            plugins = self.architecture, self.dataset, self.executor
            found = problem(self.selection, *plugins, self.device, self.recipe, self.shapes, self.pretrained)
        judge = shipping.judge(self.selection, self.targets)
        return dataclasses.replace(found, deployment=self.deployment, targets=self.targets, judge=judge)


def _usual(setting: str, text: Any, architecture: Architecture) -> Range:
    """Read the range that is searched unless the user gives one."""
    if text is None and isinstance(architecture, BuiltByTrainer):
        raise UsageError(
            f"{architecture.title} declares no range; give --{setting} MIN:MAX:STEP, for example 2:9:2", setting=setting
        )
    return Range.parse(text)
