"""How a search went, from the events that it told: what limits dropped, which shape was trained why, what ended it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from shape_dnn import events
from shape_dnn.events import Event, Reason
from shape_dnn.quality import Quality
from shape_dnn.records import Training
from shape_dnn.shape import Shape
from shape_dnn.store import journal
from shape_dnn.system.text import grouped

if TYPE_CHECKING:
    from shape_dnn.answers.question import StudyQuestion

REASONS = {
    Reason.SAMPLE: "tells much about all networks, whatever is asked",
    Reason.IMPROVES: "was expected to improve most on the best so far, for what its training costs",
    Reason.CLOSEST: "was expected to come closest, where nothing was likely to comply",
    Reason.UNDECIDED: "was the one of which it was least clear whether it meets the limits",
    Reason.UNCERTAIN: "was the one whose outcome was least known",
    Reason.BEYOND: "was most likely to lie beyond the front so far, for what its training costs",
    Reason.VERIFY: "was the best by prediction, and an answer is trained before it is given",
    Reason.FRONT: "was on the front by prediction, and an answer is trained before it is given",
    Reason.AGAIN: "came out far worse than a smaller one, and got a second training with another seed",
}


@dataclass(frozen=True)
class Step:
    """A shape that a search chose to train.

    Attributes:
        shape: what.
        why: in words.
        expected: what was predicted; empty where that had no part in it.
        outcome: of the training; empty while nobody knows it.
        doubt: the probability afterwards that the answer is another one, in percent; empty where nobody stated it.
    """

    shape: str
    why: str
    expected: str = ""
    outcome: str = ""
    doubt: str = ""


@dataclass(frozen=True)
class Story:
    """How a search went.

    Attributes:
        stages: limits in words, and how many shapes were there before and after each.
        steps: the trainings, in the order in which they were chosen.
        doubts: after how many trainings there was how much doubt, in percent.
        wanted: the doubt below which the search may end, in percent; None if it states none.
        end: what ended it.
        note: what is not known of it.
    """

    stages: Sequence[tuple[str, int, int]] = ()
    steps: Sequence[Step] = ()
    doubts: Sequence[Mapping[str, float]] = ()
    wanted: float | None = None
    end: str = ""
    note: str = ""


WITHOUT_JOURNAL = Story(
    note="This study was searched before searches kept a journal. Which networks were trained is known, but not why."
)


def of_study(known: StudyQuestion, trainings: Mapping[Shape, Training]) -> Story:
    """Tell how the search of which a report tells went, from the journal of the study, as far as there is one."""
    entries, _ = journal.read(known.store.directory)
    told = [entry.event for entry in entries if entry.run == known.run.number]
    if not told:
        return WITHOUT_JOURNAL
    asked = [confidence_of(event.settings) for event in told if isinstance(event, events.SearchStarted)]
    return tell(told, trainings, known.parts.quality, asked[-1] if asked else None)


def confidence_of(settings: Mapping[str, object]) -> float | None:
    """Return the confidence of a search from the settings in its journal; None if it had none."""
    try:
        found = float(str(settings.get("confidence")))
    except ValueError:
        return None
    return found if 0 < found < 1 else None


def tell(
    told: Sequence[Event], trainings: Mapping[Shape, Training], quality: Quality, confidence: float | None
) -> Story:
    """Put together how a search went.

    Args:
        told: the events of one search, in order.
        trainings: as they count, by shape.
        quality: by which they are judged.
        confidence: with which the search went; None if it had none.
    """
    stages = list(dict.fromkeys(
        (_limit(each), each.before, each.after)
        for each in told if isinstance(each, events.StageFinished)
    ))  # fmt: skip
    judged = {each.trained: each.doubt for each in told if isinstance(each, events.Judged)}
    doubts = [{"trained": trained, "doubt": 100 * doubt} for trained, doubt in sorted(judged.items())]
    wanted = None if confidence is None or not doubts else 100 * (1 - confidence)
    steps = list(_steps(told, trainings, quality))
    end = _why_not(told) or _without_answer(told, trainings) or _end(told, [each["doubt"] for each in doubts], wanted)
    return Story(stages, steps, doubts, wanted, end)


def _limit(stage: events.StageFinished) -> str:
    bound = grouped(stage.limit).replace("<=", "at most").replace(">=", "at least")
    return f"{stage.metric} {bound} {stage.unit}".rstrip()


def _steps(told: Sequence[Event], trainings: Mapping[Shape, Training], quality: Quality) -> Iterator[Step]:
    """Yield each choice once, with the doubt that was stated next: that of the last of those chosen together."""
    waiting: Step | None = None
    seen = set()
    for event in told:
        if isinstance(event, events.Chosen) and (event.shape, event.reason) not in seen:
            seen.add((event.shape, event.reason))
            if waiting is not None:
                yield waiting
            waiting = _step(event, trainings.get(event.shape), quality)
        elif isinstance(event, events.Judged) and waiting is not None:
            yield replace(waiting, doubt=_percent(100 * event.doubt))
            waiting = None
    if waiting is not None:
        yield waiting


def _step(chosen: events.Chosen, training: Training | None, quality: Quality) -> Step:
    why = REASONS[chosen.reason]
    if chosen.better is None and chosen.reason is Reason.IMPROVES:
        why = "was most likely to be the best that complies, for what its training costs; none was known that does"
    if chosen.better is not None and chosen.reason is Reason.IMPROVES:
        why += f" (it beats that with probability {_percent(100 * chosen.better)})"
    elif chosen.better is not None and chosen.reason is Reason.BEYOND:
        why += f" (with probability {_percent(100 * chosen.better)})"
    elif chosen.complies is not None and chosen.reason is not Reason.SAMPLE:
        why += f" (it meets the limits with probability {_percent(100 * chosen.complies)})"
    expected = ""
    if chosen.expected is not None:
        spread = "" if not chosen.std else f" ± {quality.spread(1.96 * chosen.std)}"
        expected = f"{quality.number(chosen.expected)}{spread}"
    outcome = ""
    if training is not None:
        outcome = quality.number(training.quality) if training.quality is not None else training.reason or "failed"
    return Step(str(chosen.shape), why, expected, outcome)


def _percent(value: float) -> str:
    return f"{value:.2g} %" if value < 99 else f"{value:.3g} %"


def _why_not(told: Sequence[Event]) -> str:
    """Say of a search that it has not come to its end; empty if it has."""
    last: Any = next(
        (e for e in reversed(told) if isinstance(e, events.SearchFinished | events.SearchInterrupted)), None
    )
    if isinstance(last, events.SearchInterrupted):
        return "The search was stopped before its end" + (f": {last.reason}." if last.reason else ".")
    if last is None:
        return "The search has not come to its end yet."
    return ""


def _without_answer(told: Sequence[Event], trainings: Mapping[Shape, Training]) -> str:
    """Say why a search ended without an answer; empty if it may have one."""
    stages = [event for event in told if isinstance(event, events.StageFinished)]
    if stages and not stages[-1].after:
        return "The search ended: no network keeps to the limits."
    if trainings and all(training.quality is None for training in trainings.values()):
        return "The search ended without an answer: no training came to a result."
    return ""


def _end(told: Sequence[Event], doubts: Sequence[float], wanted: float | None) -> str:
    """Say why a search ended that may have an answer."""
    if not doubts:
        verified = any(isinstance(e, events.Chosen) and e.reason in (Reason.VERIFY, Reason.FRONT) for e in told)
        last = ", and what it predicted to be the answer" if verified else ""
        return f"The search ended when it had trained what its strategy allows{last}."
    if wanted is None:
        return f"The search ended with a doubt of {_percent(doubts[-1])}."
    if doubts[-1] <= wanted:
        return (
            f"The search ended when the probability that more training would change the answer was "
            f"{_percent(doubts[-1])}. At most {_percent(wanted)} was asked for."
        )
    return f"The search ended with a doubt of {_percent(doubts[-1])}: nothing was left to train that could lower it."
