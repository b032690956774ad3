"""Declares the sampler ``sobol`` to shape_dnn."""

from __future__ import annotations

from collections.abc import Iterable

from shape_dnn import Option, Plugin, hookimpl


@hookimpl
def shape_dnn_samplers() -> Iterable[Plugin]:
    """Declare the sampler; its code, which needs scipy, is imported when it is selected."""
    yield Plugin(
        "sobol",
        "next to the points of a Sobol sequence",
        "shape_dnn_sobol.sampler:Sobol",
        {
            "scramble": Option(help="randomise the sequence by the seed"),
            "seed": Option(help="which randomisation"),
        },
    )
