"""How much faster training steps are in bfloat16 than in float32, and which part of a network's work could gain.

``python benchmarks/precision.py [--seconds 8] [--families]`` takes steps of networks in both precisions in turns, on
one thread of the processor, so that whatever else the machine does slows both down alike. Beside each ratio stands the
part of the multiply-adds that lies in dense layers of at least so many input and output channels, by which
:mod:`shape_dnn.training.precision` decides. ``--families`` takes networks of the plugin packages instead.

With ``ONEDNN_MAX_CPU_ISA=AVX512_CORE_VNNI`` the processor is used as one without instructions for bfloat16.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from fractions import Fraction

import torch

from shape_dnn import Architecture, Recipe, Shape, devices
from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.kinds import InputShape
from shape_dnn.plugins.registry import Registry
from shape_dnn.recipes import PRECISIONS
from shape_dnn.training.precision import work_by_channels
from shape_dnn.training.step import Step

CLASSES = 10
INPUTS: list[tuple[InputShape, int]] = [
    ((1, 8, 8), 32), ((1, 28, 28), 32), ((1, 28, 28), 128), ((3, 32, 32), 32), ((3, 32, 32), 128),
]  # fmt: skip
"""Channels, height and width of an image, and images in a batch."""
SHAPES = [Shape(16, width) for width in (Fraction(1, 4), Fraction(1, 2), Fraction(1), Fraction(2), Fraction(4))]
FAMILIES = [
    ("densenet", Shape(22, Fraction(1, 2))), ("densenet", Shape(22, Fraction(1))), ("densenet", Shape(22, Fraction(4))),
    ("nasnet", Shape(8, Fraction(1, 2))), ("nasnet", Shape(8, Fraction(2))),
    ("resnet", Shape(26, Fraction(1, 4))), ("resnet", Shape(26, Fraction(1))),
    ("convnext", Shape(6, Fraction(1, 4))), ("convnext", Shape(6, Fraction(1))),
]  # fmt: skip
CHANNELS = [8, 16, 32, 64, 128]
LEAST = 5
"""Pairs of steps, at least."""


def ratios(network: torch.nn.Module, images: torch.Tensor, seconds: float) -> list[float]:
    """Take a step in each precision in turns; return how many times as fast those in bfloat16 were."""
    labels = torch.arange(len(images)) % CLASSES
    # A rate of 0 keeps the weights, and so the numbers, as they are.
    steps = [Step(copy.deepcopy(network).train(), Recipe(1, precision=precision)) for precision in PRECISIONS]
    found: list[float] = []
    began = time.perf_counter()
    while len(found) <= LEAST or time.perf_counter() - began < seconds:
        times = []
        for step in steps:
            start = time.perf_counter()
            float(step(images, labels, 0.0))
            times.append(time.perf_counter() - start)
        found.append(times[0] / times[1])
    return found[1:]


def show(name: str, architecture: Architecture, shape: Shape, given: tuple[InputShape, int], seconds: float) -> None:
    """Print a line about one network and its input."""
    input_shape, batch = given
    torch.manual_seed(0)
    network = architecture.build(shape, input_shape, CLASSES).to(memory_format=torch.channels_last)
    images = torch.randn(batch, *input_shape).to(memory_format=torch.channels_last)
    low, middle, high = statistics.quantiles(ratios(network, images, seconds), n=4)
    work = work_by_channels(architecture, shape, input_shape, CLASSES)
    parts = [sum(own for channels, own in work.items() if channels >= least) / sum(work.values()) for least in CHANNELS]
    pixels = "x".join(map(str, (*input_shape[1:], input_shape[0])))
    shares = "".join(f"{100 * part:>5.0f}" for part in parts)
    ratio = f"{middle:>5.2f} ({low:.2f} to {high:.2f})"
    print(f"{name:<9}{shape!s:<10}{pixels:>9} {batch:>5}  {ratio} {shares}", flush=True)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each line")
    parser.add_argument("--families", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    print("; ".join(devices.fingerprint("cpu").values()))
    print(f"{'':<9}{'shape':<10}{'image':>9} batch  times as fast          % in dense layers of N channels or more")
    print(f"{'':>54}" + "".join(f"{least:>5}" for least in CHANNELS))
    if not arguments.families:
        for given in INPUTS:
            for shape in SHAPES:
                show("wrn", WideResNet(), shape, given, arguments.seconds)
        return
    registry = Registry()
    for name, shape in FAMILIES:
        architecture = registry.load("architecture", name, {}).instance
        given = ((3, 32, 32), 32) if architecture.smallest_image <= 32 else ((3, 64, 64), 16)
        show(name, architecture, shape, given, arguments.seconds)


if __name__ == "__main__":
    main()
