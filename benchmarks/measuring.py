"""How far the measured numbers can be trusted, and what they cost.

``python benchmarks/measuring.py [--device cuda] [PART …]`` runs the parts named, by default all that the device can do.
The figures of the paper (``figures``) take a few minutes on a GPU, and ``ratio`` about three on one processor thread.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

from simulated_machine import KINDS, estimates

from shape_dnn import MeterError, Shape, Workload, devices
from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.builtin.meters.energy import NvmlEnergy
from shape_dnn.builtin.meters.latency import Latency
from shape_dnn.measuring import depth_line
from shape_dnn.records import Measurement
from shape_dnn.system import environment

SHAPES = [Shape(depth, Fraction(width)) for depth in (10, 22, 40) for width in ("1/2", "1", "2")]
CIFAR = ((3, 32, 32), 10)
NAIVE_CALLS = 100


def workload(device: str, batch_size: int = 1) -> Workload:
    """Return Wide ResNets on images of CIFAR-10."""
    return Workload(WideResNet(), *CIFAR, batch_size, device)


def fresh_process(device: str) -> dict[str, dict[str, object]]:
    """Measure all shapes in a process of its own, beside what a stopwatch around a loop says there."""
    ran = subprocess.run([sys.executable, __file__, "--device", device, "_once"], check=True, capture_output=True)
    found: dict[str, dict[str, object]] = json.loads(ran.stdout)
    return found


def once(device: str) -> None:
    """The body of :func:`fresh_process`."""
    from shape_dnn.measuring.forward_pass import ForwardPass, Numerics, threads

    measured = dict(Latency().measure(workload(device), SHAPES))
    result = {}
    with threads(1):
        for shape in SHAPES:
            forward = ForwardPass(workload(device), shape, Numerics())
            began = time.perf_counter()
            for _ in range(NAIVE_CALLS):
                forward()
            naive = (time.perf_counter() - began) / NAIVE_CALLS * 1e3
            m = measured[shape]
            result[str(shape)] = {"value": m.value, "status": m.status, "naive": naive}
    print(json.dumps(result))


def repeatability(device: str) -> None:
    """How much do five fresh processes differ?"""
    runs = [fresh_process(device) for _ in range(5)]
    for column, title in (("value", "interleaved rounds"), ("naive", f"a loop of {NAIVE_CALLS} calls")):
        spreads = []
        for shape in SHAPES:
            values = [float(str(run[str(shape)][column])) for run in runs]
            spreads.append((max(values) - min(values)) / statistics.median(values))
        print(f"(max - min) / median over 5 processes, {title}: median {statistics.median(spreads):.1%}, ", end="")
        print(f"largest {max(spreads):.1%}, by shape " + " ".join(f"{spread:.1%}" for spread in spreads))
    print("statuses:", dict(Counter(row["status"] for run in runs for row in run.values())))


def coverage(_device: str) -> None:
    """How often does the 95 % interval hold the latency, on simulated machines that drift?"""
    for kind in KINDS:
        found = [pair for seed in range(100) for pair in estimates(kind, seed)]
        inside = statistics.mean(e.low <= true <= e.high for true, e in found)
        width = statistics.median((e.high - e.low) / 2 / e.value for _, e in found)
        statuses = dict(Counter(e.status for _, e in found))
        print(f"drift {kind:<7} covered {inside:.1%} of {len(found)}, median half-width {width:.2%}, {statuses}")


def cost(device: str) -> None:
    """How many seconds does a shape take?"""
    dict(Latency(seconds=0).measure(workload(device), SHAPES[:1]))  # torch starts
    for batch in (1, 8):
        began = time.perf_counter()
        measured = dict(Latency().measure(workload(device, batch), SHAPES))
        seconds = (time.perf_counter() - began) / len(SHAPES)
        slowest = max(m.value or 0.0 for m in measured.values())
        statuses = dict(Counter(m.status for m in measured.values()))
        print(f"latency, batch {batch}, calls up to {slowest:.1f} ms: {seconds:.2f} s a shape, {statuses}")


def depth_fit(device: str) -> None:
    """How many measurements does a line in depth spare, and how wrong is it where nobody looked?"""
    shapes = [Shape(depth, Fraction(width)) for width in ("1/2", "1") for depth in range(10, 101, 6)]
    measured = dict(Latency().measure(workload(device), shapes))
    for number in (4, 6):
        known: dict[Shape, Measurement] = {}
        while chosen := depth_line.next_to_measure(shapes, known, number):
            known |= {shape: measured[shape] for shape in chosen}
        predicted = depth_line.predict(shapes, known)
        errors = [abs((p.value or 0.0) / (measured[s].value or 1.0) - 1) for s, p in predicted.items()]
        print(f"from {number} depths a width: {len(known)} of {len(shapes)} shapes measured", end="")
        print(f", error of the others {statistics.median(errors):.1%}, at most {max(errors):.1%}" if errors else "")
    print("statuses:", dict(Counter(m.status for m in measured.values())))
    line: dict[Shape, Measurement] = {}
    wide = [Shape(depth, Fraction(width)) for width in range(1, 11) for depth in range(10, 610, 6)]
    while chosen := depth_line.next_to_measure(wide, line, 4):
        line |= {shape: Measurement(float(1 + shape.depth * shape.width)) for shape in chosen}
    print(f"where latency is a line: {len(line)} of {len(wide)} shapes measured")


def estimator(_device: str) -> None:
    """How wrong is the power against a stand-in for the driver's library, whose energy is known?"""
    source = Path(__file__).parents[1] / "tests" / "standin" / "nvml.c"
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        library = directory / "libnvidia-ml.so.1"
        subprocess.run(
            [shutil.which("cc") or "cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-lm"], check=True
        )
        with environment.changed(LD_LIBRARY_PATH=name, STANDIN_NVML=str(directory / "board")):
            for settings in (
                {"watts": 250},
                {"watts": 250, "ramp": 10},
                {"watts": 250, "swing": 80, "period": 0.37},
                {"watts": 60, "step": 0.3},
            ):
                error = standin_error(directory / "board", dict[str, float](settings))
                print(f"mean power against the stand-in, {settings}: {error:+.3%}")


