"""Compare modelling strategies on a recorded table: what would each train, and how well would it predict?"""

from __future__ import annotations

import dataclasses
import itertools
import statistics
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shape_dnn.answers.data_frames import Records
from shape_dnn.answers.summary import Shown, Summary
from shape_dnn.answers.words import number
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.assembly.replay import warn_of_oddities
from shape_dnn.errors import PluginError, UsageError
from shape_dnn.plugins.registry import Registry
from shape_dnn.plugins.table_of_kinds import KINDS
from shape_dnn.search.algorithm import apply_limits, predict
from shape_dnn.search.modes import sample, search
from shape_dnn.search.posterior_of import PosteriorOf
from shape_dnn.settings import Settings
from shape_dnn.system.text import listed


@dataclass(frozen=True)
class Comparison:
    """How one combination of plugins did, as means over the seeds.

    Attributes:
        strategy: the strategy, which says how many shapes are trained (or the value of ``--train``).
        sampler: the sampler, which says which shapes are trained.
        model: the model, which predicts the other shapes.
        trained: number of trainings, including verification.
        percent: the same in percent of the candidates.
        mean_error: mean absolute error of the predictions for shapes that were not trained, in points; None if every
            shape was trained.
        max_error: the largest of these errors.
        found: fraction of the searches that returned a shape; None without a goal.
    """

    strategy: str
    sampler: str
    model: str
    trained: float
    percent: float
    mean_error: float | None
    max_error: float | None
    found: float | None


class Comparisons(Shown, Records[Comparison]):
    """How each combination did: a list that is also a table."""

    columns = tuple(field.name for field in dataclasses.fields(Comparison))

    @property
    def summaries(self) -> list[Summary]:
        """The table for people."""
        cells = [[v if isinstance(v, str) else number(v, 3) for v in row.values()] for row in self.rows()]
        return [Summary("", self.columns, cells)]


def simulate(
    table: str | Path,
    *,
    strategies: Iterable[str] = (),
    samplers: Iterable[str] = (),
    models: Iterable[str] = (),
    seeds: int = 10,
    **settings: Any,
) -> Comparisons:
    """Run the search on a table with every combination of strategy, sampler and model.

    Args:
        table: CSV file (:mod:`shape_dnn.study.tables`), or the name of a table that a plugin declares.
        strategies: names of strategies; by default the one in the settings.
        samplers: names of samplers; by default the one in the settings if they name one, otherwise every sampler that
            is installed.
        models: names of models; by default the one in the settings if they name one, otherwise every model that is
            installed and, with a prior, takes it.
        seeds: number of searches for each combination, with seeds from 0.
        **settings: limits, goal, prior and others, as for :func:`shape_dnn.tune`.

    Raises:
        UsageError: the table or a setting cannot be used.
        PluginError: a plugin cannot be used.
    """
    if seeds < 1:
        raise UsageError(f"{seeds} is not a whole number from 1", setting="seeds")
    base = Settings.create({**settings, "replay": table})
    if "seed" in base.given:
        raise UsageError("combinations are compared by seeds from 0; say by seeds= how many", setting="seed")
    registry = Registry([Path(name) for name in base.plugin])
    own = {name: [getattr(base, name)] for name in ("sampler", "model") if name in base.given}
    compared = {
        "strategy": listed(strategies) or [base.strategy],
        "sampler": listed(samplers) or own.get("sampler") or _usable(registry, "sampler"),
        "model": listed(models) or own.get("model") or _usable(registry, "accuracy_model"),
    }
    if base.train is not None and len(compared["strategy"]) > 1:
        message = "contradicts several strategies, which say themselves how many shapes to train; give one of them"
        raise UsageError(message, setting="train")
    _check_options(base, registry, compared)
    if not models and "model" not in own:
        compared["model"] = _that_take_the_prior(base, registry, compared["model"])
    recorded = Assembly(base, registry).table
    assert recorded is not None  # noqa: S101 - the settings name one
    warn_of_oddities(recorded)
    return Comparisons(
        _compare(base, registry, strategy, sampler, model, range(seeds))
        for strategy, sampler, model in itertools.product(*compared.values())
    )


