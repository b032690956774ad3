"""Does everything that has to do with a GPU work on this one, and how well?

``python benchmarks/gpu.py [--device cuda:0] [--output gpu.md] [PART …]`` runs the parts named, by default all, in a
quarter of an hour, without network: images are random or scikit-learn's digits. Every part has a process of its own and
a time limit, so that what fails or hangs costs itself alone. What they print is one file in Markdown.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from training import Job, alone, job, ours, plain, task

from shape_dnn import LabelledImages, Shape, Workload, devices
from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.builtin.executors.local import Local
from shape_dnn.builtin.meters.energy import NvmlEnergy
from shape_dnn.builtin.meters.latency import Latency
from shape_dnn.builtin.meters.memory import Memory
from shape_dnn.data import images
from shape_dnn.kinds import Run
from shape_dnn.recipes import PRECISIONS
from shape_dnn.records import Measurement
from shape_dnn.training.precision import decide
from shape_dnn.work import Task

if TYPE_CHECKING:
    from shape_dnn.training.pixels import Pixels

SHAPES = [Shape(10, Fraction(1)), Shape(16, Fraction(2)), Shape(40, Fraction(2))]
DIGITS = {"dataset": "digits"}
MANY = 40
"""Trainings one after the other."""
NUMBER = 25_600
"""Random images of a training."""
AT_ONCE = (1, 2, 4, 8)
"""Trainings that share a GPU."""
LOADERS = (0, 4, 16)
"""Processes of the plain loop's DataLoader."""

UNRECORDABLE = '''
"""Networks that look at a value while they compute, or wait for the GPU, so that no CUDA graph can be made of them."""
import torch
from shape_dnn import Plugin, hookimpl
from shape_dnn.builtin.architectures.wrn import WideResNet

class Doubtful(WideResNet):
    def build(self, shape, input_shape, classes):
        network = super().build(shape, input_shape, classes)
        network.register_forward_pre_hook(self.look)
        return network

    def look(self, network, given):
        if given[0].is_cuda:
            given[0].mean().item()

class Waiting(Doubtful):
    def look(self, network, given):
        if given[0].is_cuda:
            torch.cuda.synchronize()

@hookimpl
def shape_dnn_architectures():
    yield Plugin("doubtful", "looks at a value", Doubtful)
    yield Plugin("waiting", "waits for the GPU", Waiting)
'''


def random_images(shape: Shape, device: str, **recipe: Any) -> Job:
    """Return a training on random images of the size of CIFAR-10's."""
    directory = Path(tempfile.gettempdir()) / f"shape-dnn-benchmark-random-{NUMBER}"
    generator = np.random.default_rng(0)

    def draw(number: int) -> LabelledImages:
        pixels = generator.integers(0, 256, (number, 3, 32, 32), dtype=np.uint8)
        return LabelledImages(pixels, generator.integers(0, 10, number))

    images.save(draw(NUMBER), draw(1_000), directory)
    own = job(shape, DIGITS | {"device": device}, **({"batch_size": 128, "crop": 4, "flip": True} | recipe))
    return replace(own, trainer=replace(own.trainer, images=directory, validation_fraction=0.1))


def row(*cells: object) -> None:
    """Print a row of a table."""
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def header(*cells: str) -> None:
    """Print the head of a table."""
    print()
    row(*cells)
    row(*("---" for _ in cells))


# Parts


def sensors(device: str) -> None:
    """Every call to NVML once."""
    from shape_dnn.measuring import nvml

    header("call", "answer")
    with nvml.session():
        gpu = nvml.Gpu.find(nvml.uuid_of(device))
        row("name", gpu.name)
        row("driver", gpu.driver)
        calls: dict[str, Callable[[], object]] = {
            name: getattr(gpu, name)
            for name in ("joules", "watts", "clock_mhz", "temperature_c", "is_throttled", "condition")
        }
        calls["use_by_others"] = lambda: gpu.use_by_others(int((time.time() - 1) * 1e6))
        for name, call in calls.items():
            began = time.perf_counter()
            try:
                answer = repr(call())
            except Exception as error:  # noqa: BLE001 - what does not work is what this is to show
                answer = f"{type(error).__name__}: {error}"
            row(f"{name}()", f"{answer}, {1e3 * (time.perf_counter() - began):.2f} ms")


