"""Declares the deployment ``litert`` to shape_dnn."""

from __future__ import annotations

from collections.abc import Iterable

from shape_dnn import Option, Plugin, hookimpl


@hookimpl
def shape_dnn_deployments() -> Iterable[Plugin]:
    """Declare the deployment; the converter, which takes long to import, is imported when it converts."""
    yield Plugin(
        "litert",
        "networks as LiteRT, once TensorFlow Lite, runs them on processors",
        "shape_dnn_litert.deployment:LiteRT",
        {
            "precision": Option(
                help="numeric format of weights, with int8 of activations too; float16 is computed in float32",
                choices=("float32", "float16", "int8"),
            ),
            "threads": Option(help="threads of an operator", minimum=1),
            "calibration": Option(help="training examples by which int8 finds the ranges of activations", minimum=1),
            "max_drop": Option(
                help="most that the quality may lose by the conversion before that is said", minimum=0.0
            ),
        },
    )