def _usable(registry: Registry, kind: str) -> list[str]:
    """Return the plugins of a kind that start. Others are left out with a warning, since nobody has named them."""
    usable = []
    for name in registry.names(kind):
        try:
            registry.load(kind, name)
        except PluginError as error:
            warnings.warn(f"left out: {error}", stacklevel=3)
        else:
            usable.append(name)
    return usable


def _check_options(base: Settings, registry: Registry, compared: Mapping[str, Sequence[str]]) -> None:
    """Refuse an option that none of the compared plugins has. Plugins that lack an option go without it."""
    for flag, names in compared.items():
        for text in base.option:
            if text.startswith(f"{flag}.") and not any(_has_option(registry, flag, name, text) for name in names):
                raise UsageError(f"{text}: none of the {flag}s {', '.join(names)} has such an option", setting="option")


def _that_take_the_prior(base: Settings, registry: Registry, models: Sequence[str]) -> list[str]:
    """Leave out, with a warning, the models that take no prior, if there is one."""
    by_name = {model: _assemble(base, registry, base.strategy, base.sampler, model) for model in models}
    taking = [model for model, parts in by_name.items() if _takes_the_prior(parts)]
    if len(taking) < len(models):
        refusing = ", ".join(model for model in models if model not in taking)
        warnings.warn(f"accuracy models that take no prior are left out: {refusing}", stacklevel=3)
    return taking


def _takes_the_prior(parts: Assembly) -> bool:
    if parts.prior is None:
        return True
    try:
        _ = parts.model
    except UsageError as error:
        if error.setting != "prior":
            raise
        return False
    return True


def _assemble(base: Settings, registry: Registry, strategy: str, sampler: str, model: str, seed: int = 0) -> Assembly:
    """Put together a search in which each plugin is given only the options that it has."""
    names = {"strategy": strategy, "sampler": sampler, "model": model}
    options = tuple(
        text
        for text in base.option
        if (flag := text.partition(".")[0]) not in names or _has_option(registry, flag, names[flag], text)
    )
    settings = dataclasses.replace(base, strategy=strategy, sampler=sampler, model=model, option=options, seed=seed)
    return Assembly(settings, registry)


def _has_option(registry: Registry, flag: str, name: str, text: str) -> bool:
    kind = next(kind.name for kind in KINDS.values() if kind.flag == flag)
    option = text.partition("=")[0].strip().removeprefix(f"{flag}.")
    return option in registry.declaration(kind, name).options


def _compare(
    base: Settings, registry: Registry, strategy: str, sampler: str, model: str, seeds: Sequence[int]
) -> Comparison:
    trained, percents, means, maxima, found = [], [], [], [], []
    for seed in seeds:
        parts = _assemble(base, registry, strategy, sampler, model, seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a poor fit shows in its error, which is what is asked for
            answer = search(parts.shapes, parts.query, parts.modelling, parts.replay)
            errors = _errors(parts)
        trained.append(len(answer.trainings) + answer.repeated)
        percents.append(100 * trained[-1] / max(1, answer.candidates))
        found.append(answer.verified)
        if errors:
            means.append(statistics.fmean(errors))
            maxima.append(max(errors))
    return Comparison(
        base.train or strategy,
        sampler,
        model,
        statistics.fmean(trained),
        statistics.fmean(percents),
        statistics.fmean(means) if means else None,
        max(maxima) if maxima else None,
        statistics.fmean(found) if base.goal else None,
    )


def _errors(parts: Assembly) -> list[float]:
    """Predict the shapes that the sampler leaves out, and compare with what was recorded."""
    survivors, _ = apply_limits(parts.shapes, parts.query, parts.replay)
    posterior_of = PosteriorOf(parts.query, parts.modelling, parts.replay)
    trainings = sample(survivors, (), parts.modelling, parts.replay, posterior_of)
    candidates = predict(survivors, trainings, parts.modelling.model)
    truth = {t.shape: t.quality for t in parts.replay.train(survivors)}
    return [
        abs(candidate.prediction.mean - accuracy)
        for candidate in candidates
        if candidate.quality is None
        and candidate.prediction is not None
        and (accuracy := truth[candidate.shape]) is not None
    ]