def tests(_device: str) -> None:
    """The tests that need a GPU."""
    parallel = ["-n", "8", "-p", "no:benchmark"] if importlib.util.find_spec("xdist") else []
    root = Path(__file__).parents[1]
    marked = (file for file in (root / "tests").glob("test_*.py") if "mark.gpu" in file.read_text(encoding="utf-8"))
    files = sorted(str(file.relative_to(root)) for file in marked)  # to collect all others takes longer than these
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider", *parallel, *files]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    print("\n```\n" + ran.stdout[-6000:] + ran.stderr[-1000:] + "\n```")


def train(own: Job, directory: Path, name: str, epochs: int | None = None) -> tuple[list[float], dict[str, Any]]:
    """Train in this process, to the end or for some epochs; return the losses and the weights."""
    from safetensors.torch import load_file

    training = task(own, directory, name)
    found = training.run(lambda what: epochs is None or what is None or getattr(what, "number", 0) < epochs)
    weights = load_file(training.weights) if training.weights.is_file() else {}
    return [epoch.loss or 0.0 for epoch in found.curve], weights


def repetitions(device: str) -> None:
    """Is a training with the same seed the same, and one that was interrupted as if it had never stopped?"""
    import torch

    header("shape", "precision", "same losses", "same weights", "resumed: same losses", "same weights", "largest gap")
    with tempfile.TemporaryDirectory() as name:
        for shape, precision in itertools.product(SHAPES[:2], PRECISIONS):
            own, directory = job(shape, DIGITS | {"device": device}, epochs=6, precision=precision), Path(name)
            label = f"{shape.depth}-{shape.width.numerator}-{precision}"
            first, weights = train(own, directory, f"{label}-first")
            again, same = train(own, directory, f"{label}-again")
            train(own, directory, f"{label}-resumed", epochs=3)
            resumed, late = train(own, directory, f"{label}-resumed")
            gap = max(float((weights[key].float() - late[key].float()).abs().max()) for key in weights)

            def equal(others: dict[str, Any], weights: dict[str, Any] = weights) -> bool:
                return all(torch.equal(weights[key], others[key]) for key in weights)

            row(shape, precision, first == again, equal(same), first == resumed, equal(late), f"{gap:.2g}")


def unrecordable(device: str) -> None:
    """Networks of which no CUDA graph can be made, each followed by one of which one can, in the same worker."""
    with tempfile.TemporaryDirectory() as name:
        plugin = Path(name) / "unrecordable.py"
        plugin.write_text(UNRECORDABLE)
        good = job(SHAPES[0], DIGITS | {"device": device}, epochs=3, precision="float32")
        fresh = ours_or_error(Local(), good)
        header("network", "its own training", "the next one", "as in a fresh worker")
        for arch in ("doubtful", "waiting"):
            settings = DIGITS | {"device": device, "arch": arch, "plugin": [str(plugin)]}
            odd = job(SHAPES[0], settings, epochs=3, precision="float32")
            odd = replace(odd, trainer=replace(odd.trainer, plugin_files=(plugin,)))
            executor = Local()
            found, following = ours_or_error(executor, odd), ours_or_error(executor, good)
            executor.close()
            row(arch, found, following, following == fresh)


def ours_or_error(executor: Local, own: Job) -> str:
    """Train in a worker; return its quality and losses, or what went wrong."""
    try:
        (found,) = ours(executor, [own], 1)
    except Exception as error:  # noqa: BLE001 - what does not work is what this is to show
        return f"{type(error).__name__}: {error}"
    return f"{found.quality:.2f} %, losses {[round(epoch.loss or 0.0, 4) for epoch in found.curve]}"


