"""How much faster a folder of images is read by a thread for each core than one image after the other."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from shape_dnn import devices
from shape_dnn.builtin.datasets.folder import Folder

CLASSES, NUMBER, PIXELS = 10, 20_000, 64
ROUNDS = 5


def write(root: Path) -> list[Path]:
    """Write coloured noise, smooth enough for the files to have the size of those of photographs."""
    rng = np.random.default_rng(0)
    paths = []
    for i in range(NUMBER):
        path = root / f"{i % CLASSES}" / f"{i}.jpg"
        path.parent.mkdir(exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (PIXELS // 4, PIXELS // 4, 3), dtype=np.uint8))
        coarse.resize((PIXELS, PIXELS), Image.Resampling.BICUBIC).save(path, quality=90)
        paths.append(path)
    return paths


def seconds(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    """Print the times, and their ratio; rounds alternate, so that a slow moment hits both."""
    with tempfile.TemporaryDirectory() as directory:
        paths = write(Path(directory))
        dataset = Folder(directory, size=32)
        ways: dict[str, Callable[[], object]] = {
            "one after the other": lambda: np.stack([dataset._read_image(path) for path in paths]),
            f"{devices.cores()} threads": lambda: dataset._read(paths, lambda *_: None),
        }
        rounds = [[seconds(work) for work in ways.values()] for _ in range(ROUNDS)]
        for i, name in enumerate(ways):
            print(f"{name:<20} {statistics.median(times[i] for times in rounds):.2f} s for {NUMBER} files")
        ratios = [one / other for one, other in rounds]
        print(f"threads are {statistics.median(ratios):.2f} times as fast ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
