"""Strided pointwise convolutions of few channels, which oneDNN computes wrongly."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

BLOCK = 16
"""Channels that oneDNN takes together: 8 with AVX2, 16 with AVX-512."""


def subsample_first(network: nn.Module) -> None:
    """Have a network leave out pixels before its strided 1x1 convolutions instead of within them: the same function.

    oneDNN's gradient of the weights of such a convolution writes past its memory if the layout is channels-last and
    there are fewer channels than a block (uxlfoundation/oneDNN issue 6035): processes die, or learn from wrong
    gradients.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.in_channels // module.groups < BLOCK and _is_strided_point(module):
            module.register_forward_pre_hook(_Subsample(*map(int, module.stride)))
            module.stride = (1, 1)


def _is_strided_point(convolution: nn.Conv2d) -> bool:
    padded = convolution.padding not in ("same", "valid", (0, 0))
    return convolution.kernel_size == (1, 1) and convolution.stride != (1, 1) and not padded


class _Subsample:
    def __init__(self, rows: int, columns: int) -> None:
        self._rows, self._columns = rows, columns

    def __call__(self, _module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Tensor]:
        (images,) = inputs
        return (images[:, :, :: self._rows, :: self._columns],)