class Free(Task):
    """Look at the free memory of a GPU.

    Args:
        device: as torch writes it.
    """

    def __init__(self, device: str) -> None:
        self.device = device

    def run(self, _report: Callable[[object], bool]) -> float:
        """Return MB."""
        return devices.free_memory(self.device) / 1e6


def many(device: str) -> None:
    """Many trainings in one worker: what is free after each."""
    executor, free = Local(), []
    for i in range(MANY):
        own = job(SHAPES[i % len(SHAPES)], DIGITS | {"device": device}, epochs=2, precision="bfloat16")
        ours(executor, [own], 1)
        (outcome,) = executor.run([Free(device)], 1, lambda *_: True)
        free.append(float(str(outcome.result)))
    executor.close()
    print("\nFree after each, MB: " + " ".join(f"{value:.0f}" for value in free))
    print(f"\nLost from the 4th to the last: {free[3] - free[-1]:.0f} MB")


@contextlib.contextmanager
def most_used(device: str) -> Iterator[list[float]]:
    """Watch how much of a GPU's memory is in use beyond what was before; the list holds the most, in MB."""
    import pynvml

    from shape_dnn.measuring import nvml

    most, over = [0.0], threading.Event()
    with nvml.session():
        handle = nvml.Gpu.find(nvml.uuid_of(device)).handle

        def used() -> float:
            return float(pynvml.nvmlDeviceGetMemoryInfo(handle).used) / 1e6

        before = used()

        def watch() -> None:
            while not over.wait(0.01):
                most[0] = max(most[0], used() - before)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield most
        finally:
            over.set()
            thread.join()


def torch_memory(own: Job) -> tuple[float, float]:
    """Train in this process; return the most that torch had allocated, and had reserved, in MB."""
    import torch

    with tempfile.TemporaryDirectory() as directory:
        task(own, Path(directory), "a").run(lambda _: True)
    return torch.cuda.max_memory_allocated() / 1e6, torch.cuda.max_memory_reserved() / 1e6


def memory(device: str) -> None:
    """The memory of a training beside its estimate, and what the meter says first and second."""
    header("shape", "precision", "estimate MB", "used MB", "used / estimate", "allocated MB", "reserved MB")
    for shape, precision in itertools.product([*SHAPES, Shape(16, Fraction(8))], PRECISIONS):
        own = random_images(shape, device, epochs=1, precision=precision)
        estimate = own.trainer.resources(shape).memory / 1e6
        with most_used(device) as most:
            allocated, reserved = alone(torch_memory, own)
        row(shape, precision, f"{estimate:.0f}", f"{most[0]:.0f}", f"{most[0] / estimate:.2f}", f"{allocated:.0f}",
            f"{reserved:.0f}")  # fmt: skip
    header("shape", "forward pass of 64 images MB", "measured again")
    workload = Workload(WideResNet(), (3, 32, 32), 10, 64, device)
    once, again = (dict(Memory().measure(workload, SHAPES)) for _ in range(2))
    for shape in SHAPES:
        row(shape, f"{once[shape].value:.2f}", f"{again[shape].value:.2f}")


class Clock(Run):
    """Notes when epochs end, and keeps nothing."""

    is_due = False

    def __init__(self, device: str) -> None:
        self.seed, self.device, self.directory, self.times = 0, device, Path(), [time.perf_counter()]

    def report(self, step: int, quality: float, **more: float) -> bool:
        """Note the time."""
        self.times.append(time.perf_counter())
        return True

    def alive(self) -> None:
        """Nobody waits."""

    def save(self, module: object, **more: object) -> None:
        """Nobody goes on."""

    def load(self) -> None:
        """Nothing was saved."""


MODES = [(precision, as_graph) for precision in PRECISIONS for as_graph in (False, True)]


