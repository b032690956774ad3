"""How fast images are decoded for a training that streams them, beside a plain DataLoader and what the cores can do.

``python benchmarks/streaming.py [--images N] [--size S] [--readers R …]`` writes that many photographs as JPEG files
of 500 x 375 pixels, cut at random from those of scikit-image (to be installed for this) and scikit-learn, and as tar
shards. It then times epochs in turn, without training anything:

- cores: every image read and decoded once by threads, as many as there are cores, and nothing else: the limit;
- plain: torchvision's ImageFolder, each image resized, cropped, mirrored and normalised in a DataLoader's processes;
- folder, shards: ours, batches augmented and normalised in the process that would train;
- kept: ours from pixels that are kept, for comparison.

All have the same number of processes that decode. Ratios are those of a round, in which each comes once.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from operator import truediv
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import datasets
from torchvision.transforms import v2

from shape_dnn import EncodedImages, Recipe, devices
from shape_dnn.builtin.datasets.folder import Folder
from shape_dnn.builtin.datasets.webdataset import WebDataset
from shape_dnn.data import encoded, images
from shape_dnn.data.splits import Part
from shape_dnn.training import streamed
from shape_dnn.training.batches import Batches

CPU = torch.device("cpu")
CLASSES = 10
RECIPE = Recipe(epochs=1, batch_size=64, crop=4, flip=True)
ROUNDS = 5


def photographs() -> list[np.ndarray]:
    """Return coloured photographs of two packages, enlarged until something of 500 x 375 can be cut out."""
    from skimage import data
    from sklearn.datasets import load_sample_images

    untyped: Any = data
    found = [untyped.astronaut(), untyped.chelsea(), untyped.coffee(), *load_sample_images().images]
    return [np.asarray(Image.fromarray(each).resize((1000, 750))) for each in found]


def write(root: Path, number: int) -> None:
    """Write photographs in folders, one per class, and the same ones as shards."""
    generator, originals = np.random.default_rng(0), photographs()
    (root / "shards").mkdir(parents=True)
    with ExitStack() as stack:
        shards = [stack.enter_context(tarfile.open(root / f"shards/train-{i}.tar", "w")) for i in range(4)]
        _write(root, shards, originals, number, generator)


def _write(
    root: Path, shards: list[tarfile.TarFile], originals: list[np.ndarray], number: int, generator: np.random.Generator
) -> None:
    for i in range(number):
        top, left = generator.integers(0, (375, 500))
        content = io.BytesIO()
        Image.fromarray(originals[i % len(originals)][top : top + 375, left : left + 500]).save(
            content, "jpeg", quality=90
        )
        folder = root / f"folder/class {i % CLASSES}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i:06}.jpg").write_bytes(content.getvalue())
        for suffix, data in (("jpg", content.getvalue()), ("cls", str(i % CLASSES).encode())):
            member = tarfile.TarInfo(f"{i:06}.{suffix}")
            member.size = len(data)
            shards[i % len(shards)].addfile(member, io.BytesIO(data))


def ours(part: Part) -> Callable[[], int]:
    """Return what goes through an epoch of augmented batches, and tells how many images that were."""
    batches = Batches(part, CPU, classes=CLASSES)
    return lambda: sum(len(labels) for _, labels in batches.shuffled(RECIPE.batch_size, RECIPE))


def streaming(dataset: Folder | WebDataset, home: Path) -> Part:
    """Return all training images of a dataset, to be streamed."""
    train, test = dataset.load()
    assert isinstance(train, EncodedImages)
    assert isinstance(test, EncodedImages)
    return Part.of_all(images.load(images.survey(train, test, home, lambda *_: None))[0])


def plain(root: Path, size: int, processes: int) -> Callable[[], int]:
    """Return an epoch as one writes it first."""
    transform = v2.Compose(
        [
            v2.Resize((size, size)),
            v2.RandomCrop(size, padding=RECIPE.crop),
            v2.RandomHorizontalFlip(),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.5] * 3, [0.25] * 3),
        ]
    )
    loader = DataLoader(
        datasets.ImageFolder(root, transform), RECIPE.batch_size, shuffle=True, drop_last=True, num_workers=processes,
        persistent_workers=True,
    )  # fmt: skip
    return lambda: sum(len(labels) for _, labels in loader)


def of_cores(part: EncodedImages) -> Callable[[], int]:
    """Return what decodes all images, and nothing else."""
    return lambda: sum(len(levels) for levels in encoded.levels(part))


def ways(root: Path, size: int, processes: int) -> Iterator[tuple[str, Callable[[], int]]]:
    """Give what is compared."""
    streamed.readers = lambda device: processes  # noqa: ARG005
    folder = streaming(Folder(str(root / "folder"), size=size, stream="yes"), root / "surveys")
    shards = streaming(WebDataset(str(root / "shards"), size=size, stream="yes"), root / "surveys")
    assert isinstance(folder.images, EncodedImages)
    yield "cores", of_cores(folder.images)
    yield "plain", plain(root / "folder", size, processes)
    yield "folder", ours(folder)
    yield "shards", ours(shards)
    yield "kept", ours(Part.of_all(folder.copy()))


def main() -> None:
    """Print images a second, and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--readers", type=int, nargs="+", default=[devices.cores()])
    given = parser.parse_args()
    torch.set_num_threads(1)
    machine = f"{devices.hardware('cpu')}, {devices.cores()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"{machine}; {given.images} JPEG files of 500 x 375, decoded to {given.size} x {given.size}")
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        write(root, given.images)
        for processes in given.readers:
            rates: dict[str, list[float]] = {}
            epochs = dict(ways(root, given.size, processes))
            for number in range(1 + ROUNDS):
                for name, epoch in epochs.items():
                    began = time.perf_counter()
                    seen = epoch()
                    if number:  # the first starts processes
                        rates.setdefault(name, []).append(seen / (time.perf_counter() - began))
            print(f"\n{processes} processes: images a second, median of {ROUNDS} rounds; times plain; times cores")
            for name, found in rates.items():
                times = [statistics.median(map(truediv, found, rates[other])) for other in ("plain", "cores")]
                print(f"{name:8} {statistics.median(found):8.0f} {times[0]:8.2f} {times[1]:8.2f}")
            del epochs


if __name__ == "__main__":
    main()
