"""What plugins must keep to when the search asks them; what they raise or return wrongly is laid at their door."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set

from shape_dnn.errors import PluginError, blame
from shape_dnn.kinds import AccuracyModel, Goal, Sampler, Strategy
from shape_dnn.records import Prediction, Training
from shape_dnn.shape import Shape


def budget(strategy: Strategy, candidates: int) -> int:
    """Ask how many shapes to train: at least one, and at most all."""
    with blame(strategy):
        count = strategy.count(candidates)
        if not isinstance(count, int) or not 1 <= count <= candidates:
            raise PluginError(f"the strategy asks for {count!r} trainings of {candidates} shapes")
    return count


def choose(
    sampler: Sampler, shapes: Sequence[Shape], observed: Sequence[Training], budget: int, asked: Set[Shape]
) -> tuple[Shape, ...]:
    """Ask which shapes to train next: some of ``shapes``, none of ``asked``, and no more in all than the budget."""
    with blame(sampler):
        answer = sampler.choose(shapes, observed, budget)
        batch, known = tuple(() if answer is None else answer), set(shapes)
        for shape in batch:
            if not isinstance(shape, Shape) or shape not in known:
                raise PluginError(f"the sampler chose {shape!s:.60}, which is not one of the shapes it was given")
        if asked & set(batch) or len(set(batch)) < len(batch):
            raise PluginError("the sampler chose a shape twice")
        if len(asked) + len(batch) > budget:
            raise PluginError(f"the sampler chose {len(asked) + len(batch)} shapes with a budget of {budget}")
    return batch


def predict(model: AccuracyModel, accuracies: Mapping[Shape, float], shapes: Sequence[Shape]) -> list[Prediction]:
    """Fit a model and ask it for every shape: a finite mean, and a standard deviation or none."""
    with blame(model):
        model.fit(list(accuracies), list(accuracies.values()))
        predictions = [_plain(prediction) for prediction in model.predict(shapes)]
        if len(predictions) != len(shapes):
            raise PluginError(f"the accuracy model made {len(predictions)} predictions for {len(shapes)} shapes")
    return predictions


def score(goal: Goal, values: Mapping[str, float]) -> float:
    """Ask for the score of a shape: a number."""
    with blame(goal):
        result = float(goal.score(values))
        if math.isnan(result):
            raise ValueError(f"the score of {dict(values)} is not a number")
    return result


def _plain(prediction: Prediction) -> Prediction:
    """Make plain numbers of a prediction, which may hold those of numpy."""
    if not isinstance(prediction, Prediction):
        raise TypeError(f"predict returned {type(prediction).__name__} objects instead of shape_dnn.Prediction")
    mean, std = float(prediction.mean), None if prediction.std is None else float(prediction.std)
    if not math.isfinite(mean) or (std is not None and not 0 <= std < math.inf):
        raise ValueError(f"it predicted {prediction}")
    return Prediction(mean, std)