def images_a_second(own: Job, place: type[Pixels], precision: str, *, as_graph: bool) -> float:
    """Train in this process; return the images a second of the median epoch after the first."""
    import torch

    from shape_dnn.training.batches import Batches
    from shape_dnn.training.loop import Loop

    device, (learning, judging) = torch.device(own.trainer.device), own.parts
    train = Batches(learning, device, classes=10, place=place)
    judge = Batches(judging, device, like=train)
    torch.backends.cudnn.deterministic = True  # as trainings are
    run, recipe = Clock(own.trainer.device), own.with_recipe(precision=precision, epochs=4).trainer.recipe
    Loop(own.trainer.build(own.shape), recipe, device, as_graph=as_graph).fit(train, judge, run)
    return len(train) / statistics.median(b - a for a, b in itertools.pairwise(run.times[1:]))


def in_modes(own: Job) -> list[float]:
    """Train in each mode; return images a second."""
    from shape_dnn.training.pixels import OnDevice

    return [images_a_second(own, OnDevice, precision, as_graph=as_graph) for precision, as_graph in MODES]


def rates(device: str) -> None:
    """Images a second of a training, judging included, beside the plain loop; 3x32x32 pixels, batches of 128."""
    header("shape", "plain, by loader processes 0, 4, 16", "eager float32", "graph float32", "eager bfloat16",
           "graph bfloat16", "graph bfloat16 / best plain")  # fmt: skip
    for shape in SHAPES:
        own = random_images(shape, device, epochs=2, precision="float32")
        base = [2 * len(own.parts[0]) / alone(plain, (own, processes))[0] for processes in LOADERS]
        cells = alone(in_modes, own)
        row(shape, " ".join(f"{rate:.0f}" for rate in base), *(f"{rate:.0f}" for rate in cells),
            f"{cells[-1] / max(base):.1f}x")  # fmt: skip


def in_places(own: Job) -> list[float]:
    """Train on images on the GPU, and on the host; return images a second."""
    from shape_dnn.training.pixels import OnDevice, OnHost

    return [images_a_second(own, place, "bfloat16", as_graph=True) for place in (OnDevice, OnHost)]


def data(device: str) -> None:
    """Images a second of a training on images on the GPU, and on images that come from the host a batch at a time."""
    header("shape", "on the GPU", "on the host")
    for shape in SHAPES[:2]:
        rates = alone(in_places, random_images(shape, device))
        row(shape, *(f"{rate:.0f} ({rate / rates[0]:.2f}x)" for rate in rates))


def in_precisions(own: Job) -> list[float]:
    """Train in each precision, its steps as graphs; return images a second."""
    from shape_dnn.training.pixels import OnDevice

    return [images_a_second(own, OnDevice, precision, as_graph=True) for precision in PRECISIONS]


def precisions(device: str) -> None:
    """Images a second of thin networks in each precision, and which one is chosen for them by themselves."""
    header("shape", *PRECISIONS, "chosen")
    for shape in (*(Shape(22, Fraction(width, 8)) for width in (1, 2, 4, 6)), *SHAPES[:2]):
        own = random_images(shape, device)
        rates = alone(in_precisions, own)
        row(shape, *(f"{rate:.0f} ({rate / rates[0]:.2f}x)" for rate in rates), decide(own.trainer, shape).precision)


def with_and_without_augmentation(own: Job) -> list[float]:
    """Train on images that are shifted and mirrored, and on images as they are; return images a second."""
    from shape_dnn.training.pixels import OnDevice

    plain = own.with_recipe(crop=0, flip=False)
    return [images_a_second(each, OnDevice, "bfloat16", as_graph=True) for each in (own, plain)]


def augmentation(device: str) -> None:
    """Images a second of a training on changed images, and on images as they are: what changing them costs at most."""
    header("shape", "shifted and mirrored", "as they are")
    for shape in (Shape(22, Fraction(1, 8)), *SHAPES[:2]):
        rates = alone(with_and_without_augmentation, random_images(shape, device))
        row(shape, *(f"{rate:.0f} ({rate / rates[0]:.2f}x)" for rate in rates))


def in_layouts(own: Job) -> list[float]:
    """Train with channels last, and with channels first in this process from then on; return images a second."""
    import torch

    from shape_dnn.training.pixels import OnDevice

    rates = []
    for layout in (torch.channels_last, torch.contiguous_format):
        torch.channels_last = layout
        rates.append(images_a_second(own, OnDevice, "bfloat16", as_graph=True))
    return rates


