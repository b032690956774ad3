"""Units of work that an executor runs in another process. Standard library only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Task(ABC):
    """Something to run elsewhere. Must be picklable and name the plugins it needs rather than hold them."""

    attempt: str = ""
    """Tells this task from every other one, an earlier try at the same work included."""
    patience: float | None = None
    """Seconds without a report after which the task hangs, and its executor ends it; None for no limit."""

    @abstractmethod
    def run(self, report: Callable[[object], bool]) -> object:
        """Do the work and return a picklable result.

        Args:
            report: hands over something picklable while the work goes on, or None as a sign of life; False asks the
                task to stop early.
        """


@dataclass(frozen=True)
class Outcome:
    """How a task ended: ``result`` is what it returned unless ``error`` says why it did not return.

    ``error`` is what the task raised, or a ProcessDiedError that describes the death of its process.
    """

    task: Task
    result: object = None
    error: Exception | None = None
