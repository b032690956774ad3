"""Declares the deployment ``openvino`` to shape_dnn."""

from __future__ import annotations

from collections.abc import Iterable

from shape_dnn import Option, Plugin, hookimpl


@hookimpl
def shape_dnn_deployments() -> Iterable[Plugin]:
    """Declare the deployment; its code, which needs OpenVINO, is imported when it is selected."""
    yield Plugin(
        "openvino",
        "networks as OpenVINO runs them",
        "shape_dnn_openvino.deployment:OpenVino",
        {
            "precision": Option(
                help="numeric format of weights, with int8 of activations too; float16 is computed in float32 by "
                "processors that have no half precision",
                choices=("float32", "float16", "int8"),
            ),
            "threads": Option(help="threads of an operator on a processor", minimum=1),
            "device": Option(help="what runs the operators", choices=("CPU", "GPU", "NPU")),
            "calibration": Option(help="training examples by which int8 finds the ranges of activations", minimum=1),
            "max_drop": Option(
                help="most that the quality may lose by the conversion before that is said", minimum=0.0
            ),
        },
    )
