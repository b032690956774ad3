"""Runs the recorder on a stand-in for RAPL: files in a directory, which this process keeps up to date."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from zeus.device.cpu import rapl

from shape_dnn_zeus import recorder

WATTS = {"intel-rapl:0": 30.0, "intel-rapl:0/intel-rapl:0:0": 10.0, "intel-rapl:1": 20.0, "intel-rapl:2": 90.0}
NAMES = dict(zip(WATTS, ("package-0", "dram", "package-1", "psys"), strict=True))
RANGE = 262_143_328_850


def write(root: Path, began: float) -> None:
    for zone, watts in WATTS.items():
        file = root / zone / "energy_uj"
        new = file.with_suffix(".new")
        new.write_text(str(int((time.monotonic() - began) * watts * 1e6)))
        new.replace(file)


def keep_up_to_date(root: Path, began: float) -> None:
    while True:
        write(root, began)
        time.sleep(0.005)


if __name__ == "__main__":
    root, arguments = Path(sys.argv[1]), sys.argv[2:]
    rapl.RAPL_DIR = str(root)
    for zone, name in NAMES.items():
        (root / zone).mkdir(parents=True, exist_ok=True)
        (root / zone / "name").write_text(name)
        (root / zone / "max_energy_range_uj").write_text(str(RANGE))
    began = time.monotonic()
    write(root, began)
    threading.Thread(target=keep_up_to_date, args=(root, began), daemon=True).start()
    recorder.main(arguments[0], arguments[1], float(arguments[2]))
