"""List a million shapes, compute every size and filter by it: from Python, and as a whole command."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from shape_dnn.api.space import sized_shapes
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.settings import Settings

SPACE = {"dataset": "cifar10", "depth": "10:6010:6", "width": "1/16:1001/16:1/16", "max_size": "2MB"}


def main() -> None:
    """Print the figures."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        parts = Assembly(Settings.create(SPACE))
        kept = sized_shapes(parts)
        times.append(time.perf_counter() - began)
    print(f"{len(parts.shapes)} shapes, {len(kept)} of at most 2 MB")
    print(f"listed and filtered in Python: median {statistics.median(times):.2f} s, best {min(times):.2f} s")
    flags = [part for name, value in SPACE.items() for part in (f"--{name.replace('_', '-')}", value)]
    times = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "shape_dnn", "space", *flags, "--format", "json"], check=True, capture_output=True
        )
        times.append(time.perf_counter() - began)
    print(f"shape-dnn space, start-up included: median {statistics.median(times):.2f} s, best {min(times):.2f} s")


if __name__ == "__main__":
    main()
