"""What comes of choosing networks by latencies that are not those of what ships, in random questions.

A question asks for the best network of a space within a limit on latency. Whoever asks knows other latencies of the
same networks, those of another runtime, precision or device, takes the best network that seems to be within the limit,
and ships it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Limits = Literal["range", "networks"]
"""Whether limits are drawn from the range of the latencies, or are the latency of a network of the space each."""


@dataclass(frozen=True)
class Space:
    """Networks to choose from.

    Attributes:
        name: for people.
        quality: of each network; the best is the highest.
        latencies: of each network in ms, by where it runs.
    """

    name: str
    quality: Floats
    latencies: Mapping[str, Floats]


@dataclass(frozen=True)
class Question:
    """Which network is the best within a limit on latency?

    The same question can be asked of whatever ships: the limit is a place between its least and its largest latency.

    Attributes:
        space: that is asked about.
        place: from 0 up to 1.
    """

    space: Space
    place: float

    def limit(self, shipped: str, limits: Limits = "range") -> float:
        """Return the limit in ms on what ships.

        Between the least and the largest latency of the space it is drawn evenly in its logarithm, so that half of a
        latency is as likely a limit as twice of it.
        """
        latencies = np.sort(self.space.latencies[shipped])
        if limits == "networks":
            return float(latencies[int(self.place * len(latencies))])
        return float(latencies[0] * (latencies[-1] / latencies[0]) ** self.place)


@dataclass(frozen=True)
class Outcome:
    """What came of a choice.

    Attributes:
        over: by which part of the limit what ships exceeds it; 0 where it is met.
        loss: how much better the best network within the limit is, where the limit is met; None where nothing was
            chosen, since no network seemed to be within the limit.
    """

    over: float
    loss: float | None


def draw(spaces: Sequence[Space], number: int, seed: int = 0) -> list[Question]:
    """Draw questions; each space is as likely as any other, and the first of many are those of few."""
    rng = np.random.default_rng(seed)
    return [Question(spaces[int(rng.integers(len(spaces)))], float(rng.random())) for _ in range(number)]


def factor(known: Floats, shipped: Floats) -> float:
    """Return by what to multiply known latencies so that they are like those of what ships, as well as one number can.

    It is the median of the ratios of all networks of the space, which is more than anyone knows who has not measured.
    """
    return float(np.median(shipped / known))


def choose(quality: Floats, known: Floats, shipped: Floats, limit: float) -> Outcome:
    """Take the best network that is within a limit by known latencies, and see what ships.

    Args:
        quality: of each network.
        known: latencies to choose by.
        shipped: latencies of what ships, of which one at least is within the limit.
        limit: on what ships.
    """
    within = np.flatnonzero(known <= limit)
    if not len(within):
        return Outcome(0.0, None)
    chosen = within[quality[within].argmax()]
    if shipped[chosen] > limit:
        return Outcome(float(shipped[chosen] / limit - 1), 0.0)
    return Outcome(0.0, float(quality[shipped <= limit].max() - quality[chosen]))


@dataclass(frozen=True)
class Figures:
    """What came of many choices, in percent of the questions unless said otherwise.

    Attributes:
        broken: what ships exceeds the limit.
        over: by how many percent of the limit, in the mean of those.
        most: by how many percent at most.
        worse: what ships, if anything, meets the limit, and a better network would have met it, too.
        loss: how much better, in the mean of those where a network was chosen, in the unit of the quality.
        nothing: no network seemed to be within the limit though one was; these count as worse, too.
    """

    broken: float
    over: float | None
    most: float | None
    worse: float
    loss: float | None
    nothing: float

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> Figures:
        """Count outcomes."""
        over = [outcome.over for outcome in outcomes if outcome.over > 0]
        losses = [outcome.loss for outcome in outcomes if outcome.loss is not None and outcome.loss > 0]
        nothing = sum(outcome.loss is None for outcome in outcomes)
        percent = 100 / len(outcomes)
        return cls(
            broken=percent * len(over),
            over=100 * float(np.mean(over)) if over else None,
            most=100 * max(over) if over else None,
            worse=percent * (len(losses) + nothing),
            loss=float(np.mean(losses)) if losses else None,
            nothing=percent * nothing,
        )


@dataclass(frozen=True)
class Comparison:
    """Choosing by one latency and shipping another.

    Attributes:
        known: name of the latencies to choose by.
        shipped: name of those of what ships.
        rank_correlation: Spearman's, in the mean of the spaces.
        as_they_are: where the milliseconds are taken at their word.
        by_factor: where they are multiplied by :func:`factor`, so that only their order and proportions mislead.
    """

    known: str
    shipped: str
    rank_correlation: float
    as_they_are: Figures
    by_factor: Figures


def compare(questions: Sequence[Question], known: str, shipped: str, limits: Limits = "range") -> Comparison:
    """Ask questions, and choose by known latencies."""
    spaces = {id(question.space): question.space for question in questions}.values()
    correlations = [stats.spearmanr(space.latencies[known], space.latencies[shipped]).statistic for space in spaces]
    plain, scaled = [], []
    for question in questions:
        space, limit = question.space, question.limit(shipped, limits)
        ours, theirs = space.latencies[known], space.latencies[shipped]
        plain.append(choose(space.quality, ours, theirs, limit))
        scaled.append(choose(space.quality, ours * factor(ours, theirs), theirs, limit))
    return Comparison(known, shipped, float(np.mean(correlations)), Figures.of(plain), Figures.of(scaled))


def average(comparisons: Sequence[Comparison]) -> Figures:
    """Put the figures of several comparisons over equally many questions together, with their factors."""
    figures = [comparison.by_factor for comparison in comparisons]
    return Figures(
        broken=float(np.mean([each.broken for each in figures])),
        over=_weighted([(each.over, each.broken) for each in figures]),
        most=max((each.most for each in figures if each.most is not None), default=None),
        worse=float(np.mean([each.worse for each in figures])),
        loss=_weighted([(each.loss, each.worse - each.nothing) for each in figures]),
        nothing=float(np.mean([each.nothing for each in figures])),
    )


def _weighted(means: Sequence[tuple[float | None, float]]) -> float | None:
    """Return the mean of what several means are of, given how much each is of."""
    there = [(mean, weight) for mean, weight in means if mean is not None]
    return sum(mean * weight for mean, weight in there) / sum(weight for _, weight in there) if there else None


def table(comparisons: Sequence[Comparison], unit: str, *, plain: bool = False) -> list[str]:
    """Write comparisons as a table in Markdown.

    Args:
        comparisons: its rows.
        unit: of the quality.
        plain: whether figures are those of milliseconds as they are, instead of by a factor.
    """
    lines = [
        f"| chosen by | shipped | rank correlation | {columns(unit)} |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for each in comparisons:
        figures = each.as_they_are if plain else each.by_factor
        lines.append(f"| {each.known} | {each.shipped} | {each.rank_correlation:.3f} | {cells(figures)} |")
    return lines


def columns(unit: str) -> str:
    """Write the headings of figures, given the unit of the quality."""
    return f"breaks | over by, mean | at most | worse | by, mean [{unit}] | takes none"


def cells(figures: Figures) -> str:
    """Write figures as cells of a table."""
    loss = "-" if figures.loss is None else f"{figures.loss:.2f}"
    before = map(_percent, (figures.broken, figures.over, figures.most, figures.worse))
    return " | ".join([*before, loss, _percent(figures.nothing)])


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} %"
