"""Batch norm of few channels on a processor, which torch computes one value at a time in channels-last format."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

CHANNELS = 16
"""From so many channels on, torch fills the registers of a processor with those of a pixel."""


def widen_norms(network: nn.Module) -> None:
    """Have the batch norms of few channels of a network compute whole images at once: the same up to rounding."""
    for module in network.modules():
        if type(module) is nn.BatchNorm2d and module.num_features < CHANNELS and _is_usual(module):
            module.__class__ = ThinBatchNorm2d


def _is_usual(norm: nn.BatchNorm2d) -> bool:
    return norm.affine and norm.track_running_stats and norm.momentum is not None


class ThinBatchNorm2d(nn.BatchNorm2d):
    """A batch norm that takes all values of an image for channels, and then puts together what belongs together."""

    def forward(self, images: Tensor) -> Tensor:
        """Normalise images of shape (number, channels, height, width)."""
        usable = (
            _is_usual(self)
            and images.dtype == torch.float32
            and images.is_contiguous(memory_format=torch.channels_last)
        )
        if not usable or images.numel() <= self.num_features or (torch.is_grad_enabled() and not self.training):
            return super().forward(images)
        mean, variance = cast("Tensor", self.running_mean), cast("Tensor", self.running_var)
        if self.training:
            output, batch_mean, batch_variance = _Normalise.apply(images, self.weight, self.bias, self.eps)
            self._remember(batch_mean, batch_variance, images.numel() // self.num_features)
            return cast("Tensor", output)
        return _scaled(images, mean, self.weight * torch.rsqrt(variance + self.eps), self.bias)

    def _remember(self, mean: Tensor, variance: Tensor, number: int) -> None:
        """Move the running statistics towards those of a batch, of so many values per channel."""
        assert self.running_mean is not None and self.running_var is not None  # noqa: S101, PT018 - see _is_usual
        assert self.num_batches_tracked is not None and self.momentum is not None  # noqa: S101, PT018
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (number / (number - 1)), self.momentum)


class _Normalise(torch.autograd.Function):
    """Batch norm, of images, scales, shifts, and what is added to variances; gives mean and variance of channels."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        mean, variance = _statistics(images)
        ctx.save_for_backward(images, weight, mean, variance)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        return _scaled(images, mean, weight * torch.rsqrt(variance + eps), bias), mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        images, weight, mean, variance = ctx.saved_tensors
        values, changes = _rows(images), _rows(gradient.contiguous(memory_format=torch.channels_last))
        pixels, number = images.shape[2] * images.shape[3], images.numel() // images.shape[1]
        means, variances = _row(mean, pixels), _row(variance, pixels)
        _, scales, shifts = torch.ops.aten.native_batch_norm_backward(
            changes, values, None, means, variances, None, None, False, ctx.eps, [False, True, True]
        )
        for_weight, for_bias = scales.view(pixels, -1).sum(0), shifts.view(pixels, -1).sum(0)
        deviation = torch.rsqrt(variance + ctx.eps)
        scale = weight * deviation
        slope = -scale * deviation * for_weight / number
        level = -scale * for_bias / number - slope * mean
        found = torch.empty_like(images, memory_format=torch.channels_last)
        torch.addcmul(_row(level, pixels), values, _row(slope, pixels), out=_rows(found))
        _rows(found).addcmul_(changes, _row(scale, pixels))
        return found, for_weight, for_bias, None


def _statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of each channel."""
    means, variances = torch.batch_norm_update_stats(_rows(images), None, None, 0.0)
    means, variances = means.view(-1, images.shape[1]), variances.view(-1, images.shape[1])
    mean = means.mean(0)
    return mean, variances.mean(0) + (means - mean).square_().mean(0)


def _scaled(images: Tensor, mean: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Take the mean of each channel off, scale, and add a bias, in one pass."""
    pixels = images.shape[2] * images.shape[3]
    level = torch.addcmul(bias, mean, scale, value=-1)
    # No view of something else, which operators in place may not change.
    output = torch.empty_like(images, memory_format=torch.channels_last)
    torch.addcmul(_row(level, pixels), _rows(images), _row(scale, pixels), out=_rows(output))
    return output


def _rows(images: Tensor) -> Tensor:
    """See images in channels-last format as a matrix, of which each is a row."""
    return images.permute(0, 2, 3, 1).view(len(images), -1)


def _row(values: Tensor, pixels: int) -> Tensor:
    """Repeat the values of channels for each pixel, in half of the time of ``Tensor.repeat``.

    They are in memory of their own, even of one channel, since kernels of batch norms do not look for strides.
    """
    return values.expand(pixels, -1).contiguous().view(-1)
