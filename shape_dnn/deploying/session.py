"""A runner on a target: what is asked of it, whatever happens to the connection meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from shape_dnn.deploying.artifacts import Artifact
from shape_dnn.kinds import Deployment, Target
from shape_dnn.measuring.rounds import Visit

if TYPE_CHECKING:
    import numpy as np


class Session:
    """A runner that has a target for itself, with the runtime of a deployment.

    A connection that breaks is taken up again, and what was loaded is loaded again, so that whoever asks notices
    nothing but the time it takes. Used as a context manager.

    Args:
        deployment: names the runtime, and what it is loaded with.
        target: where.
        waiting: seconds to wait for another study that has the target.

    Raises:
        TargetError: on entry, if the target cannot be reached or used; the message says the remedy.
    """

    def __init__(self, deployment: Deployment, target: Target, waiting: float = 0.0) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        """Connect."""
        raise NotImplementedError

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the runner, and let others have the target."""
        raise NotImplementedError

    @property
    def fingerprint(self) -> Mapping[str, object]:
        """What determines measurements there: machine, processor, cores, system, runtime versions, as JSON values."""
        raise NotImplementedError

    @property
    def condition(self) -> Mapping[str, object]:
        """Governor, clocks, temperature and whatever else may change at any time, as JSON values."""
        raise NotImplementedError

    def load(self, artifact: Artifact) -> Model:
        """Have the runner load an artifact; its files are sent unless the target has them.

        Raises:
            DeploymentError: the runtime cannot load it; says why.
            TargetError: a full disk, a runner that dies again and again, or no connection any more.
        """
        raise NotImplementedError

    def memory(self, artifact: Artifact) -> int:
        """Return the peak of resident bytes beyond the loaded runtime while an artifact is loaded and run."""
        raise NotImplementedError


class Model:
    """An artifact that a runner has loaded."""

    def warm_up(self) -> list[float]:
        """Run blocks until two in a row take nearly the same time; return the seconds of a call in each."""
        raise NotImplementedError

    def visit(self) -> Visit:
        """Time a few blocks of calls (:class:`shape_dnn.measuring.rounds.Subject`)."""
        raise NotImplementedError

    def time(self) -> float:
        """Return the median of a few calls in seconds, after one to fill the caches: for an anchor."""
        raise NotImplementedError

    def run(self, arrays: Sequence[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
        """Run the artifact on inputs like its example; return its outputs."""
        raise NotImplementedError

    def unload(self) -> None:
        """Let the runner forget it."""
        raise NotImplementedError
