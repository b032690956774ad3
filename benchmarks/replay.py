"""Complete searches a second in a replay of a table of 100 shapes, in one process."""

from __future__ import annotations

import tempfile
import time
import warnings
from pathlib import Path

from shape_dnn import tune

SEARCHES = 60


def main() -> None:
    """Print the figures."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as directory:
        table = Path(directory) / "table.csv"
        rows = [
            f"{depth},{width / 4},{97 - 6 / width - 30 / depth - (depth * width) % 7 / 50},{depth * width**2 / 1000}"
            for width in range(2, 12)
            for depth in range(10, 70, 6)
        ]
        table.write_text("depth,width,accuracy,size\n" + "\n".join(rows) + "\n")
        for model in ("ridge", "paper"):
            tune(replay=table, model=model)  # imports what is needed
            began = time.perf_counter()
            for seed in range(SEARCHES):
                tune(replay=table, model=model, sampler="random", seed=seed, max_size=4, min_accuracy=94, goal="size")
            rate = SEARCHES / (time.perf_counter() - began)
            print(f"{len(rows)} shapes, model {model}: {rate:.0f} searches a second")


if __name__ == "__main__":
    main()