def layouts(device: str) -> None:
    """Images a second of thin networks, by where the channels of an image lie."""
    header("shape", "channels last", "channels first")
    for shape in (Shape(22, Fraction(1, 16)), Shape(22, Fraction(1, 8)), Shape(22, Fraction(1, 4)), SHAPES[0]):
        rates = alone(in_layouts, random_images(shape, device))
        row(shape, *(f"{rate:.0f} ({rate / rates[0]:.2f}x)" for rate in rates))


def packing(device: str) -> None:
    """Several trainings at once, each in a process of its own: images a second in all."""
    pack(device, Local())


def mps(device: str) -> None:
    """The same where the processes share the GPU by NVIDIA's multi-process service."""
    pack(device, Local(mps=True))


def pack(device: str, executor: Local) -> None:
    """Train several at once."""
    header("shape", *(f"{n} at once" for n in AT_ONCE))
    for shape in (Shape(22, Fraction(1, 8)), Shape(16, Fraction(2))):
        own = random_images(shape, device, epochs=1, precision="bfloat16")
        several, cells = [replace(own, seed=seed) for seed in range(8)], list[float]()
        ours(executor, several, max(AT_ONCE))
        for workers in AT_ONCE:
            began = time.perf_counter()
            ours(executor, several, workers)
            cells.append(8 * len(own.parts[0]) / (time.perf_counter() - began))
        row(shape, *(f"{rate:.0f} ({rate / cells[0]:.2f}x)" for rate in cells))
    executor.close()


def said(measurement: Measurement) -> str:
    """Write a measurement."""
    if measurement.value is None:
        return str(measurement.status)
    return f"{measurement.value:.4g} ({measurement.low:.4g} to {measurement.high:.4g}) {measurement.status}"


