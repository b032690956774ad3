"""Size of the files that ship."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from shape_dnn.builtin.deployments.torch import Torch
from shape_dnn.deploying import artifacts
from shape_dnn.kinds import Instrument, Shipping, Target, Workload
from shape_dnn.measuring.building import Builder
from shape_dnn.measuring.forward_pass import Numerics
from shape_dnn.records import Measurement
from shape_dnn.shape import Shape


class FileSize(Instrument):
    """Bytes of what ships, in MB of a million bytes: of networks in torch, of the program that torch writes of them."""

    metric = "file-size"
    unit = "MB"
    cost = 0.2
    measures_artifacts: ClassVar[bool] = True
    depends_on_device: ClassVar[bool] = False

    def identity(self, workload: Workload) -> Mapping[str, object]:
        """Name what writes a program of torch; of any other deployment that is known."""
        if workload.ships:
            return {}
        program = _program(workload)
        formats = {"precision": program.precision, "channels_last": program.numerics.channels_last}
        return {"program": {**formats, **program.identity()}}

    def measure(self, workload: Workload, shapes: Sequence[Shape]) -> Iterator[tuple[Shape, Measurement]]:
        """Make one artifact after the other; one that cannot be made has no value."""
        with tempfile.TemporaryDirectory() as scratch:
            if not workload.ships:
                workload = replace(workload, shipping=Shipping(_program(workload), Target(), Path(scratch)))
            builder = Builder(workload, Numerics())
            for shape in sorted(shapes):
                artifact = builder.attempt(shape, partial(artifacts.untrained, workload, shape))
                if artifact is None:
                    yield shape, builder.refusal(shape)
                    continue
                megabytes = artifact.size / 1e6
                files = {path.name: path.stat().st_size for path in artifact.files}
                yield shape, Measurement(megabytes, megabytes, megabytes, details={"bytes": files})


def _program(workload: Workload) -> Torch:
    """Return what writes the networks that torch runs in this process, however it launches their kernels."""
    deployment = None if workload.shipping is None else workload.shipping.deployment
    if not isinstance(deployment, Torch):
        return Torch()
    return Torch(deployment.precision, deployment.numerics.channels_last)
