"""One attempt at a training: what a trainer is given, and what is made of what it returns."""

from __future__ import annotations

import math
import numbers
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shape_dnn.errors import TrainingError
from shape_dnn.kinds import Run, Saved
from shape_dnn.quality import Quality
from shape_dnn.records import Epoch
from shape_dnn.system.text import one_line
from shape_dnn.training.checkpoints import FILES, WEIGHTS, Checkpoint, latest
from shape_dnn.work import Pulse

if TYPE_CHECKING:
    import torch

Report = Callable[[object], bool]


class Attempt(Run):
    """A training that reports to whoever waits for its task, and is saved in a directory.

    Args:
        who: whose function is called, for messages.
        seed: of everything random.
        device: where the network is to be.
        home: directory of the attempt, which may be that of an earlier one.
        quality: what it is judged by.
        steps: of a whole training, if that is known.
        report: of the task.
        save_seconds: least time between two saves that are worth it.
        deaths: of attempts at the same.

    Attributes:
        curve: what was reported so far.
        weights: file with the weights that were saved last; None if none were.
        broken: what ``report`` has raised, which is no fault of the trainer.
        was_asked: whether it was asked to stop, however that was told.
    """

    def __init__(
        self,
        who: str,
        seed: int,
        device: str,
        home: Path,
        quality: Quality,
        steps: int | None,
        report: Report,
        save_seconds: float = 0.0,
        deaths: int = 0,
    ) -> None:
        home = home.absolute()  # the trainer may change the working directory
        self.seed, self.device, self.directory, self.deaths = seed, device, home / FILES, deaths
        self.curve: list[Epoch] = []
        self.weights: Path | None = None
        self._is_first_save = True
        self.broken: Exception | None = None
        self.was_asked = False
        self._who, self._process = who, os.getpid()
        self._home, self._quality, self._steps, self._report = home, quality, steps, report
        self._pulse = Pulse(self._tell)
        self._saves = latest(home)
        self._began = self._last_save = time.perf_counter()
        self._save_seconds = save_seconds

    @property
    def seconds(self) -> float:
        """Duration of the training, without interruptions."""
        return time.perf_counter() - self._began

    def report(self, step: int, quality: float, **more: float) -> bool:
        """Check a point of the learning curve, and hand it over."""
        last = self.curve[-1].number if self.curve else 0
        if not _is_whole(step) or step <= last:
            after = f"after {last}" if last else "at first"
            raise self._refusal(f"run.report() was given step {step!r} {after}; accepted are whole numbers that rise")
        where = f": run.report() at step {step}"
        value = self.checked(quality, where)
        numbers_told = {name: self._number(told, f"{where}, {name},") for name, told in more.items()}
        loss = numbers_told.pop("loss", None)
        self.curve.append(Epoch(int(step), loss, value, numbers_told))
        self._hand_over(self.curve[-1])
        return not self.stopped

    def _hand_over(self, epoch: Epoch) -> None:
        if not self._tell(epoch) and not (self._steps is not None and epoch.number >= self._steps):
            self.stopped = True

    def _tell(self, what: object) -> bool:
        if self.is_copy:
            raise self._refusal("run was used in a process that this one had started; report from the first one alone")
        try:
            goes_on = self._report(what)
        except Exception as error:
            self.broken = error
            raise
        self.was_asked |= not goes_on
        return goes_on

    def checked(self, value: object, where: str = "") -> float:
        """Return a quality as a plain number.

        Args:
            value: what was given.
            where: it was given, unless it was returned.

        Raises:
            TrainingError: it is none, or not a possible one.
        """
        number = self._number(value, where)
        if not self._quality.allows(number):
            low, high = self._quality.minimum, self._quality.maximum
            bounds = [f"{word} {bound:g}" for word, bound in (("from", low), ("to", high)) if math.isfinite(bound)]
            raise TrainingError(
                f"{self._who}{where} gave {number:g} as {self._quality.name}; accepted are numbers {' '.join(bounds)}"
            )
        return number

    def _number(self, value: object, where: str) -> float:
        """Return what stands for a number, such as one of numpy's or a tensor of one element, as a finite one."""
        try:
            number = float(value)  # type: ignore[arg-type]
            is_number = not isinstance(value, bool | str | bytes)
        except Exception:  # noqa: BLE001 - objects of strangers can fail in any way
            is_number = False
        if not is_number:
            raise TrainingError(f"{self._who}{where} gave {one_line(repr(value)):.60}, which is no number")
        if not math.isfinite(number):
            raise TrainingError(f"{self._who}{where} gave {number}, which is no finite number")
        return number

    @property
    def is_copy(self) -> bool:
        """Whether this is no longer the process that began, but one that it has forked."""
        return os.getpid() != self._process

    def _refusal(self, problem: str) -> TrainingError:
        return TrainingError(f"{self._who}: {problem}")

    def alive(self) -> None:
        """Show life if it is time to, and hear whether to go on."""
        if not self.is_copy and not self._pulse():
            self.interrupted = True

    @property
    def is_due(self) -> bool:
        """Whether an interruption now would cost more than it may."""
        return time.perf_counter() - self._last_save >= self._save_seconds

    def save(self, module: torch.nn.Module | Mapping[str, torch.Tensor], **more: Any) -> None:
        """Write a checkpoint."""
        self._saves += 1
        checkpoint = Checkpoint(self._saves, tuple(self.curve), self.seconds, self._weights(module), more)
        try:
            self.weights = checkpoint.save(self._home, is_first=self._is_first_save)
        except ValueError as error:
            raise self._refusal(f"run.save() {error}") from error
        self._is_first_save = False
        self._last_save = time.perf_counter()

    def _weights(self, module: object) -> dict[str, torch.Tensor]:
        """Return a copy of the state of a module on the processor."""
        state = module if isinstance(module, Mapping) else getattr(module, "state_dict", lambda: None)()
        if not isinstance(state, Mapping):
            given = f"{one_line(repr(module)):.60}"
            raise self._refusal(f"run.save() was given {given}, which is no module and no state of one")
        for name, value in state.items():
            if not (isinstance(name, str) and hasattr(value, "untyped_storage")):
                also = "give what else there is as run.save(module, name=value)"
                raise self._refusal(f"run.save() was given {name!r}, which is no tensor with a name; {also}")
        return {name: value.detach().cpu().clone() for name, value in state.items()}

    def load(self) -> Saved | None:
        """Read the last checkpoint, and report again what had been reported by then."""
        if self.curve:
            raise self._refusal("run.load() was called after run.report(), or twice; begin with it")
        found = Checkpoint.load(self._home)
        if found is None:
            return None
        self.weights = found.place(self._home) / WEIGHTS
        self._began = time.perf_counter() - found.seconds
        self.curve = list(found.curve)
        for epoch in self.curve:
            self._hand_over(epoch)
        return Saved(found.weights, found.more)

    def outcome(self, returned: object) -> float | None:
        """Return the quality that a training has come to: what it returned, or else reported last; None if it stopped.

        Raises:
            TrainingError: it did neither, the quality is impossible, or it stopped without having been asked to.
        """
        if self.stopped:
            if not self.was_asked:
                problem = "set run.stopped, but was not asked to stop; set it only if run.interrupted is true"
                raise TrainingError(f"{self._who} {problem}")
            return None
        if returned is not None:
            return self.checked(returned)
        if not self.curve:
            name = self._quality.name
            raise TrainingError(f"{self._who} returned nothing and reported nothing; return the {name} or report it")
        return self.curve[-1].quality


def _is_whole(step: object) -> bool:
    return isinstance(step, numbers.Integral) and not isinstance(step, bool)