def standin_error(board: Path, settings: dict[str, float]) -> float:
    """Measure a call of 5 ms against the stand-in and return the relative error of its mean power."""
    from contextlib import closing

    from shape_dnn.measuring.energy import Recording
    from shape_dnn.measuring.sensors import Recorder

    origin = time.monotonic()
    board.write_text("".join(f"{name} {value}\n" for name, value in {"origin": origin, **settings}.items()))
    with closing(Recorder("shape_dnn.measuring.nvml_recorder", ["GPU-stand-in", "0.025"])) as sensor:
        recording = Recording(sensor)
        recording.run(lambda: time.sleep(0.005), 4.0, lambda: True, 4.0)
        window = recording.evaluate()
    middle = (window.start + window.end) / 2 - origin
    return window.watts / (settings["watts"] + settings.get("ramp", 0.0) * middle) - 1


def latency_of(shapes: Iterable[Shape], device: str, batch: int) -> dict[Shape, Measurement]:
    """Measure latency for one batch size."""
    return dict(Latency(seconds=3.0).measure(workload(device, batch), list(shapes)))


def ratio(device: str) -> None:
    """The latency of (364, 1) to that of (22, 4) on a batch of 128 images; 4.22 on the paper's GPU."""
    deep, wide = Shape(364, Fraction(1)), Shape(22, Fraction(4))
    found = latency_of([deep, wide], device, 128)
    for shape in (deep, wide):
        m = found[shape]
        print(f"{shape} batch 128: {m.value:.2f} ms ({m.low:.2f} to {m.high:.2f}) {m.status}")
    print(f"latency of {deep} to {wide}: {(found[deep].value or 0) / (found[wide].value or 1):.2f} (paper: 4.22)")


def energy(device: str) -> None:
    """The energy of (58, 1) to that of (16, 5) for one image, 2.1 in the paper; seconds a shape; both sensors."""
    deep, wide = Shape(58, Fraction(1)), Shape(16, Fraction(5))
    began = time.perf_counter()
    found = dict(NvmlEnergy().measure(workload(device), [deep, wide]))
    print(f"energy: {(time.perf_counter() - began) / 2:.1f} s a shape")
    for shape, m in found.items():
        print(f"{shape} one image: {m.value:.4g} J ({m.low:.4g} to {m.high:.4g}) {m.status} {dict(m.details)}")
    print(f"energy of {deep} to {wide}: {(found[deep].value or 0) / (found[wide].value or 1):.2f} (paper: 2.1)")
    values = [dict(NvmlEnergy().measure(workload(device), [wide]))[wide].value or 0.0 for _ in range(5)]
    print(f"(max - min) / median of 5 measurements: {(max(values) - min(values)) / statistics.median(values):.1%}")


def figures(device: str) -> None:
    """The paper's figures: latency against depth, width and batch size; power and energy against width."""
    depths = [Shape(depth, Fraction(2)) for depth in (10, 22, 40, 58, 76, 100)]
    widths = [Shape(22, Fraction(width)) for width in ("1/2", "1", "2", "4", "6", "8", "12", "16")]
    for title, shapes in (("depth at width 2", depths), ("width at depth 22", widths)):
        for batch in (1, 128):
            found = latency_of(shapes, device, batch)
            row = " ".join(f"{s.depth},{s.width}:{found[s].value:.3f}" for s in shapes if found[s].value is not None)
            print(f"latency [ms] against {title}, batch {batch}: {row}")
    for batch in (1, 4, 16, 64, 256, 1024):
        shape = Shape(22, Fraction(2))
        print(f"latency of {shape} against the batch: {batch}: {latency_of([shape], device, batch)[shape].value} ms")
    for mode in ("eager", "graph"):
        found = dict(Latency(mode=mode).measure(workload(device), SHAPES))
        row = " ".join(f"{s.depth},{s.width}:{found[s].value:.3f} {found[s].status}" for s in SHAPES)
        print(f"latency [ms] in mode {mode}, batch 1: {row}")
    for shape, m in dict(NvmlEnergy().measure(workload(device, 128), widths)).items():
        details = {name: m.details.get(name) for name in ("power_w", "power_integral_over_counter", "window_s")}
        print(f"energy of {shape}, batch 128: {m.value} J {m.status} {details}")


PARTS: dict[str, Callable[[str], None]] = {
    "coverage": coverage,
    "estimator": estimator,
    "cost": cost,
    "depth_fit": depth_fit,
    "repeatability": repeatability,
    "ratio": ratio,
    "energy": energy,
    "figures": figures,
}
GPU_ONLY = ("energy", "figures")


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    device = devices.resolve(arguments.device)
    if arguments.parts == ["_once"]:
        once(device)
        return
    random.seed(0)
    about = devices.fingerprint(device)
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.system()}, {about['hardware']}, {about['backend']}, {about['torch']}"
    )
    for name in arguments.parts or [part for part in PARTS if device != "cpu" or part not in GPU_ONLY]:
        print(f"\n# {name}: {(PARTS[name].__doc__ or '').splitlines()[0]}", flush=True)
        try:
            PARTS[name](device)
        except MeterError as error:
            print(f"cannot be measured here: {error}")


if __name__ == "__main__":
    main()
