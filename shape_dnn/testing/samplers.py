"""What every sampler must keep to."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from shape_dnn.builtin.accuracy_models.log_linear import LogLinear
from shape_dnn.builtin.goals import Accuracy
from shape_dnn.kinds import Goal, Posterior, Sampler
from shape_dnn.plugins import checked
from shape_dnn.records import Training
from shape_dnn.search.posterior import AnswerPosterior
from shape_dnn.shape import Shape
from shape_dnn.testing.contract import Contract
from shape_dnn.testing.spaces import SPACES, accuracy


class SamplerContract(Contract):
    """What every sampler must keep to."""

    kind = "sampler"

    def choose(
        self, plugin: Sampler, shapes: Sequence[Shape], budget: int, failing: bool = False, goal: Goal | None = None
    ) -> list[tuple[Shape, ...]]:
        """Ask a sampler until it is done, as a search does, which first tells it what is known; return its batches.

        Args:
            plugin: the sampler.
            shapes: all candidates.
            budget: number of trainings.
            failing: whether every second shape fails to train.
            goal: the goal of the question; without one, the whole budget is to be spent.
        """
        batches: list[tuple[Shape, ...]] = []
        observed: list[Training] = []
        asked: set[Shape] = set()
        while True:
            checked.consider(plugin, self.known(shapes, observed, goal))
            batch = checked.choose(plugin, shapes, observed, budget, asked)
            if not batch:
                return batches
            batches.append(batch)
            asked |= set(batch)
            observed = [
                Training(shape, None, "killed") if failing and i % 2 else Training(shape, accuracy(shape))
                for i, shape in enumerate(shapes)
                if shape in asked
            ]

    @staticmethod
    def known(shapes: Sequence[Shape], observed: Sequence[Training], goal: Goal | None = None) -> Posterior:
        """Return what a search knows before it has ended."""
        return AnswerPosterior(shapes, observed, LogLinear(), goal=goal, together=2, exact=goal is None)

    @pytest.mark.parametrize("space", SPACES)
    def test_chooses_some_of_the_shapes_within_the_budget(self, plugin: Sampler, space: str) -> None:
        """It chooses at least one shape, none twice, only given ones, no more than the budget, and comes to an end."""
        shapes = SPACES[space]
        for budget in sorted({1, 2, 5, len(shapes) // 2, len(shapes)} & set(range(1, len(shapes) + 1))):
            assert self.choose(plugin, shapes, budget), f"nothing chosen with a budget of {budget}"

    def test_can_choose_everything(self, plugin: Sampler) -> None:
        """If the budget suffices for all shapes, it chooses all."""
        for shapes in SPACES.values():
            chosen = [shape for batch in self.choose(plugin, shapes, len(shapes)) for shape in batch]
            assert sorted(chosen) == sorted(shapes)

    @pytest.mark.parametrize("failing", [False, True])
    def test_chooses_also_when_told_what_is_asked(self, plugin: Sampler, failing: bool) -> None:
        """It is told before every choice, together with what is known of the answer."""
        assert self.choose(plugin, SPACES["a grid"], 9, failing, Accuracy())

    def test_chooses_the_same_every_time(self, plugin: Sampler, twin: Sampler) -> None:
        """The same question has the same answer: everything random is drawn from an option ``seed``."""
        shapes = SPACES["a grid"]
        first = self.choose(plugin, shapes, 9)
        assert self.choose(twin, shapes, 9) == first
        assert self.choose(plugin, shapes, 9) == first

    def test_bears_trainings_that_failed(self, plugin: Sampler) -> None:
        """A training without a result counts as spent, and is not asked for again."""
        assert self.choose(plugin, SPACES["a grid"], 9, failing=True)

    def test_leaves_the_question_as_it_is(self, plugin: Sampler) -> None:
        """It changes neither the shapes nor the trainings that it is given."""
        shapes = list(SPACES["a grid"])
        observed = [Training(shape, accuracy(shape)) for shape in shapes[:3]]
        before = (list(shapes), list(observed))
        for trained in ([], observed):
            plugin.consider(self.known(shapes, trained))
            plugin.choose(shapes, trained, 9)
        assert (shapes, observed) == before
