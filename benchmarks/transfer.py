"""How far accuracies of networks grown from smaller ones differ from those trained from scratch, on digits.

``python benchmarks/transfer.py`` trains small Wide ResNets, larger ones from scratch, and the larger ones from the
weights of the small ones with a part of the epochs. A new study in a temporary directory is used.
"""

from __future__ import annotations

import statistics
import tempfile
from fractions import Fraction
from pathlib import Path

from shape_dnn import Shape, Training
from shape_dnn.api.studying import study_of
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.events import ignore
from shape_dnn.settings import Settings
from shape_dnn.store.facts import Store

DONORS = [Shape(depth, Fraction(width, 4)) for depth in (10, 16) for width in (1, 2)]
LARGER = [Shape(depth, Fraction(width, 4)) for depth in (16, 22, 28) for width in (3, 4)]
PARTS = (Fraction(1, 4), Fraction(1, 2), Fraction(1))
SEEDS = 2


def measure(directory: Path, seed: int, part: Fraction) -> tuple[list[Training], list[Training]]:
    """Return the trainings of the larger shapes from other weights, and from scratch."""
    settings = Settings.create({"study": str(directory), "seed": seed, "device": "cpu"})
    parts = Assembly(settings)
    store = Store(directory)
    try:
        study = study_of(parts, store, parts.meters, ignore, transfer=part)
        study.prepare()
        study.train(DONORS)
        return study.verify(LARGER), study.train(LARGER)
    finally:
        parts.executor.instance.close()
        store.close()


def main() -> None:
    """Print a row for each part of the epochs."""
    print(f"{len(LARGER)} shapes x {SEEDS} seeds; points by which a grown network differs from one from scratch")
    print(f"{'part of the epochs':<20}{'bias':>8}{'std':>8}{'seconds, of scratch':>22}")
    with tempfile.TemporaryDirectory() as directory:
        for part in PARTS:
            differences, seconds = [], []
            for seed in range(SEEDS):
                grown, scratch = measure(Path(directory) / f"{part.denominator}", seed, part)
                for one, other in zip(grown, scratch, strict=True):
                    differences.append((one.quality or 0.0) - (other.quality or 0.0))
                    seconds.append((one.seconds or 0.0) / (other.seconds or 1.0))
            bias, spread = statistics.fmean(differences), statistics.stdev(differences)
            print(f"{part!s:<20}{bias:>+8.2f}{spread:>8.2f}{statistics.fmean(seconds):>22.2f}")


if __name__ == "__main__":
    main()
