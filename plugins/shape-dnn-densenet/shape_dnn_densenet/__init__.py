"""Declares the architecture ``densenet`` to shape_dnn."""

from __future__ import annotations

from collections.abc import Iterable

from shape_dnn import Plugin, hookimpl


@hookimpl
def shape_dnn_architectures() -> Iterable[Plugin]:
    """Declare the architecture."""
    yield Plugin(
        "densenet",
        "DenseNet-BC for small images; depth 6N+4, width a factor on the growth rate of 12",
        "shape_dnn_densenet.architecture:DenseNetBC",
    )
