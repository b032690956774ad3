"""What artifacts need of the memory of their target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shape_dnn.deploying import artifacts
from shape_dnn.deploying.acquaintance import session
from shape_dnn.kinds import Workload
from shape_dnn.measuring.building import Builder
from shape_dnn.measuring.forward_pass import Numerics
from shape_dnn.records import Measurement
from shape_dnn.shape import Shape


def measure(workload: Workload, shapes: Sequence[Shape]) -> Iterator[tuple[Shape, Measurement]]:
    """Measure the peak of resident MB beyond the loaded runtime, of one artifact after the other.

    One that does not fit, or that the runtime cannot run, has no value.

    Raises:
        TargetError: the target cannot be used, or not any more.
    """
    shipping = workload.shipping
    assert shipping is not None  # noqa: S101 - it ships
    if not shapes:
        return
    builder = Builder(workload, Numerics())
    with session(shipping) as there:
        for shape in sorted(shapes):
            peak = builder.attempt(shape, lambda: there.memory(artifacts.untrained(workload, shape)))  # noqa: B023
            if peak is None:
                yield shape, builder.refusal(shape)
                continue
            megabytes = peak / 1e6
            details = {"method": "resident", "target": shipping.target.name}
            yield shape, Measurement(megabytes, megabytes, megabytes, details=details)
