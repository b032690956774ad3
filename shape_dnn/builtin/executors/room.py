"""What tasks have of this machine while they run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shape_dnn import devices
from shape_dnn.errors import UnavailableError
from shape_dnn.work import Needs


@dataclass(frozen=True)
class Place:
    """What one task has.

    Attributes:
        needs: what it takes.
        gpus: those that it has for itself, by their numbers.
    """

    needs: Needs
    gpus: tuple[int, ...] = ()

    @property
    def devices(self) -> set[str]:
        """What it has, all of it or a part."""
        return {f"cuda:{gpu}" for gpu in self.gpus} or {self.needs.device}

    def excludes(self, other: Place) -> bool:
        """Tell whether one of two tasks needs a device for itself that the other one has, too."""
        return (self.needs.exclusive or other.needs.exclusive) and not self.devices.isdisjoint(other.devices)


@dataclass(frozen=True)
class Room:
    """What there is for all tasks.

    Attributes:
        cores: of the processor.
        threads: of each task, at least.
    """

    cores: int
    threads: int = 1

    def place(self, needs: Needs, taken: Sequence[Place]) -> Place | None:
        """Find a place for a task beside those that run; None if it has to wait. What runs alone is not refused.

        Raises:
            UnavailableError: it would wait endlessly for GPUs that there are not.
        """
        gpus = _find_gpus(needs, taken)
        if gpus is None or (taken and self._takes_too_much(needs, taken)):
            return None
        place = Place(needs, gpus)
        return None if any(place.excludes(each) for each in taken) else place

    def _takes_too_much(self, needs: Needs, taken: Sequence[Place]) -> bool:
        everyone = [needs, *(place.needs for place in taken)]
        cores = sum(max(self.threads, each.cores) + each.loaders for each in everyone)
        shared = [each.share for each in everyone if each.device == needs.device and not each.whole_gpus]
        return cores > self.cores or (not needs.whole_gpus and sum(shared) > 1)


def _find_gpus(needs: Needs, taken: Sequence[Place]) -> tuple[int, ...] | None:
    """Return the GPUs that a task is to have for itself; None if it has to wait for one, be it to share it."""
    if not needs.whole_gpus:
        return None if any(needs.device == f"cuda:{gpu}" for place in taken for gpu in place.gpus) else ()
    there = devices.gpus()
    if needs.whole_gpus > there:
        has = {0: "no GPU", 1: "one GPU"}.get(there, f"{there} GPUs")
        wants = "a whole GPU" if needs.whole_gpus == 1 else f"{needs.whole_gpus} GPUs"
        raise UnavailableError(
            f"a training takes {wants}, and this machine has {has}; have its trainer declare fewer, or train elsewhere"
        )
    if needs.device != "cuda:0":
        raise UnavailableError(
            f"a training takes whole GPUs, and --device {needs.device} names a single one; give --device cuda, and in "
            "CUDA_VISIBLE_DEVICES those that may be used"
        )
    free = [gpu for gpu in range(there) if not any(f"cuda:{gpu}" in place.devices for place in taken)]
    return tuple(free[: needs.whole_gpus]) if len(free) >= needs.whole_gpus else None
