"""Syne Tune's searchers, without its processes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from shape_dnn.benchmarking.facts import Seen
from shape_dnn.benchmarking.peers.tuners import Conversation, Tuner
from shape_dnn.search.kernel import Floats

METRIC = "objective"


class _Scheduler:
    """A scheduler of Syne Tune, asked and told as its tuner does.

    It knows no constraints: what misses the limit is told as worse than anything that meets it, by how much it misses.
    """

    def __init__(self, scheduler: Any, depths: Floats, widths: Floats) -> None:
        self._scheduler, self._depths, self._widths = scheduler, depths, widths
        self._number, self._worst = 0, float("-inf")
        self._trial: Any = None

    def ask(self) -> Sequence[float]:
        from syne_tune.backend.trial_status import Trial

        config = self._scheduler.suggest().config
        self._trial = Trial(self._number, config, datetime.fromtimestamp(0, UTC))
        self._number += 1
        self._scheduler.on_trial_add(self._trial)
        return self._depths[round(config["depth"])], self._widths[round(config["width"])]

    def tell(self, objective: float, shortfall: float | None) -> None:
        self._worst = max(self._worst, objective)
        told = objective if shortfall is None or shortfall <= 0 else self._worst + shortfall
        self._scheduler.on_trial_complete(self._trial, {METRIC: told})


class Bore(Tuner):
    """Optimisation by density-ratio estimation (BORE; Tiao et al. 2021), with the settings that it has by default.

    Depth and width are real numbers that are rounded, since its candidates are drawn without replacement, which fails
    on a small grid. Each suggestion takes a fifth of a second, so that few trainings are asked for. The other searcher
    that Syne Tune recommends, conformal quantile regression, takes a minute for a question.
    """

    made_by = ("syne-tune",)

    def __init__(self, most: int = 15) -> None:
        super().__init__(most)

    def begin(self, seen: Seen, depths: Floats, widths: Floats, seed: int) -> Conversation:
        """Make a scheduler."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of optional parts that are not installed
            from syne_tune.config_space import uniform
            from syne_tune.optimizer.baselines import BORE

            np.random.seed(seed)  # noqa: NPY002 - it draws from numpy's common generator as well as from its own
            space = {
                "depth": uniform(-0.499, len(depths) - 0.501),
                "width": uniform(-0.499, len(widths) - 0.501),
            }
            return _Scheduler(BORE(space, metric=METRIC, do_minimize=True, random_seed=seed), depths, widths)
