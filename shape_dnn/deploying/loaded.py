"""An artifact that a runner has loaded."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shape_dnn.deploying.artifacts import Artifact
from shape_dnn.deploying.runner import models
from shape_dnn.measuring import disturbance
from shape_dnn.measuring.rounds import Visit

if TYPE_CHECKING:
    import numpy as np

    from shape_dnn.deploying.session import Session


class Model:
    """An artifact that a runner has loaded.

    Args:
        session: with the runner.
        artifact: what is loaded.
        name: by which the runner knows it.

    Attributes:
        is_warm: whether it was warmed up.
        conditions: clock and temperature at the end of each visit, and the seconds of cooling down before it, as JSON.
    """

    def __init__(self, session: Session, artifact: Artifact, name: str) -> None:
        self.artifact, self.name = artifact, name
        self.is_warm = False
        self.conditions: list[Mapping[str, object]] = []
        self._session = session

    def load(self) -> None:
        """Have it loaded."""
        self._session.ask(self, "ping")

    def warm_up(self) -> list[float]:
        """Run blocks until two in a row take nearly the same time; return the seconds of a call in each."""
        self._session.cool_down()
        blocks = self._session.ask(self, "warm_up", **warm_up_limits()).answer
        self.is_warm = True
        return [float(block) for block in blocks]

    def visit(self) -> Visit:
        """Time a few blocks of calls (:class:`shape_dnn.measuring.rounds.Subject`)."""
        from shape_dnn.measuring.latency import VISIT_SECONDS

        cooled = self._session.cool_down()
        found = self._session.ask(self, "visit", seconds=VISIT_SECONDS).answer
        before, after = (disturbance.ProcessorState(**found[name]) for name in ("before", "after"))
        evidence = disturbance.signs(before, after, self._session.threads, found["cpus"])
        condition = {name: found["condition"][name] for name in ("clock_mhz", "temperature_c")}
        self.conditions.append(condition if cooled is None else {**condition, "cooled_s": cooled})
        self._session.note(condition["temperature_c"], throttled="throttled" in evidence)
        return Visit(tuple(found["blocks"]), found["seconds"], evidence)

    def time(self) -> float:
        """Return the median of a few calls in seconds, after one to fill the caches: for an anchor."""
        from shape_dnn.measuring.anchor import CALLS

        return float(self._session.ask(self, "time", calls=CALLS).answer)

    def run(self, arrays: Sequence[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
        """Run the artifact on inputs like its example; return its outputs."""
        reply = self._session.ask(self, "run", [models.written_arrays(arrays)])
        return models.read_arrays(io.BytesIO(reply.payload))

    def unload(self) -> None:
        """Let the runner forget it."""
        self._session.forget(self)


def warm_up_limits() -> dict[str, Any]:
    """Return when an artifact is warm."""
    from shape_dnn.measuring import latency

    return {"block": latency.BLOCK_SECONDS, "warm": latency.WARM, "most": latency.WARM_UP_MOST}
