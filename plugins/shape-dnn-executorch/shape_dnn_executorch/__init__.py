"""Declares the deployment ``executorch`` to shape_dnn."""

from __future__ import annotations

from collections.abc import Iterable

from shape_dnn import Option, Plugin, hookimpl


@hookimpl
def shape_dnn_deployments() -> Iterable[Plugin]:
    """Declare the deployment; the converter, which takes long to import, is imported when it converts."""
    yield Plugin(
        "executorch",
        "networks as ExecuTorch runs them on processors, with XNNPACK",
        "shape_dnn_executorch.deployment:ExecuTorch",
        {
            "precision": Option(help="numeric format of weights and activations", choices=("float32", "int8")),
            "threads": Option(help="threads of an operator", minimum=1),
            "calibration": Option(help="training examples by which int8 finds the ranges of activations", minimum=1),
            "max_drop": Option(
                help="most that the quality may lose by the conversion before that is said", minimum=0.0
            ),
        },
    )
