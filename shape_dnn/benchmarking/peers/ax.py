"""Ax, the platform over BoTorch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from shape_dnn.benchmarking.facts import Seen
from shape_dnn.benchmarking.peers.tuners import Conversation, Tuner
from shape_dnn.search.kernel import Floats

INITIAL = 5
"""Trials before there is a model: what Ax chooses itself for two parameters."""


class _Experiment:
    """A client of Ax, asked and told."""

    def __init__(self, client: Any, depths: Floats, widths: Floats) -> None:
        self._client, self._depths, self._widths = client, depths, widths
        self._trial = 0

    def ask(self) -> Sequence[float]:
        ((self._trial, chosen),) = self._client.get_next_trials(max_trials=1).items()
        return self._depths[chosen.get("depth", 0)], self._widths[chosen.get("width", 0)]

    def tell(self, objective: float, shortfall: float | None) -> None:
        told = {"objective": objective} if shortfall is None else {"objective": objective, "shortfall": shortfall}
        self._client.complete_trial(self._trial, told)


class Ax(Tuner):
    """The Gaussian process and the acquisition that Ax chooses for the question: noisy log expected improvement.

    The limit on accuracy is an outcome constraint. Settings are those that it has by default: at first 5 trials, which
    are the centre and a Sobol sequence, and noise that is inferred. Depth and width are whole numbers, as for Optuna: a
    suggestion takes a fifth of a second, and five times as long if they are logarithms.

    Args:
        most: trainings after which it is stopped.
    """

    made_by = ("ax-platform", "botorch")

    def __init__(self, most: int = 15) -> None:
        super().__init__(most)

    def begin(self, seen: Seen, depths: Floats, widths: Floats, seed: int) -> Conversation:
        """Make a client."""
        client_of, parameter_of = _import()
        client = client_of(random_seed=seed)
        last = {"depth": len(depths) - 1, "width": len(widths) - 1}
        client.configure_experiment([parameter_of(name, (0, place), "int") for name, place in last.items() if place])
        client.configure_optimization("-objective", ["shortfall <= 0"] if seen.limits else None)
        client.configure_generation_strategy(initialization_budget=INITIAL, initialization_random_seed=seed)
        return _Experiment(client, depths, widths)


def _import() -> tuple[Any, Any]:
    """Import what is needed of Ax, which says on standard error what it does unless it is told not to."""
    logging.disable(logging.INFO)
    try:
        from ax.api.client import Client
        from ax.api.configs import RangeParameterConfig
        from ax.utils.common.logger import set_stderr_log_level
    finally:
        logging.disable(logging.NOTSET)
    set_stderr_log_level(logging.ERROR)
    return Client, RangeParameterConfig
