"""BoTorch's Gaussian process with log expected improvement."""

from __future__ import annotations

import warnings

import numpy as np

from shape_dnn.benchmarking.facts import Seen
from shape_dnn.benchmarking.method import Found, Method
from shape_dnn.benchmarking.peers.expected_improvement import spread
from shape_dnn.search.kernel import Floats, logarithms

INITIAL = 5


class BoTorch(Method):
    """A ``SingleTaskGP`` on quality over log depth and log width, all candidates enumerated.

    Settings: those of BoTorch, whose priors of the lengths fit few points (Hvarfner et al. 2024), with standardised
    outcomes and noise that is inferred. The acquisition is ``LogExpectedImprovement`` (Ament et al. 2023) where
    quality is the goal. Any other goal is known, so its improvement is certain and is weighted by the probability that
    the limit is met; while nothing complies, that probability alone decides. 5 trainings spread by a Sobol sequence at
    first. It trains on until it is stopped.

    Args:
        most: trainings after which it is stopped.
    """

    never_stops = True
    made_by = ("botorch", "gpytorch")

    def __init__(self, most: int = 18) -> None:
        self.most = most

    def answer(self, seen: Seen, seed: int) -> Found:
        """Train what the acquisition prefers."""
        import torch

        torch.manual_seed(seed)
        places = logarithms(seen.shapes)
        places = (places - places.min(0)) / np.maximum(np.ptp(places, axis=0), 1e-9)
        trained = spread(places, min(INITIAL, self.most), seed)
        seen.train([seen.shapes[i] for i in trained])
        while len(trained) < min(self.most, len(seen.shapes)):
            worth = _acquisition(seen, places, trained)
            worth[trained] = -np.inf
            trained.append(int(worth.argmax()))
            seen.trained(seen.shapes[trained[-1]])
        return Found(seen.best)


def _acquisition(seen: Seen, places: Floats, trained: list[int]) -> Floats:
    """Return the worth of training each shape, on a logarithmic scale."""
    import torch
    from botorch.acquisition.analytic import LogExpectedImprovement
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from gpytorch.mlls import ExactMarginalLogLikelihood

    inputs = torch.tensor(places, dtype=torch.float64)
    outcomes = torch.tensor([[seen.upwards(seen.trained(seen.shapes[i]))] for i in trained], dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fits that were tried again
        model = SingleTaskGP(inputs[trained], outcomes)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        with torch.no_grad():
            if seen.goal_is_quality:
                return np.asarray(LogExpectedImprovement(model, outcomes.max())(inputs[:, None]))
            posterior = model.posterior(inputs, observation_noise=True)
            z = (posterior.mean - seen.upwards(seen.limits[0].limit)) / posterior.variance.sqrt()
            likely: Floats = np.asarray(torch.special.log_ndtr(z)[:, 0])
    best = seen.best
    if best is None:
        return likely
    scores = seen.scores()
    improvement = np.maximum(scores[seen.shapes.index(best)] - scores, 0.0)
    return np.asarray(likely + np.log(improvement + 1e-300))
