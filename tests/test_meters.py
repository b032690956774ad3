from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import nn

from shape_dnn import Shape, Workload
from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.builtin.meters.memory import Memory
from shape_dnn.builtin.meters.size import Size
from shape_dnn.measuring import peak_memory
from shape_dnn.measuring.forward_pass import Numerics
from shape_dnn.testing import MeterContract

SHAPE = Shape(10, Fraction(1, 4))


class TestSize(MeterContract):
    meter = Size()


class TestMemory(MeterContract):
    meter = Memory()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
class TestMemoryOnCuda(MeterContract):
    meter = Memory()
    device = "cuda:0"


class Chain(WideResNet):
    """Three layers whose memory can be worked out by hand."""

    def build(self, shape: Shape, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 3, padding=1))


@pytest.mark.parametrize(("precision", "width"), [("float32", 4), ("bfloat16", 2)])
def test_peak_memory_is_what_lives_at_the_worst_moment(precision: str, width: int) -> None:
    workload = Workload(Chain(), (1, 8, 8), 10, 3, "cpu")
    weights = 4 * 9 + 4 + 2 * 4 * 9 + 2
    images, hidden = 3 * 64, 3 * 4 * 64
    # Worst while the activation reads what the first convolution wrote; the images are kept for the next call.
    peak = weights + images + 2 * hidden
    assert peak_memory.computed(workload, SHAPE, Numerics(precision)) == width * peak


def test_memory_grows_with_the_batch_by_its_activations_alone() -> None:
    def megabytes(batch: int) -> float:
        ((_, measurement),) = Memory().measure(Workload(WideResNet(), (3, 32, 32), 10, batch, "cpu"), [SHAPE])
        assert measurement.value is not None
        return measurement.value

    assert megabytes(3) - megabytes(2) == pytest.approx(megabytes(2) - megabytes(1))
    assert Memory().identity(Workload(WideResNet(), (3, 32, 32), 10, 1, "cpu")) == {"method": "computed"}