def signs_of(measurement: Measurement) -> str:
    """Say what disturbed a measurement, and how much its anchor varied."""
    about = measurement.details
    times = sorted(about["anchor_samples_ms"])  # type: ignore[call-overload]
    quick, usual, slow = times[len(times) // 4], statistics.median(times), times[-1]
    return (
        f"{about['disturbed_visits']} of {about['visits']} visits disturbed, by {about['signs']}; anchor quartile "
        f"{quick:.4g} ms, median {usual:.4g}, most {slow:.4g}"
    )


def latency(device: str) -> None:
    """The paper's (364, 1) against (22, 4) on 128 images, 4.22 on its GPU; and one image in both modes."""
    header("batch", "mode", "precision", "(364, 1) ms", "(22, 4) ms", "ratio", "seconds")
    deep, wide, signs = Shape(364, Fraction(1)), Shape(22, Fraction(4)), list[str]()
    cases = [(128, "eager", "float32"), (128, "graph", "float32"), (1, "eager", "float32"), (1, "graph", "float32"),
             (128, "graph", "bfloat16")]  # fmt: skip
    for batch, mode, precision in cases:
        began = time.perf_counter()
        workload = Workload(WideResNet(), (3, 32, 32), 10, batch, device)
        found = dict(Latency(mode=mode, precision=precision).measure(workload, [deep, wide]))
        for shape in (deep, wide):
            signs.append(f"{batch} {mode} {shape}: {signs_of(found[shape])}")
        ratio = (found[deep].value or 0.0) / (found[wide].value or 1.0)
        row(batch, mode, precision, said(found[deep]), said(found[wide]), f"{ratio:.2f}",
            f"{time.perf_counter() - began:.0f}")  # fmt: skip
    print("\n" + "\n".join(f"- {line}" for line in signs))


def energy(device: str) -> None:
    """The paper's (58, 1) against (16, 5) on one image, 2.1 on its GPU; the energy counter against the power."""
    deep, wide = Shape(58, Fraction(1)), Shape(16, Fraction(5))
    began = time.perf_counter()
    found = dict(NvmlEnergy().measure(Workload(WideResNet(), (3, 32, 32), 10, 1, device), [deep, wide]))
    for shape, measurement in found.items():
        print(f"\n{shape}: {said(measurement)} J, {json.dumps(dict(measurement.details), default=str)}")
    ratio = (found[deep].value or 0.0) / (found[wide].value or 1.0)
    print(f"\nRatio {ratio:.2f}, {(time.perf_counter() - began) / 2:.0f} s a shape")


def search(device: str) -> None:
    """A whole search on digits, export, and the exported network read back."""
    import torch

    from shape_dnn import load, tune

    with tempfile.TemporaryDirectory() as name:
        study, directory = f"{name}/study", f"{name}/best"
        began = time.perf_counter()
        result = tune(dataset="digits", device=device, depth="10:29:6", width="1/4:2:1/4", max_latency=1.0,
                      goal="latency", min_accuracy=97.0, study=study)  # fmt: skip
        print(f"\nBest {result.answer.best}, {len(result.answer.trainings)} trainings, "
              f"{time.perf_counter() - began:.0f} s")  # fmt: skip
        command = [sys.executable, "-m", "shape_dnn", "export", study, "--output", directory]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        print(f"\nExport ended with {ran.returncode}\n\n```\n{(ran.stdout + ran.stderr)[-1500:]}\n```")
        network = load(directory).to(device)
        with torch.inference_mode():
            print(f"\nLoaded: {tuple(network(torch.rand(5, 1, 8, 8, device=device)).shape)}")


def doctor(_device: str) -> None:
    """What the command says about this machine."""
    ran = subprocess.run([sys.executable, "-m", "shape_dnn", "doctor"], capture_output=True, text=True, check=False)
    print(f"\n```\n{ran.stdout}{ran.stderr}\n```")


PARTS: dict[str, tuple[Callable[[str], None], float]] = {
    "doctor": (doctor, 60),
    "sensors": (sensors, 30),
    "tests": (tests, 240),
    "repetitions": (repetitions, 90),
    "unrecordable": (unrecordable, 90),
    "many": (many, 120),
    "memory": (memory, 120),
    "latency": (latency, 180),
    "energy": (energy, 120),
    "search": (search, 150),
    "rates": (rates, 300),
    "data": (data, 120),
    "precisions": (precisions, 120),
    "augmentation": (augmentation, 90),
    "layouts": (layouts, 120),
    "packing": (packing, 120),
    "mps": (mps, 120),
}
"""What is run, and for how many seconds at most."""


def in_own_process(name: str, device: str) -> str:
    """Run a part; return what it printed."""
    command = [sys.executable, __file__, "--device", device, "--only", name]
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        try:
            status: object = subprocess.run(
                command, stdout=out, stderr=subprocess.STDOUT, timeout=PARTS[name][1], check=False
            ).returncode
        except subprocess.TimeoutExpired:
            status = f"ended after {PARTS[name][1]:.0f} s"
        out.seek(0)
        text = out.read()
    title = (PARTS[name][0].__doc__ or "").splitlines()[0]
    ending = "" if status == 0 else f"\n\n**Failed: {status}**"
    return f"\n## {name}: {title}\n{text.rstrip()}{ending}\n\n{time.perf_counter() - began:.0f} s\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--output", type=Path, default=Path("gpu.md"))
    parser.add_argument("--only", choices=PARTS, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.parts) - set(PARTS))
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}; known are {', '.join(PARTS)}")
    if given.only:
        PARTS[given.only][0](given.device)
        return
    device = devices.resolve(given.device)
    about = devices.fingerprint(device)
    head = (
        f"# {about['hardware']}\n\n{datetime.now(UTC):%Y-%m-%d}; {about['backend']}; torch {about['torch']}; "
        f"Python {platform.python_version()}; {os.cpu_count()} processors\n"
    )
    given.output.write_text(head, encoding="utf-8")
    print(head, flush=True)
    for name in given.parts or PARTS:
        text = in_own_process(name, device)
        print(text, flush=True)
        with given.output.open("a", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    main()
