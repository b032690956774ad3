"""What every goal must keep to."""

from __future__ import annotations

import random

from shape_dnn.kinds import Goal
from shape_dnn.plugins import checked
from shape_dnn.testing.contract import Contract


class GoalContract(Contract):
    """What every goal must keep to."""

    kind = "goal"

    def values(self, plugin: Goal, seed: int) -> dict[str, float]:
        """Draw a value for each metric that the goal asks for, and for no other."""
        generator = random.Random(seed)
        return {
            m: generator.uniform(10, 99) if m == "accuracy" else generator.lognormvariate(0, 3) for m in plugin.metrics
        }

    def test_names_its_metrics(self, plugin: Goal) -> None:
        """It names at least one metric, and none twice."""
        assert checked.metrics(plugin)

    def test_scores_by_its_metrics_alone(self, plugin: Goal) -> None:
        """Given its metrics and no others, it returns a number, the same every time, and changes nothing."""
        for seed in range(50):
            values = self.values(plugin, seed)
            before = dict(values)
            score = checked.score(plugin, values)
            assert checked.score(plugin, values) == score
            assert values == before

    def test_scores_each_shape_by_itself(self, plugin: Goal, twin: Goal) -> None:
        """A score does not depend on which shapes were scored before."""
        shapes = [self.values(plugin, seed) for seed in range(50)]
        scores = [checked.score(plugin, values) for values in shapes]
        assert [checked.score(twin, values) for values in reversed(shapes)][::-1] == scores

    def test_tells_shapes_apart(self, plugin: Goal) -> None:
        """Shapes with different values do not all have the same score."""
        assert len({checked.score(plugin, self.values(plugin, seed)) for seed in range(50)}) > 1
