"""From settings to the objects of a search: every plugin is looked up by name here and nowhere else."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shape_dnn import recipes
from shape_dnn.assembly import goal_expressions
from shape_dnn.constraints import KNOWN_METRICS, Constraint, Metric, check_consistent
from shape_dnn.errors import PluginError, UsageError, blame
from shape_dnn.kinds import (
    AccuracyModel,
    Architecture,
    Dataset,
    Executor,
    Formula,
    Goal,
    Meter,
    Observer,
    Option,
    Sampler,
    Strategy,
    Terminator,
    Workload,
)
from shape_dnn.plugins import checked
from shape_dnn.plugins.registry import KINDS, Loaded, Registry, parse_option
from shape_dnn.recipes import WRN_PAPER, Recipe
from shape_dnn.search.query import Modelling, Query
from shape_dnn.search.space import DesignSpace, Range
from shape_dnn.settings import Settings
from shape_dnn.shape import Shape, exact
from shape_dnn.store.facts import canonical
from shape_dnn.study.tables import Replay, Table

if TYPE_CHECKING:
    from shape_dnn.study.problem import Problem

SHARED_OPTIONS = ("seed", "data_dir", "batch_size")
"""Plugin options that take the setting of the same name unless they are given themselves."""
SEVERAL = ("meter", "observer")
"""Kinds of which a search uses several plugins: an option goes to all that have it, or as NAME.OPTION to one."""
CONFIDENCE = 0.95
"""With which the answer is to stand where the sampler decides by what is asked."""
TOGETHER = 2
"""Trainings that are chosen together unless the user says otherwise, on whatever machine: answers must not depend on
the number of its cores. Each knows less than if they were chosen one by one."""
USUAL_COSTS: Mapping[str, float] = {"size": 0.0, "latency": 1.0, "energy": 2.0}
"""Order of the filters where no meter declares it, as in a replay; any other metric comes after them."""


class Assembly:
    """The parts of a search, each made when it is first asked for.

    Args:
        settings: what the user wants.
        registry: plugins that were found before; by default they are found anew.
        origins: where settings, and options by their names, came from; the others, from flags.

    Raises:
        UsageError: from any part; names the setting that cannot be used.
        PluginError: from any part; a plugin cannot be used.
    """

    def __init__(
        self, settings: Settings, registry: Registry | None = None, origins: Mapping[str, str] | None = None
    ) -> None:
        self.settings = settings
        self._origins = origins or {}
        self.registry = registry or Registry([Path(name) for name in settings.plugin])
        self._options = self._split_options()
        self._loaded: list[Loaded[Any]] = []

    def check(self) -> None:
        """Look up every plugin that the settings name and check every option, whether the search will need them or not.

        Raises:
            UsageError: a name or an option is not known.
            PluginError: a plugin cannot be used.
        """
        settings = self.settings
        for flag, kind in {kind.flag: kind.name for kind in KINDS.values()}.items():
            if flag in SEVERAL:
                continue
            name = getattr(settings, flag)
            if flag == "goal" and name is not None and self._is_expression(name):
                continue
            if name is not None:
                self.registry.check_options(kind, name, self._options.get(flag, {}))
            elif flag in self._options:
                raise UsageError(
                    f"{flag}.{next(iter(self._options[flag]))} is given without --{flag}", setting="option"
                )
        for name in settings.observer:
            self.registry.declaration("observer", name)
        for name in self._chosen_meters.values():
            self.registry.declaration("meter", name)
        _ = self.transfer, self.confidence
        if settings.replay is not None and settings.terminator != "none":
            raise UsageError("a recorded table trains nothing that could be stopped", setting="terminator")

    # Plugins

    @property
    def plugins(self) -> list[dict[str, str]]:
        """Name, distribution and version of every plugin used so far, sorted."""
        records = {tuple(loaded.provenance.items()) for loaded in self._loaded}
        return [dict(record) for record in sorted(records)]

    @cached_property
    def architecture(self) -> Loaded[Architecture]:
        """The family of networks."""
        return self._load("architecture", self.settings.arch)

    @cached_property
    def dataset(self) -> Loaded[Dataset]:
        """The images to classify."""
        settings = self.settings
        if settings.data_dir is not None:
            plugin = self.registry.declaration("dataset", settings.dataset)
            if "data_dir" not in plugin.options:
                raise UsageError(f"dataset {settings.dataset!r} reads no files; leave it out", setting="data_dir")
        return self._load("dataset", settings.dataset)

    @cached_property
    def meters(self) -> dict[str, Loaded[Meter]]:
        """The meter of each metric that a constraint or the goal needs, and of size."""
        return self.meters_of({"size", *self.metrics_in_question} - {"accuracy"})

    def meters_of(self, metrics: Iterable[str]) -> dict[str, Loaded[Meter]]:
        """Load the meter of each metric; in a replay, of those that the table lacks and a meter has.

        Raises:
            PluginError: there is none.
        """
        meters: dict[str, Loaded[Meter]] = {}
        for metric in sorted(metrics):
            name = self._chosen_meters.get(metric, metric)
            installed = name in self.registry.names("meter")
            if self.table is not None and (metric in self.table.columns or not installed):
                continue
            meters[metric] = self._load_meter(metric, name)
        return meters

    @cached_property
    def _chosen_meters(self) -> dict[str, str]:
        return dict(self._pair("meter", text) for text in self.settings.meter)

    @cached_property
    def executor(self) -> Loaded[Executor]:
        """Where trainings run."""
        return self._load("executor", self.settings.executor)

    @cached_property
    def terminator(self) -> Loaded[Terminator]:
        """Which trainings are stopped early."""
        return self._load("terminator", self.settings.terminator)

    @cached_property
    def observers(self) -> list[Loaded[Observer]]:
        """Who is told what happens."""
        return [self._load_shared("observer", name) for name in self.settings.observer]

    # The search

    @cached_property
    def table(self) -> Table | None:
        """The table to replay, if there is one."""
        settings = self.settings
        if settings.replay is None:
            return None
        for name in ("depth", "width"):
            if getattr(settings, name) is not None:
                raise UsageError("contradicts --replay: the shapes of the table are the design space", setting=name)
        return Table.read(Path(settings.replay))

    @cached_property
    def space(self) -> DesignSpace:
        """The design space."""
        architecture, settings = self.architecture.instance, self.settings
        ranges = []
        with blame(architecture):
            for name, default in (("depth", architecture.default_depths), ("width", architecture.default_widths)):
                text = getattr(settings, name)
                try:
                    ranges.append(Range.parse(default if text is None else text))
                except UsageError as error:
                    raise UsageError(error.message, setting=name) from None
            return DesignSpace(architecture, *ranges)

    @cached_property
    def shapes(self) -> list[Shape]:
        """Every shape of the design space, or of the table that is replayed."""
        return self.space.shapes() if self.table is None else self.table.shapes

    @cached_property
    def constraints(self) -> tuple[Constraint, ...]:
        """All limits."""
        settings = self.settings
        texts = [
            ("max_size", "size", True, settings.max_size),
            ("max_latency", "latency", True, settings.max_latency),
            ("max_energy", "energy", True, settings.max_energy),
            ("min_accuracy", "accuracy", False, settings.min_accuracy),
            *(("max", *self._limit("max", text)) for text in settings.max),
            *(("min", *self._limit("min", text)) for text in settings.min),
        ]
        constraints = []
        for setting, name, upper, text in texts:
            if text is None:
                continue
            metric = self._metric(setting, name)
            try:
                constraints.append(Constraint(name, upper, metric.parse(text), metric.unit))
                check_consistent(constraints)
            except UsageError as error:
                raise UsageError(error.message, setting=setting) from None
        return tuple(constraints)

    @cached_property
    def goal(self) -> Goal | None:
        """What makes the best shape, if the user said so: a plugin, or an expression over metrics."""
        text = self.settings.goal
        if text is None:
            return None
        if self.settings.pareto:
            raise UsageError("contradicts --goal: a front has no best shape; give one of them", setting="pareto")
        goal = goal_expressions.parse(text, self._goal_by_name, self._metrics)
        for metric in goal.metrics:
            self._metric("goal", metric)
        return goal

    @cached_property
    def _metrics(self) -> frozenset[str]:
        """The names of all metrics that can be had or looked up."""
        columns = self.table.metrics if self.table else ()
        return frozenset({*KNOWN_METRICS, *self.registry.names("meter"), *self._chosen_meters, *columns})

    def _is_expression(self, goal: str) -> bool:
        """Tell whether a goal is written out, rather than the name of a plugin. A metric alone is an expression."""
        if self.registry.is_declared("goal", goal):
            return False
        is_difference = "-" in goal and self._metrics.issuperset(goal.split("-"))
        return not re.fullmatch(r"[a-z][a-z0-9-]*", goal) or goal in self._metrics or is_difference

    def _goal_by_name(self, name: str) -> Goal | None:
        return None if self._is_expression(name) else self._load_goal(name)

    def _load_goal(self, name: str) -> Goal:
        goal: Loaded[Goal] = self._load("goal", name)
        for metric in checked.metrics(goal.instance):
            if metric not in self._metrics and not self.registry.is_declared("meter", metric):
                close = difflib.get_close_matches(metric, self._metrics, n=1)
                hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(sorted(self._metrics))}"
                problem = f"asks for a metric {metric!r}, and there is none"
                raise PluginError(f"goal {name!r} of {goal.source} {problem}; {hint}")
        return goal.instance

    @cached_property
    def pareto(self) -> tuple[str, ...]:
        """The metrics whose trade-off is asked for."""
        metrics = self.settings.pareto
        if len(metrics) == 1 or len(set(metrics)) < len(metrics):
            raise UsageError(f"{', '.join(metrics)}: a front has two different metrics or more", setting="pareto")
        for metric in metrics:
            self._metric("pareto", metric)
        return metrics

    @cached_property
    def query(self) -> Query:
        """Limits and goal."""
        costs = {metric: meter.instance.cost for metric, meter in self.meters.items()}
        asked = {metric: USUAL_COSTS.get(metric, math.inf) for metric in self.metrics_in_question}
        return Query(self.constraints, self.goal, {**asked, **costs}, self.confidence, self.pareto)

    @cached_property
    def transfer(self) -> Fraction | None:
        """The part of the epochs that verification takes, starting from other weights."""
        text = self.settings.transfer
        if text is None:
            return None
        try:
            part = exact(text)
        except ValueError:
            part = Fraction(0)
        if not 0 < part <= 1:
            message = f"{text!r} is not a part of the epochs; accepted are numbers above 0 and up to 1, such as 1/4"
            raise UsageError(message, setting="transfer")
        if self.table is not None:
            raise UsageError("a recorded table has no weights to start from", setting="transfer")
        shapes = self.shapes
        with blame(self.architecture.instance):
            can = any(self.architecture.instance.can_grow(shapes[0], shape) for shape in shapes[1:])
        if not can and len(shapes) > 1:
            message = f"networks of {self.settings.arch} cannot grow into larger ones; leave it out"
            raise UsageError(message, setting="transfer")
        return part

    @property
    def question(self) -> str:
        """Limits and goal in words."""
        return ", ".join(
            [*map(str, self.constraints), f"goal {self.settings.goal}" if self.settings.goal else "no goal"]
        )

    @property
    def question_record(self) -> str:
        """All that tells this question to a study from others, as canonical JSON."""
        by_name = {flag: dict(sorted(self._options.get(flag, {}).items())) for flag in ("goal", "model")}
        asked = [self.question, *self.pareto, self.confidence, self.settings.model, by_name]
        return canonical([*asked, list(self.seeds), self.settings.transfer])

    @property
    def confidence(self) -> float | None:
        """The probability with which the answer is to stand; None to go by expected accuracies alone."""
        text = self.settings.confidence
        if text is None:
            return CONFIDENCE if self.sampler.instance.confident else None
        try:
            number = text.strip().removesuffix("%")
            confidence = float(exact(number)) / (100 if number != text.strip() else 1)
        except ValueError:
            confidence = 0.0
        if not 0.5 <= confidence <= 0.99:
            message = f"{text!r} is not a probability that can be asked for; accepted are 0.5 to 0.99, or 50% to 99%"
            raise UsageError(message, setting="confidence")
        return confidence

    @cached_property
    def sampler(self) -> Loaded[Sampler]:
        """Which shapes are trained."""
        return self._load("sampler", self.settings.sampler)

    @cached_property
    def modelling(self) -> Modelling:
        """Which shapes to train, and how to predict the others."""
        strategy: Strategy
        if self.settings.train is not None:
            strategy = _training_count(self.settings.train)
        else:
            strategy = self._load("strategy", self.settings.strategy).instance
        together = self.settings.together or (TOGETHER if self.table is None else 1)
        return Modelling(strategy, self.sampler.instance, self.model.instance, together)

    @cached_property
    def model(self) -> Loaded[AccuracyModel]:
        """The accuracy model."""
        return self._load("accuracy_model", self.settings.model)

    @cached_property
    def device(self) -> str:
        """Where to train and measure."""
        executor = self.executor.instance
        with blame(executor):
            return executor.device(self.settings.device)

    @property
    def recipe(self) -> Recipe:
        """How shapes are trained."""
        return self._recipe[0]

    @property
    def recipe_record(self) -> dict[str, dict[str, object]]:
        """Each part of the recipe, as JSON values, and who set it."""
        recipe, setters = self._recipe
        values = {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(recipe).items()}
        return {name: {"value": value, "from": setters[name]} for name, value in values.items()}

    @cached_property
    def _recipe(self) -> tuple[Recipe, dict[str, str]]:
        """The recipe of the dataset, as the architecture and then the user change it, and who set each part."""
        settings, origins = self.settings, self._origins
        of_dataset = self._recipe_of_dataset()
        recipe = checked.adapt(self.architecture.instance, of_dataset)
        setters = {
            name: f"dataset {settings.dataset!r}"
            if value == getattr(recipe, name)
            else f"architecture {settings.arch!r}"
            for name, value in dataclasses.asdict(of_dataset).items()
        }
        options = self._options.get("recipe", {})
        for name, text in options.items():
            recipe = _changed(recipe, name, text)
            setters[name] = origins.get(f"recipe.{name}", f"-o recipe.{name}")
        for name in ("epochs", "lr"):
            value = getattr(settings, name)
            if value is None:
                continue
            if name in options:
                raise UsageError(f"recipe.{name} contradicts --{name}; give one of them", setting="option")
            try:
                recipe = dataclasses.replace(recipe, **{name: value})
            except ValueError:
                message = f"{value!r} is not accepted: it should be one of the {recipes.accepted(name)}"
                raise UsageError(message, setting=name) from None
            setters[name] = origins.get(name, f"--{name}")
        return recipe, setters

    def _recipe_of_dataset(self) -> Recipe:
        settings, dataset = self.settings, self.dataset.instance
        with blame(dataset):
            if settings.recipe == "short":
                recipe = dataset.short_recipe(self.device.split(":")[0])
            else:
                recipe = dataset.paper_recipe()
            if not isinstance(recipe, Recipe):
                raise TypeError(f"its {settings.recipe} recipe is a {type(recipe).__name__}, not a shape_dnn.Recipe")
        return recipe

    @cached_property
    def problem(self) -> Problem:
        """What determines the facts of a study."""
        from shape_dnn.study.problem import Problem

        settings, dataset = self.settings, self.dataset.instance
        architecture = self.architecture.instance
        with blame(dataset):
            _, height, width = dataset.input_shape
        with blame(architecture):
            least = int(architecture.smallest_image)
        if min(height, width) < least:
            name = f"{settings.dataset!r} has images of {height}x{width} pixels"
            message = f"{name}, and {architecture.title} takes those from {least}x{least}"
            raise UsageError(message, setting="dataset")
        return Problem(
            architecture=self.architecture,
            dataset=self.dataset,
            input_shape=dataset.input_shape,
            classes=dataset.classes,
            recipe=self.recipe,
            protocol=settings.protocol,
            device=self.device,
            batch_size=settings.batch_size,
            seed=settings.seed,
            largest=self.shapes[-1],  # they are sorted by width and then depth
            threads=self._threads,
            plugin_files=self.registry.files,
        )

    @property
    def _threads(self) -> int:
        """How many threads the executor gives a training."""
        threads = self.executor.instance.threads
        if not isinstance(threads, int) or threads < 1:
            name = f"executor {self.settings.executor!r} of {self.executor.source}"
            raise PluginError(f"{name} has threads {threads!r}, not a whole number from 1")
        return threads

    @property
    def seeds(self) -> range:
        """Those of the trainings of each shape."""
        return range(self.settings.seed, self.settings.seed + self.settings.seeds)

    @property
    def replay(self) -> Replay:
        """Facts from the table, for the first seed."""
        return self.replays[0]

    @cached_property
    def replays(self) -> list[Replay]:
        """Facts from the table, for each seed."""
        table = self.table
        assert table is not None  # noqa: S101 - asked for only then
        least = min(table.rows, key=lambda shape: (len(table.rows[shape]), shape))
        number = len(table.rows[least])
        if self.settings.seeds > number:
            message = f"{self.settings.seeds} is more than the {number} trainings of shape {least} in {table.path}"
            raise UsageError(message, setting="seeds")
        return [Replay(table, seed, self.meters, self.workload_of_table) for seed in self.seeds]

    @cached_property
    def workload_of_table(self) -> Workload | None:
        """What closed forms are computed for in a replay; None unless the user names architecture and dataset."""
        if not {"arch", "dataset"} <= self.settings.given:
            return None
        self._check_shapes_of_table()
        dataset = self.dataset.instance
        return Workload(self.architecture.instance, dataset.input_shape, dataset.classes, 1, "cpu")

    # Helpers

    def _check_shapes_of_table(self) -> None:
        architecture = self.architecture.instance
        for shape in self.shapes:
            if not (architecture.is_depth(shape.depth) and architecture.is_width(shape.width)):
                which = f"{architecture.depth_rule}, {architecture.width_rule}"
                raise UsageError(f"the table has shape {shape}, and {architecture.title} has not: {which}", "replay")

    @cached_property
    def metrics_in_question(self) -> set[str]:
        """The metrics that the limits and the goal need."""
        goal = self.goal.metrics if self.goal is not None else ()
        return {*(constraint.metric for constraint in self.constraints), *goal, *self.pareto}

    def _load(self, kind: str, name: str) -> Loaded[Any]:
        given = self._options.get(KINDS[kind].flag, {})
        return self._load_with(kind, name, given)

    def _load_shared(self, kind: str, name: str) -> Loaded[Any]:
        """Load one of several plugins of a kind with those options that are meant for it."""
        plugin = self.registry.declaration(kind, name)
        given = {}
        for option, text in self._options.get(KINDS[kind].flag, {}).items():
            owner, _, rest = option.rpartition(".")
            if (owner == name) or (not owner and rest in plugin.options):
                given[rest] = text
        return self._load_with(kind, name, given)

    def _load_with(self, kind: str, name: str, given: Mapping[str, str]) -> Loaded[Any]:
        declared = self.registry.declaration(kind, name).options
        shared = {
            option: value
            for option in SHARED_OPTIONS
            if option in declared and (value := getattr(self.settings, option)) is not None
        }
        loaded = self.registry.load(kind, name, {**shared, **given})
        self._loaded.append(loaded)
        return loaded

    def _load_meter(self, metric: str, name: str) -> Loaded[Meter]:
        meter: Loaded[Meter] = self._load_shared("meter", name)
        measured = checked.metric(meter.instance)
        if measured != metric:
            message = f"meter {name!r} measures {measured}, not {metric}"
            raise UsageError(message, setting="meter")
        checked.check_unit(meter.instance)
        return meter

    def _metric(self, setting: str, name: str) -> Metric:
        if name in KNOWN_METRICS:
            return KNOWN_METRICS[name]
        if self.table is not None and name in self.table.metrics:
            return Metric(name, "")
        meter = self._chosen_meters.get(name, name)
        if not self.registry.is_declared("meter", meter):
            message = f"there is no metric {name!r}; known are {', '.join(sorted(self._metrics))}"
            raise UsageError(message, setting=setting)
        try:
            return Metric(name, self._load_meter(name, meter).instance.unit)
        except UsageError as error:
            raise UsageError(error.message, error.setting if name in self._chosen_meters else setting) from None

    def _limit(self, setting: str, text: str) -> tuple[str, bool, str]:
        metric, limit = self._pair(setting, text)
        return metric, setting == "max", limit

    def _pair(self, setting: str, text: str) -> tuple[str, str]:
        name, equals, value = text.partition("=")
        if not (name.strip() and equals and value.strip()):
            form = "METRIC=NAME" if setting == "meter" else "METRIC=VALUE"
            raise UsageError(f"{text!r} is not of the form {form}", setting=setting)
        return name.strip(), value.strip()

    def _split_options(self) -> dict[str, dict[str, str]]:
        kinds = {kind.flag: kind.name for kind in KINDS.values()}
        options: dict[str, dict[str, str]] = {}
        for text in self.settings.option:
            name, equals, value = text.partition("=")
            flag, dot, option = name.strip().partition(".")
            if not (equals and dot and option):
                raise UsageError(f"{text!r} is not of the form KIND.OPTION=VALUE", setting="option")
            if flag not in {*kinds, "recipe"}:
                accepted = ", ".join([*kinds, "recipe"])
                raise UsageError(f"{text!r}: {flag!r} is not a kind; known are {accepted}", setting="option")
            if flag in SEVERAL:
                self._check_declared(flag, option, value)
            if option in options.setdefault(flag, {}):
                raise UsageError(f"{flag}.{option} is given twice", setting="option")
            options[flag][option] = value
        return options

    def _check_declared(self, kind: str, option: str, value: str) -> None:
        """Refuse an option that no installed plugin of the kind has or accepts, whether it is in use or not."""
        accepted: dict[str, list[Option]] = {}
        for name in self.registry.names(kind):
            for own, declared in self.registry.declaration(kind, name).options.items():
                accepted.setdefault(own, []).append(declared)
                accepted[f"{name}.{own}"] = [declared]
        if option not in accepted:
            known = ", ".join(f"{kind}.{label}" for label in sorted(accepted)) or "none"
            raise UsageError(f"{kind}.{option} is not an option of any {kind}; accepted: {known}", setting="option")
        refusals = []
        for declared in accepted[option]:
            try:
                parse_option(f"{kind}.{option}", declared, value)
            except UsageError as error:
                refusals.append(error)
        if len(refusals) == len(accepted[option]):
            raise refusals[0]


@dataclasses.dataclass(frozen=True)
class TrainingCount(Strategy):
    """What ``--train`` asks for.

    Attributes:
        number: of shapes, for any size of the space.
        part: of the candidates instead.
    """

    exact = True
    number: int | None = None
    part: Fraction | None = None

    def count(self, candidates: int) -> int:
        """Return the number, or the part rounded up, at most all."""
        wanted = self.number if self.part is None else math.ceil(self.part * candidates)
        return min(candidates, wanted or candidates)


def _training_count(text: str) -> TrainingCount:
    try:
        if text.strip().endswith("%"):
            part = exact(text.strip()[:-1]) / 100
            if 0 < part <= 1:
                return TrainingCount(part=part)
        elif int(text) >= 1:
            return TrainingCount(number=int(text))
    except ValueError:
        pass
    raise UsageError(f"{text!r} is neither a number of shapes from 1 nor a percentage above 0% and up to 100%", "train")


def _changed(recipe: Recipe, name: str, text: str) -> Recipe:
    """Return a recipe with another value of a part, as ``-o`` gives it."""
    parts = [field.name for field in dataclasses.fields(Recipe)]
    if name not in parts:
        known = ", ".join(f"recipe.{part}" for part in parts)
        raise UsageError(f"recipe.{name} is not part of a recipe; accepted: {known}", setting="option")
    label = f"recipe.{name}"
    try:
        if name == "milestones":
            value: Any = tuple(float(exact(part)) for part in text.split(","))
        else:
            usual = getattr(WRN_PAPER, name)  # of the type that the part has
            value = parse_option(label, Option(usual, "", recipes.CHOICES.get(name, ())), text)
        return dataclasses.replace(recipe, **{name: value})
    except ValueError:
        message = f"{label}={text}: accepted are {recipes.accepted(name)}"
        raise UsageError(message, setting="option") from None


def is_formula(meter: Loaded[Meter]) -> bool:
    """Tell whether a meter computes rather than measures."""
    return isinstance(meter.instance, Formula)
