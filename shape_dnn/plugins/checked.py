"""What plugins must keep to when the search asks them; what they raise or return wrongly is laid at their door.

What meters must keep to is in :mod:`shape_dnn.plugins.checked_meters`.
"""

from __future__ import annotations

import itertools
import math
import numbers
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from shape_dnn import devices
from shape_dnn.errors import NetworkError, NoScoreError, PluginError, ShapeDnnError, blame, describe, label
from shape_dnn.kinds import (
    Architecture,
    Dataset,
    Executor,
    Goal,
    Images,
    InputShape,
    Posterior,
    Sampler,
    Strategy,
    Terminator,
)
from shape_dnn.recipes import Recipe
from shape_dnn.records import Epoch, Training
from shape_dnn.shape import Shape
from shape_dnn.work import Outcome, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BUILD, LOAD = "to build", "to load the weights of"
EXAMPLE, FORWARD = "to make inputs for", "in the forward pass of"
"""What an architecture can fail to do, or in."""


@contextmanager
def blame_network(architecture: Architecture, what: str, shape: Shape) -> Iterator[None]:
    """Lay what the code of a network raises at the door of its architecture; lack of memory is not its fault.

    Args:
        architecture: which built it.
        what: ``BUILD``, ``LOAD``, ``EXAMPLE`` or ``FORWARD``.
        shape: of the network.

    Raises:
        NetworkError: names all of these, and what was raised.
    """
    try:
        yield
    except ShapeDnnError:
        raise
    except Exception as error:
        if devices.is_out_of_memory(error):
            raise
        given = getattr(architecture, "_inputs_label", "") if what == FORWARD else ""
        raise NetworkError(f"{label(architecture)} failed {what} shape {shape}{given}: {describe(error)}") from error


def load(
    dataset: Dataset, input_shape: InputShape, classes: int, progress: Callable[[int, int], None]
) -> tuple[Images, Images]:
    """Read a dataset, which says how far it is: images and labels are what it declares."""
    from shape_dnn.data import images

    with blame(dataset):
        train, test = dataset.load_with_progress(progress)
        images.check(train, test, input_shape, classes)
    return train, test


def class_names(dataset: Dataset, classes: int) -> tuple[str, ...]:
    """Ask for the names of the classes: a text for each, or none at all."""
    with blame(dataset):
        names = tuple(dataset.class_names)
        if names and (len(names) != classes or not all(isinstance(name, str) for name in names)):
            raise ValueError(f"its class_names are {len(names)} for {classes} classes, or no texts")
    return names


def budget(strategy: Strategy, candidates: int) -> int:
    """Ask how many shapes to train: at least one, and at most all."""
    with blame(strategy):
        answer: object = strategy.count(candidates)
        count = 0 if isinstance(answer, bool) or not isinstance(answer, numbers.Integral) else int(answer)
        if not 1 <= count <= candidates:
            accepted = f"accepted are whole numbers from 1 to {candidates}"
            raise PluginError(f"{label(strategy)} asks for {answer!r} trainings of {candidates} shapes; {accepted}")
    return count


def consider(sampler: Sampler, posterior: Posterior) -> None:
    """Tell a sampler what is asked, and what is known of the answer."""
    with blame(sampler):
        sampler.consider(posterior)


def choose(
    sampler: Sampler, shapes: Sequence[Shape], observed: Sequence[Training], budget: int, asked: Set[Shape]
) -> tuple[Shape, ...]:
    """Ask which shapes to train next: some of ``shapes``, none of ``asked``, and no more in all than the budget."""
    with blame(sampler):
        answer = sampler.choose(shapes, observed, budget)
        # One more than there are repeats one, so that an answer without an end is told from one that is too long.
        batch, known = tuple(itertools.islice(() if answer is None else answer, len(shapes) + 1)), set(shapes)
        for shape in batch:
            if not isinstance(shape, Shape) or shape not in known:
                raise PluginError(f"{label(sampler)} chose {shape!s:.60}, which is not one of the shapes it was given")
        chosen = set(asked)
        for shape in batch:
            if shape in chosen:
                raise PluginError(f"{label(sampler)} chose {shape} twice")
            chosen.add(shape)
        if len(asked) + len(batch) > budget:
            raise PluginError(f"{label(sampler)} chose {len(asked) + len(batch)} shapes with a budget of {budget}")
    return batch


