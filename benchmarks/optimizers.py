"""How well networks train with AdamW beside SGD, and what augmentation costs.

``python benchmarks/optimizers.py [--seeds N]`` trains ConvNeXts and Wide ResNets on the digits and on Fashion-MNIST,
with the short recipe of the dataset, and with that recipe as ConvNeXt changes it, to AdamW, at some rates. Images are
enlarged to 32x32 pixels, which ConvNeXt takes: digits fourfold, Fashion-MNIST by a black border. Two trainings run at a
time, in float32. Fashion-MNIST is read from Debian's package ``dataset-fashion-mnist``.

``--augmentation`` measures instead what making batches takes of the processor, with each augmentation in turns, beside
a whole epoch of a thin network.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from typing import cast

import numpy as np
import torch

from shape_dnn import Architecture, Recipe, Shape
from shape_dnn.builtin.datasets.digits import Digits
from shape_dnn.builtin.datasets.mnist import FashionMnist
from shape_dnn.data import images
from shape_dnn.kinds import LabelledImages
from shape_dnn.plugins.registry import Registry
from shape_dnn.plugins.sources import Choice
from shape_dnn.training.batches import Batches
from shape_dnn.training.classifier import ClassifierTrainer, split
from shape_dnn.training.task import TrainingTask

FASHION = "/usr/share/datasets/fashion-mnist"
SHAPES = {
    "convnext": [Shape(4, Fraction(1, 6)), Shape(8, Fraction(1, 4))],
    "wrn": [Shape(10, Fraction(1, 4))],
}
RATES = {"convnext": (2e-3,), "wrn": (2e-3, 1e-2, 3e-2)}
"""Highest learning rates of AdamW; the first is that of ConvNeXt's own recipe."""
AUGMENTATIONS: dict[str, dict[str, float]] = {
    "none": {}, "mixup": {"mixup": 0.2}, "randaugment": {"randaugment": 9}, "erasing": {"erasing": 0.25},
}  # fmt: skip
TURNS = 5


def saved(name: str, root: Path, limit: int) -> tuple[Path, Recipe]:
    """Write the images of a dataset, of 32x32 pixels; return where, and its short recipe for a processor."""
    dataset = Digits(limit) if name == "digits" else FashionMnist(FASHION, limit)
    parts = [LabelledImages(_enlarged(part.images), part.labels) for part in dataset.load()]
    images.save(parts[0], parts[1], root / name)
    recipe = replace(dataset.short_recipe("cpu"), precision="float32")
    return root / name, replace(recipe, crop=4) if name == "digits" else recipe


def _enlarged(levels: np.ndarray) -> np.ndarray:
    side = 32 // levels.shape[-1]
    border = (32 - side * levels.shape[-1]) // 2
    enlarged = levels.repeat(side, axis=2).repeat(side, axis=3)
    return np.pad(enlarged, ((0, 0), (0, 0), (border, border), (border, border)))


def recipes(arch: str, of_dataset: Recipe) -> Iterator[tuple[str, Recipe]]:
    """Give the recipes that are compared, each with the name and highest rate of its optimiser."""
    convnext = cast("Architecture", Registry().load("architecture", "convnext").instance)
    yield f"sgd {of_dataset.lr:g}", of_dataset
    for rate in RATES[arch]:
        yield f"adamw {rate:g}", replace(convnext.recipe(of_dataset), lr=rate)


def trainer_of(arch: str, recipe: Recipe, directory: Path) -> ClassifierTrainer:
    """Return how shapes are trained."""
    return ClassifierTrainer(Choice("architecture", arch), (), directory, 10, 0.2, recipe, "cpu", "validation")


def train(what: tuple[ClassifierTrainer, Shape, int]) -> tuple[float, float]:
    """Return the best validation accuracy of a training by a trainer, of a shape, with a seed; and its seconds."""
    with tempfile.TemporaryDirectory() as directory:
        task = TrainingTask(*what, Path(directory, "weights"), Path(directory, "checkpoints"), 1e9, "only")
        training = task.run(lambda _: True)
    return training.quality or 0.0, training.seconds or 0.0


def compare(datasets: list[str], archs: list[str], seeds: int, limit: int, root: Path) -> None:
    """Print a row for each dataset, shape and recipe."""
    print(f"best validation accuracy in percent, mean of {seeds} seeds with its standard error; seconds of a training")
    with ProcessPoolExecutor(2, mp_context=get_context("forkserver")) as pool:
        for name in datasets:
            directory, of_dataset = saved(name, root, 0 if name == "digits" else limit)
            for arch in archs:
                for shape in SHAPES[arch]:
                    for label, recipe in recipes(arch, of_dataset):
                        trainer = trainer_of(arch, recipe, directory)
                        found = list(pool.map(train, [(trainer, shape, seed) for seed in range(seeds)]))
                        accuracies, seconds = zip(*found, strict=True)
                        error = statistics.stdev(accuracies) / seeds**0.5
                        print(f"{name:<15}{arch:<10}{shape!s:<10}{label:<12}{statistics.fmean(accuracies):>7.2f}"
                              f" +- {error:.2f}{statistics.fmean(seconds):>8.0f} s", flush=True)  # fmt: skip


def cost(root: Path, limit: int) -> None:
    """Print what each augmentation adds to the making of batches, in microseconds an image."""
    torch.set_num_threads(1)
    for dataset in (Digits(limit), FashionMnist(FASHION, limit)):
        name = type(dataset).__name__
        images.save(*dataset.load(), root / name)
        recipe = replace(dataset.short_recipe("cpu"), precision="float32", epochs=1)
        trainer = trainer_of("wrn", recipe, root / name)
        learnt_from, _ = split(root / name, "validation", 0.2, 0)
        batches = Batches(learnt_from, torch.device("cpu"), classes=10)
        began = time.process_time()
        train((trainer, Shape(10, Fraction(1)), 0))
        whole = time.process_time() - began
        print(f"{name}: an epoch of WRN-10-1 takes {1e6 * whole / len(batches):.0f} us an image")
        times: dict[str, list[float]] = {name: [] for name in AUGMENTATIONS}
        for _ in range(TURNS + 1):
            for augmentation, parts in AUGMENTATIONS.items():
                changed = replace(recipe, **parts)  # type: ignore[arg-type]
                began = time.process_time()
                for _batch in batches.shuffled(changed.batch_size, changed):
                    pass
                times[augmentation].append(1e6 * (time.process_time() - began) / len(batches))
        for augmentation, own in times.items():
            print(f"  {augmentation:<12} {statistics.median(own[1:]):>5.0f} us an image to make a batch")


def main() -> None:
    """Compare optimisers, or time augmentation."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--augmentation", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--limit", type=int, default=4000, help="training images of Fashion-MNIST")
    parser.add_argument("--datasets", nargs="+", default=["digits", "fashion-mnist"])
    parser.add_argument("--archs", nargs="+", default=list(SHAPES))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        if given.augmentation:
            cost(Path(directory), given.limit)
        else:
            compare(given.datasets, given.archs, given.seeds, given.limit, Path(directory))


if __name__ == "__main__":
    main()
