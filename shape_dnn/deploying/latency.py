"""Latencies of artifacts on their target: by the same rounds as those of networks, beside an anchor that ships, too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from shape_dnn.deploying import artifacts
from shape_dnn.deploying.acquaintance import session
from shape_dnn.deploying.artifacts import Artifact
from shape_dnn.deploying.loaded import Model
from shape_dnn.deploying.session import Session
from shape_dnn.kinds import Shipping, Workload
from shape_dnn.measuring import anchor
from shape_dnn.measuring.building import Builder
from shape_dnn.measuring.forward_pass import Numerics
from shape_dnn.measuring.groups import Groups
from shape_dnn.measuring.rounds import Visit
from shape_dnn.records import Measurement
from shape_dnn.shape import Shape


def measure(workload: Workload, shapes: Sequence[Shape], seconds: float) -> Iterator[tuple[Shape, Measurement]]:
    """Measure groups of artifacts with random weights, put together at random.

    One that does not fit into memory, or that the runtime cannot run, has no value.

    Args:
        workload: what is measured; it ships.
        shapes: of which networks.
        seconds: most time spent on a shape after warm-up.

    Raises:
        TargetError: the target cannot be used, or not any more; whatever was known by then has been handed over.
    """
    shipping = workload.shipping
    assert shipping is not None  # noqa: S101 - it ships
    if not shapes:
        return
    with session(shipping) as there:
        beside = there.load(anchor_of(shipping))
        beside.warm_up()
        yield from Groups(
            Builder(workload, Numerics()),
            prepare=lambda shape: TimedModel(there.load(artifacts.untrained(workload, shape))),
            anchor=lambda: beside.time,
            state=lambda: _state(there),
            seconds=seconds,
        ).measure(shapes)


def anchor_of(shipping: Shipping) -> Artifact:
    """Return the artifact of a small network that is always the same; made once and kept beside the others."""
    directory = shipping.artifacts / "anchor"
    if directory.is_dir():
        return Artifact(directory)
    network, example = anchor.network()
    return artifacts.make(shipping.deployment, network, example, [example] * shipping.deployment.calibration, directory)


def _state(there: Session) -> dict[str, object]:
    """Return what may explain a time: the machine as it is now, and what runs artifacts there."""
    told = {name: there.fingerprint[name] for name in ("governor", "versions")}
    return {**there.condition, **told, "threads": there.threads, "target": there.target.name}


class TimedModel:
    """An artifact that is loaded on its target.

    Args:
        model: what the runner has loaded.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._warm_up_ms: list[float] = []

    @property
    def details(self) -> Mapping[str, object]:
        """The blocks of the warm-up, and the condition of the target at each visit."""
        return {"warm_up_ms": self._warm_up_ms, "conditions": self._model.conditions}

    def warm_up(self) -> None:
        """Have the runner run blocks until two in a row take nearly the same time."""
        self._warm_up_ms = [round(seconds * 1e3, 6) for seconds in self._model.warm_up()]

    def visit(self) -> Visit:
        """Have the runner time blocks of calls."""
        return self._model.visit()

    def close(self) -> None:
        """Have the runner forget it."""
        self._model.unload()