def score(goal: Goal, known: Mapping[str, float | None]) -> float | None:
    """Ask for the score of a shape by what is known of it: a number; None if a metric of the goal is not known.

    Args:
        goal: orders shapes.
        known: metrics of the shape, more than the goal needs or fewer.

    Raises:
        NoScoreError: the goal is an expression that has no value for this shape.
        PluginError: the goal failed.
    """
    values = {metric: value for metric in goal.metrics if (value := known.get(metric)) is not None}
    if len(values) < len(goal.metrics):
        return None
    with blame(goal):
        result: Any = goal.score(values)
        if isinstance(result, str) or math.isnan(result):
            raise ValueError(f"the score of {values} is {result!r}, not a number")
        return float(result)


def scores(goal: Goal, columns: Mapping[str, NDArray[np.float64]]) -> list[float]:
    """Ask for the scores of many shapes; infinite where a metric of the goal is not a number, or where it fails.

    Args:
        goal: orders shapes.
        columns: metrics, each of shape (number of shapes,).
    """
    found = []
    for row in zip(*(columns[metric].tolist() for metric in goal.metrics), strict=True):
        try:
            result = math.nan if any(map(math.isnan, row)) else goal.score(dict(zip(goal.metrics, row, strict=True)))
            found.append(math.inf if math.isnan(result) else float(result))
        except (Exception, SystemExit):  # noqa: BLE001 - whatever a plugin raises
            found.append(math.inf)
    return found


def finite_score(goal: Goal, known: Mapping[str, float | None]) -> float | None:
    """Ask for the score of a shape as :func:`score` does: None also where the goal has no finite value."""
    try:
        result = score(goal, known)
    except NoScoreError:
        return None
    return result if result is not None and math.isfinite(result) else None


def score_of(goal: Goal, known: Mapping[str, float | None]) -> float | None:
    """Do the same to show it: None also where the goal fails."""
    try:
        return finite_score(goal, known)
    except ShapeDnnError:
        return None


def adapt(architecture: Architecture, recipe: Recipe) -> Recipe:
    """Ask an architecture for the recipe of its networks, given that of the dataset."""
    with blame(architecture):
        adapted = architecture.recipe(recipe)
        if not isinstance(adapted, Recipe):
            raise TypeError(f"its recipe is a {type(adapted).__name__}, not a shape_dnn.Recipe")
    return adapted


def metrics(goal: Goal) -> Sequence[str]:
    """Ask which metrics a goal needs: names, at least one and none of them twice, and some of them have steps."""
    named: object = getattr(goal, "metrics", None)
    is_several = isinstance(named, tuple | list) and named and all(isinstance(metric, str) for metric in named)
    if not is_several or len(set(goal.metrics)) < len(goal.metrics):
        raise PluginError(f"{label(goal)} has metrics {named!r}, not a tuple of different names")
    stepped: object = goal.stepped
    if not isinstance(stepped, tuple | list | Set) or not all(metric in goal.metrics for metric in stepped):
        raise PluginError(f"{label(goal)} has stepped {stepped!r}; accepted are some of its metrics, as a tuple")
    return goal.metrics


def run(
    executor: Executor, tasks: Sequence[Task], workers: int | None, report: Callable[[Task, object], bool]
) -> Iterator[Outcome]:
    """Have an executor run tasks: each has one outcome at most. Those of attempts that were given up are passed over.

    Whether any is missing is for the caller to say, who knows of interrupts.
    """
    given, done = {task.attempt for task in tasks}, set()
    with blame(executor):
        outcomes = iter(executor.run(tasks, workers, report))
    while True:
        with blame(executor):
            outcome: object = next(outcomes, None)
        if outcome is None:
            return
        if not isinstance(outcome, Outcome):
            made = type(outcome).__name__
            raise PluginError(f"{label(executor)} returned a {made} instead of an Outcome with what the task returned")
        if outcome.task.attempt in done:
            raise PluginError(f"{label(executor)} handed over the outcome of a task twice")
        if outcome.task.attempt in given:
            done.add(outcome.task.attempt)
            yield outcome


def should_stop(terminator: Terminator, curve: Sequence[Epoch], epochs: int, others: Sequence[Training]) -> bool:
    """Ask whether a training is to be stopped: true or false, and nothing that only counts as one of them."""
    with blame(terminator):
        answer: object = terminator.should_stop(curve, epochs, others)
        if isinstance(answer, bool):
            return answer
        import numpy as np

        if isinstance(answer, np.bool_):
            return bool(answer)
        raise PluginError(f"{label(terminator)} answers {answer!r:.40}; accepted are True and False")
