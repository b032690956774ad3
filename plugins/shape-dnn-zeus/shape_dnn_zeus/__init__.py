"""Declares the meter ``zeus`` to shape_dnn."""

from __future__ import annotations

from collections.abc import Iterable

from shape_dnn import Option, Plugin, hookimpl
from shape_dnn.measuring.forward_pass import Numerics


@hookimpl
def shape_dnn_meters() -> Iterable[Plugin]:
    """Declare the meter; its code is imported when it is selected."""
    yield Plugin(
        "zeus",
        "energy of one forward pass of a batch in J, by zeus: processors (RAPL), AMD, Apple silicon, Jetson",
        "shape_dnn_zeus.meter:Zeus",
        {
            "sensor": Option(help="which sensor", choices=("auto", "cpu", "gpu", "soc")),
            "seconds": Option(help="longest window of each shape, after the power has settled", minimum=3),
            "interval": Option(help="seconds between two readings of the sensor", minimum=0.01, maximum=0.1),
            **Numerics.OPTIONS,
        },
    )
