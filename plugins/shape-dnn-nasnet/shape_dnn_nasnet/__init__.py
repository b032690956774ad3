"""Declares the architecture ``nasnet`` to shape_dnn."""

from __future__ import annotations

from collections.abc import Iterable

from shape_dnn import Plugin, hookimpl


@hookimpl
def shape_dnn_architectures() -> Iterable[Plugin]:
    """Declare the architecture."""
    yield Plugin(
        "nasnet",
        "NASNet-A for small images; depth is cells per stage, width a factor on 768 filters",
        "shape_dnn_nasnet.architecture:NASNetA",
    )
