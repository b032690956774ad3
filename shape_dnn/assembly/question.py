"""What is asked: metrics, limits, goal, front and confidence, from the texts of the settings."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection

from shape_dnn.assembly import goal_expressions, shipping
from shape_dnn.assembly.own_trainer import CLASSIFIER
from shape_dnn.assembly.selection import Selection, split_pair
from shape_dnn.constraints import KNOWN_METRICS, Constraint, Metric, base_of, check_consistent, known_metric
from shape_dnn.errors import PluginError, UsageError
from shape_dnn.kinds import Goal
from shape_dnn.plugins import checked
from shape_dnn.plugins.sources import Loaded
from shape_dnn.quality import ACCURACY, OF_RESULTS, Quality
from shape_dnn.settings import Settings
from shape_dnn.shape import exact
from shape_dnn.study.tables import Table
from shape_dnn.system.spelling import suggest


class Metrics:
    """The metrics that can be asked about.

    Args:
        selection: knows the meters.
        table: that is replayed, if one is; its columns are metrics, too.
        quality: by which trainings are judged, which is asked about like a metric.
        targets: names of those on which artifacts are measured, by which a metric may be followed as in ``latency@pi``.

    Attributes:
        quality: the same.
        names: of all that a limit or a goal may mean, be it a column of text, so that it is said why it cannot be used.
        short: those without a target.
    """

    def __init__(
        self, selection: Selection, table: Table | None, quality: Quality, targets: Collection[str] = ()
    ) -> None:
        self._selection, self._table, self.quality, self._targets = selection, table, quality, targets
        self._text = frozenset(table.ignored if table else ())
        columns = {*table.metrics, *self._text} if table else set()
        measured = {*KNOWN_METRICS, *selection.registry.names("meter"), *selection.meters_by_metric}
        placed = {f"{name}@{target}" for name in measured for target in targets}
        self.short = frozenset({quality.name, *measured, *columns})
        self.names = self.short | placed

    def named(self, setting: str, name: str) -> Metric:
        """Return a metric with its unit.

        Raises:
            UsageError: there is none of this name; names the setting that asks for it.
        """
        if name == self.quality.name:
            return self.quality.metric
        self._check_place(setting, name)
        by_name = known_metric(name)
        if by_name is not None:
            return by_name
        if self._table is not None and name in self._text:
            raise UsageError(f"column {name!r} of {str(self._table.path)!r} holds text", setting=setting)
        if self._table is not None and name in self._table.metrics:
            if name in OF_RESULTS:
                message = f"column {name!r} of {str(self._table.path)!r} is called like an entry of results; rename it"
                raise UsageError(message, setting=setting)
            return Metric(name, "")
        selection = self._selection
        if base_of(name) in selection.meters_by_metric:
            selection.registry.declaration("meter", selection.meter_of(name))  # or it is said that there is none
        if not selection.registry.is_declared("meter", selection.meter_of(name)):
            known = sorted(filter(self._is_metric, self.short - self._text))
            message = f"there is no metric {name!r}; known are {', '.join(known)}"
            if self._table is None:
                message += f"; a meter called otherwise than its metric is chosen by --meter {base_of(name)}=NAME"
            raise UsageError(message, setting=setting)
        try:
            return Metric(name, selection.load_meter(name).instance.unit)
        except UsageError as error:
            chosen = base_of(name) in selection.meters_by_metric
            raise UsageError(error.message, error.setting if chosen else setting) from None

    def _is_metric(self, name: str) -> bool:
        """Tell whether a name is anything but that of a meter of another metric."""
        if name not in self._selection.registry.names("meter"):
            return True
        try:
            self._selection.load_meter(name)
        except UsageError:
            return False
        except PluginError:
            pass  # it cannot be had here, and is called like its metric as far as anyone knows
        return True

    def _check_place(self, setting: str, name: str) -> None:
        """Refuse a metric that does not say on which target, where it must; a table knows its columns and no target."""
        selection = self._selection
        says_where = "@" in name or len(self._targets) > 1
        if self._table is None and says_where and selection.registry.is_declared("meter", selection.meter_of(name)):
            shipping.check_place(name, selection.load_meter(name).instance, self._targets, setting)


def constraints(settings: Settings, metrics: Metrics) -> tuple[Constraint, ...]:
    """Read all limits.

    Raises:
        UsageError: one cannot be read, or contradicts another.
    """
    quality = metrics.quality
    if settings.min_accuracy is not None and quality.name != ACCURACY.name:
        flag = "min" if quality.better == "higher" else "max"
        message = f"trainings are judged by {quality.name}, not by accuracy; write --{flag} {quality.name}=VALUE"
        raise UsageError(message, setting="min_accuracy")
    texts = [
        ("max_size", "size", settings.max_size),
        ("max_latency", "latency", settings.max_latency),
        ("max_energy", "energy", settings.max_energy),
        ("min_accuracy", ACCURACY.name, settings.min_accuracy),
        *(("max", *split_pair("max", text)) for text in settings.max),
        *(("min", *split_pair("min", text)) for text in settings.min),
    ]
    found: list[Constraint] = []
    for setting, name, text in texts:
        if text is None:
            continue
        metric = metrics.named(setting, name)
        try:
            limit = metric.parse(text)
            found.append(Constraint(name, setting.startswith("max"), limit, metric.unit))
            check_consistent(found)
        except UsageError as error:
            raise UsageError(error.message, setting=setting) from None
        if metric.unit == "%" and 0 < limit < 1 and "%" not in text:
            meant = f"{100 * limit:g}% if it is meant as a fraction, or {limit:g}% to have it as it is"
            warnings.warn(f"{text.strip()} as a limit on {name} is {limit:g} %; write {meant}", stacklevel=2)
    of_quality = [limit for limit in found if limit.metric == quality.name]
    keeps, other = ("min", "max") if quality.better == "higher" else ("max", "min")
    if of_quality and all(limit.upper == (other == "max") for limit in of_quality):
        meant = f"--{keeps} {quality.name}={of_quality[0].limit:g}"
        warnings.warn(f"{of_quality[0]} keeps the worse networks; perhaps {meant} is meant", stacklevel=2)
    return tuple(found)


def is_expression(goal: str, selection: Selection, metrics: Metrics) -> bool:
    """Tell whether a goal is written out, rather than the name of a plugin. A metric alone is an expression."""
    if _is_quality(goal, metrics):
        return True
    if selection.registry.is_declared("goal", goal):
        return False
    is_difference = "-" in goal and metrics.names.issuperset(goal.split("-"))
    return not re.fullmatch(r"[a-z][a-z0-9-]*", goal) or goal in metrics.names or is_difference


def goal(settings: Settings, selection: Selection, metrics: Metrics) -> Goal | None:
    """Read what makes the best shape, if the user said so: a plugin, the quality, or an expression over metrics.

    Raises:
        UsageError: it is neither, or names a metric that there is not, or an option is for no plugin.
        PluginError: the plugin cannot be used.
    """
    text, option = settings.goal, next(iter(selection.options("goal")), None)
    if text is None and option is not None:
        raise UsageError(f"goal.{option} is given without --goal", setting="option")
    if text is None:
        return None
    if settings.pareto:
        raise UsageError("contradicts --goal: a front has no best shape; give one of them", setting="pareto")

    def by_name(name: str) -> Goal | None:
        if _is_quality(name, metrics):
            return goal_expressions.best(metrics.quality)
        if name == ACCURACY.name and name not in metrics.names:
            quality = metrics.quality.name
            message = f"trainings are judged by {quality}, not by accuracy; write --goal {quality}"
            raise UsageError(message, setting="goal")
        if is_expression(name, selection, metrics):
            return None
        plugins.append(_goal_plugin(name, selection, metrics))
        return plugins[-1]

    plugins: list[Goal] = []
    try:
        found = goal_expressions.parse(text, by_name, metrics.names)
        for metric in found.metrics:
            metrics.named("goal", metric)
    except UsageError as error:
        raise UsageError(error.message + _about_hyphens(text, metrics), error.setting) from None
    if option is not None and not plugins:
        raise UsageError(f"goal.{option} is an option of a plugin, and the goal {text!r} is written out", "option")
    return found


def _about_hyphens(text: str, metrics: Metrics) -> str:
    """Say how names with hyphens are written in an expression, where these are signs of subtraction."""
    hyphened = [name for name in sorted(metrics.short) if "-" in name]
    there = [name for name in hyphened if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)]
    return "".join(f"; in an expression {name} is written {name.replace('-', '_')}" for name in there)


def _is_quality(name: str, metrics: Metrics) -> bool:
    """Tell whether a goal is the best quality. That of accuracy is a plugin."""
    return name == metrics.quality.name and metrics.quality != ACCURACY


def _goal_plugin(name: str, selection: Selection, metrics: Metrics) -> Goal:
    try:
        loaded: Loaded[Goal] = selection.load("goal", name)
    except UsageError as error:
        if selection.registry.is_declared("goal", name):
            raise
        message = f"{error.message}; the quality here is {metrics.quality.name} instead of accuracy"
        if metrics.quality == ACCURACY:
            if selection.settings.trainer == CLASSIFIER:
                raise
            message = f"{error.message}; trainings are judged by accuracy, since no other QUALITY is declared"
        raise UsageError(message, error.setting) from None
    for metric in checked.metrics(loaded.instance):
        if metric not in metrics.names and not selection.registry.is_declared("meter", metric):
            problem = f"asks for a metric {metric!r}, and there is none"
            raise PluginError(f"goal {name!r} of {loaded.source} {problem}; {suggest(metric, metrics.short)}")
    return loaded.instance


def pareto(settings: Settings, metrics: Metrics) -> tuple[str, ...]:
    """Read the metrics whose trade-off is asked for.

    Raises:
        UsageError: they are one, or one of them twice, or there is no such metric.
    """
    named = settings.pareto
    if len(named) == 1 or len(set(named)) < len(named):
        raise UsageError(f"{', '.join(named)}: a front has two different metrics or more", setting="pareto")
    for metric in named:
        metrics.named("pareto", metric)
    return named


def confidence(text: str) -> float:
    """Read the probability with which an answer is to stand.

    Raises:
        UsageError: it cannot be asked for.
    """
    try:
        number = text.strip().removesuffix("%")
        found = float(exact(number)) / (100 if number != text.strip() else 1)
    except ValueError:
        found = 0.0
    if not 0.5 <= found <= 0.99:
        message = f"{text!r} is not a probability that can be asked for; accepted are 0.5 to 0.99, or 50% to 99%"
        raise UsageError(message, setting="confidence")
    return found
