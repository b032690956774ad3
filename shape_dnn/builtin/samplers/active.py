"""The shapes whose trainings tell most about the answer to the question that is asked."""

from __future__ import annotations

from collections.abc import Sequence

from shape_dnn.kinds import Posterior, Sampler
from shape_dnn.records import Training
from shape_dnn.search import durations
from shape_dnn.search.design import d_optimal
from shape_dnn.shape import Shape


class Active(Sampler):
    """A few cheap shapes that tell much about all, and then those that matter to the question, until it is settled.

    It stops before the budget is spent when the answer stands with the wanted confidence. If nobody asks a question,
    it goes on with what tells much about all.

    Args:
        initial: trainings before the accuracy model is asked; 0 to have it say how many.
    """

    confident = True

    def __init__(self, initial: int = 0) -> None:
        self.initial = initial
        self._posterior: Posterior | None = None

    def consider(self, posterior: Posterior) -> None:
        """Take note."""
        self._posterior = posterior

    def choose(self, shapes: Sequence[Shape], observed: Sequence[Training], budget: int) -> Sequence[Shape]:
        """Choose as many as are wanted together."""
        posterior, self._posterior = self._posterior, None
        known = observed if posterior is None else posterior.observed
        trained = {training.shape for training in known}
        left = budget - len(trained.intersection(shapes))
        if left <= 0:
            return ()
        if posterior is None:
            return d_optimal(shapes, left, durations.assume(shapes), trained)
        initial = self.initial or posterior.initial
        if len(known) < initial:
            return d_optimal(shapes, min(initial - len(known), left), durations.assume(shapes), trained)
        if not any(training.qualities for training in known):
            return ()  # something is wrong with all of them
        return () if posterior.settled and not posterior.exact else posterior.choose(min(posterior.together, left))
