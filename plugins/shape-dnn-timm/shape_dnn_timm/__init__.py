"""Declares the architectures ``resnet`` and ``convnext`` to shape_dnn."""

from __future__ import annotations

from collections.abc import Iterable

from shape_dnn import Option, Plugin, hookimpl

_WEIGHTS = Option(
    help="what trainings start from: none, pretrained (published by timm), a safetensors file, or a folder of them",
    is_path=True,
)


@hookimpl
def shape_dnn_architectures() -> Iterable[Plugin]:
    """Declare the architectures."""
    yield Plugin(
        "resnet",
        "ResNet for full-size images; depth is layers, width a factor on the 3x3 convolutions",
        "shape_dnn_timm.resnet:ResNet",
        {
            "block": Option(
                help="bottleneck (ResNet-50 and deeper), or basic (ResNet-18, 34), where the width scales all channels",
                choices=("bottleneck", "basic"),
            ),
            "weights": _WEIGHTS,
        },
    )
    yield Plugin(
        "convnext",
        "ConvNeXt for full-size images; depth is blocks, width a factor on 96, 192, 384 and 768 channels",
        "shape_dnn_timm.convnext:ConvNeXt",
        {"weights": _WEIGHTS},
    )
