"""How much faster a folder of images is read by a thread for each core than by one."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np
from PIL import Image

from shape_dnn import devices
from shape_dnn.builtin.datasets.folder import Folder

FOLDERS, CLASSES, NUMBER = 20, 10, 1000
SIZES = {64: "small images", 500: "photographs"}


def write(root: Path, pixels: int, number: int) -> None:
    """Write coloured noise, smooth enough for the files to have the size of those of photographs."""
    rng = np.random.default_rng(0)
    for i in range(number):
        path = root / f"{i % CLASSES}" / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (pixels // 4, pixels // 4, 3), dtype=np.uint8))
        coarse.resize((pixels, pixels), Image.Resampling.BICUBIC).save(path, quality=90)


def seconds(root: Path, threads: int) -> float:
    """Return how long reading a folder takes."""
    with patch.object(devices, "cores", lambda: threads):
        began = time.perf_counter()
        Folder(str(root), size=32).load()
        return time.perf_counter() - began


def main() -> None:
    """Print the times, and their ratio; folder by folder in turn, so that a slow moment hits both."""
    cores = devices.cores()
    for pixels, what in SIZES.items():
        number = NUMBER if pixels < 100 else NUMBER // 10
        with tempfile.TemporaryDirectory() as directory:
            roots = [Path(directory) / str(i) for i in range(FOLDERS)]
            for root in roots:
                write(root, pixels, number)
            pairs = [(seconds(root, 1), seconds(root, cores)) for root in roots]
        one, many = (sum(column) for column in zip(*pairs, strict=True))
        ratios = [alone / together for alone, together in pairs]
        print(f"{FOLDERS * number} {what} of {pixels}x{pixels} pixels, {os.getloadavg()[0]:.1f} processes at work")
        print(f"  one thread {one:.1f} s, {cores} threads {many:.1f} s")
        print(f"  ratio: median {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}")


if __name__ == "__main__":
    main()
