"""What every strategy must keep to."""

from __future__ import annotations

from shape_dnn.kinds import Strategy
from shape_dnn.plugins import checked
from shape_dnn.testing.contract import Contract


class StrategyContract(Contract):
    """What every strategy must keep to."""

    kind = "strategy"

    def test_trains_at_least_one_shape_and_at_most_all(self, plugin: Strategy) -> None:
        """This holds for every number of candidates from one."""
        for candidates in [*range(1, 400), 1_000, 10_000, 1_000_000]:
            checked.budget(plugin, candidates)

    def test_answers_the_same_every_time(self, plugin: Strategy, twin: Strategy) -> None:
        """The number depends on the number of candidates alone."""
        numbers = (1, 7, 20, 21, 100, 1_000)
        assert [plugin.count(n) for n in numbers] == [twin.count(n) for n in reversed(numbers)][::-1]
