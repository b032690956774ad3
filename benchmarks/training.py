"""How fast trainings and whole searches are, beside a plain PyTorch loop in the same run.

``python benchmarks/training.py [--device cuda] [PART …]`` runs the parts named, by default all but ``ray``, which needs
the package shape-dnn-ray and an environment where Ray can be imported.

The plain loop is what one writes first: a DataLoader over a dataset with torchvision's transforms, NCHW, float32,
torch's default threads, ``torch.optim.SGD``; the same network, recipe, split, and validation after each epoch.
"""

from __future__ import annotations

import argparse
import heapq
import math
import multiprocessing
import os
import platform
import random
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from shape_dnn import Shape, devices, tune
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.benchmarking.problems import RecordedTable
from shape_dnn.builtin.executors.local import Local
from shape_dnn.data import images
from shape_dnn.data.splits import Part
from shape_dnn.events import Event, TrainingFinished, TrainingsPrepared, ignore
from shape_dnn.kinds import Executor, LabelledImages, TableFile
from shape_dnn.records import Epoch, Stop, Training
from shape_dnn.settings import Settings
from shape_dnn.store.facts import Store
from shape_dnn.study.classification import Classification
from shape_dnn.study.known import KnownFacts
from shape_dnn.study.runner import Conduct
from shape_dnn.study.study import Study
from shape_dnn.training.classifier import ClassifierTrainer, split
from shape_dnn.training.preparing import Preparation, PreparingTask
from shape_dnn.training.task import TrainingTask
from shape_dnn.work import Needs, Outcome, Task

SHAPES = [Shape(10, Fraction(1)), Shape(16, Fraction(1)), Shape(16, Fraction(2))]
TABLE = TableFile(Path(__file__).parents[1] / "plugins/shape-dnn-tables/shape_dnn_tables/wrn-fashion-mnist.csv")
"""Whose durations are drawn."""
THIN = Shape(22, Fraction(1, 8))
"""Of so few channels that it is bound by what is around its arithmetic."""
GRID = {"depth": "10:29:6", "width": "1/2:2:1/2"}
"""Space of the whole search."""


def fashion_mnist(device: str, limit: int, **changes: Any) -> dict[str, Any]:
    """Return the settings of a search on Fashion-MNIST."""
    given = {"dataset": "fashion-mnist", "device": device, "option": [f"dataset.limit={limit}"]}
    data = Path("/usr/share/datasets/fashion-mnist")  # of Debian's package dataset-fashion-mnist
    return given | ({"data_dir": str(data)} if data.is_dir() else {}) | changes


@dataclass(frozen=True)
class Job:
    """What is trained.

    Attributes:
        trainer: how.
        shape: which.
        seed: of everything random.
    """

    trainer: ClassifierTrainer
    shape: Shape
    seed: int = 0

    def with_recipe(self, **changes: Any) -> Job:
        """Return the same with other hyper-parameters."""
        return replace(self, trainer=replace(self.trainer, recipe=replace(self.trainer.recipe, **changes)))

    @property
    def parts(self) -> tuple[Part, Part]:
        """Images to learn from, and to judge by."""
        return split(self.trainer.images, "validation", self.trainer.validation_fraction, self.seed)


def job(shape: Shape, settings: dict[str, Any], **recipe: Any) -> Job:
    """Return what is trained, its images written where all processes find them."""
    problem = Assembly(Settings.create(settings)).problem
    assert isinstance(problem, Classification)
    directory = Path(tempfile.gettempdir()) / f"shape-dnn-benchmark-{problem.fingerprint}"
    train, test = problem.images
    assert isinstance(train, LabelledImages)
    assert isinstance(test, LabelledImages)
    images.save(train, test, directory)
    trainer = ClassifierTrainer(
        problem.architecture.choice, (), directory, problem.conditions.classes,
        problem.dataset.instance.validation_fraction, problem.recipe, problem.device, "validation",
    )  # fmt: skip
    return Job(trainer, shape).with_recipe(**recipe)


# The plain loop


def plain(given: tuple[Job, int]) -> tuple[float, float, float]:
    """Train as one writes it first; return seconds, best accuracy, and the most memory of the process in bytes.

    Args:
        given: what to train, and processes of each DataLoader.
    """
    import torch
    from torch.utils.data import DataLoader, Dataset
    from torchvision.transforms import v2

    from shape_dnn.training.loop import learning_rate

    own, processes = given
    recipe, device = own.trainer.recipe, torch.device(own.trainer.device)
    torch.manual_seed(own.seed)
    train, judge = (part.copy() for part in own.parts)
    mean, std = train.images.mean((0, 2, 3)), np.maximum(train.images.std((0, 2, 3)), 1.0)
    usual = [v2.ToDtype(torch.float32), v2.Normalize(mean.tolist(), std.tolist())]
    random_ones: list[Any] = [v2.RandomCrop(own.trainer.input_shape[1:], padding=recipe.crop)] if recipe.crop else []
    random_ones += [v2.RandomHorizontalFlip()] if recipe.flip else []

    class Images(Dataset[tuple[torch.Tensor, int]]):
        def __init__(self, part: Any, transforms: Sequence[Any]) -> None:
            self.part, self.transform = part, v2.Compose(list(transforms))

        def __len__(self) -> int:
            return len(self.part)

        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            return self.transform(torch.from_numpy(self.part.images[index])), int(self.part.labels[index])

    pinned = device.type == "cuda"
    settings: dict[str, Any] = {"num_workers": processes, "pin_memory": pinned, "persistent_workers": processes > 0}
    settings |= {"multiprocessing_context": "fork"} if processes else {}  # what Linux does unless told otherwise
    batches = DataLoader(
        Images(train, [*random_ones, *usual]), recipe.batch_size, shuffle=True, drop_last=True, **settings
    )
    judged = DataLoader(Images(judge, usual), 4 * recipe.batch_size, **settings)
    network = own.trainer.build(own.shape).to(device)
    optimiser = torch.optim.SGD(
        network.parameters(), recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay, nesterov=True
    )
    best, began = 0.0, time.perf_counter()
    for epoch in range(recipe.epochs):
        network.train()
        for i, (batch, labels) in enumerate(batches):
            rate = learning_rate(recipe, (epoch + i / len(batches)) / recipe.epochs)
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.zero_grad()
            logits = network(batch.to(device, non_blocking=True))
            loss = torch.nn.functional.cross_entropy(logits, labels.to(device, non_blocking=True))
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        network.eval()
        with torch.inference_mode():
            right = sum(int((network(x.to(device)).argmax(1).cpu() == y).sum()) for x, y in judged)
        best = max(best, 100 * right / len(judge))
    return time.perf_counter() - began, best, 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def loaders(device: str) -> list[int]:
    """Return how many processes of its DataLoader the plain loop may have: few beside a processor, which computes."""
    most = devices.cores() if device.startswith("cuda") else 2
    return [processes for processes in (0, 2, 4, 8, 16) if processes <= most]


def alone(function: Callable[[Any], Any], argument: Any) -> Any:
    """Call a function in a fresh process with torch's default threads."""
    threads = os.environ.pop("OMP_NUM_THREADS", None)
    try:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            return pool.submit(function, argument).result()
    finally:
        if threads is not None:
            os.environ["OMP_NUM_THREADS"] = threads


# Ours


def task(own: Job, directory: Path, name: str) -> TrainingTask:
    """Return a training that leaves its files in a directory."""
    weights, checkpoints, needs = directory / name, directory / f"{name}-checkpoints", Needs(own.trainer.device)
    return TrainingTask(own.trainer, own.shape, own.seed, weights, checkpoints, 1e9, name, None, needs)


def ours(executor: Local, jobs: Sequence[Job], workers: int) -> list[Training]:
    """Train at the same time, in workers that are there already."""
    with tempfile.TemporaryDirectory() as directory:
        tasks = [task(own, Path(directory), str(i)) for i, own in enumerate(jobs)]
        outcomes = list(executor.run(tasks, workers, lambda *_: True))
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
    return [outcome.result for outcome in outcomes if isinstance(outcome.result, Training)]


def _seconds(trainings: Sequence[Training]) -> list[float]:
    return [training.seconds or math.nan for training in trainings]


def most_memory(own: Job) -> float:
    """Train in this process; return the most memory of it in bytes."""
    with tempfile.TemporaryDirectory() as directory:
        task(own, Path(directory), "a").run(lambda _: True)
    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def prepared(executor: Local, own: Job) -> tuple[Preparation, Job]:
    """Let a worker find out precision and memory."""
    preparing = PreparingTask(own.trainer, (own.shape,), own.trainer.device, standing=own.shape)
    (outcome,) = executor.run([preparing], 1, lambda *_: True)
    if outcome.error is not None:
        raise outcome.error
    assert isinstance(outcome.result, Preparation)
    assert outcome.result.decision is not None
    return outcome.result, own.with_recipe(precision=outcome.result.decision.precision)


def rates(device: str, rounds: int, batch_size: int, limit: int) -> None:
    """Print images per second beside the plain loop, all processors at work in both; and the memory of a worker.

    The plain loop has as many processes to load images as it is fastest with.
    """
    cores = devices.cores()
    print(f"\nImages a second, Fashion-MNIST, {limit} images, batches of {batch_size}, {cores} cores, {rounds} rounds")
    print(f"{'':<10}{'plain':>9}{'loaders':>9}{'one':>9}{'all':>9}{'plain/core':>12}{'all/core':>10}{'ratio':>8}"
          f"{'all/one':>9}{'precision':>11}{'memory MB':>11}{'estimate':>10}{'plain MB':>10}")  # fmt: skip
    for shape in SHAPES:
        own = job(shape, fashion_mnist(device, limit), epochs=1, batch_size=batch_size)
        executor = Local()
        found, own = prepared(executor, own)
        seen = len(own.parts[0])
        warm = [replace(own, seed=seed) for seed in range(cores)]
        ours(executor, warm, cores)
        processes = min(loaders(device), key=lambda processes: alone(plain, (own, processes))[0])
        measured: list[tuple[float, float, float]] = []
        for _ in range(rounds):  # in turns, so that a slow moment hits all alike
            slow = alone(plain, (own, processes))[0]
            one = seen / _seconds(ours(executor, warm[:1], 1))[0]
            many = sum(seen / seconds for seconds in _seconds(ours(executor, warm, cores)))
            measured.append((seen / slow, one, many))
        executor.close()
        base, one, many = (statistics.median(column) for column in zip(*measured, strict=True))
        ratio = statistics.median(each[2] / each[0] for each in measured)
        scaling = statistics.median(each[2] / each[1] for each in measured)
        memory, slow_memory = alone(most_memory, own), alone(plain, (own, 0))[2]
        print(f"{shape!s:<10}{base:>9.0f}{processes:>9}{one:>9.0f}{many:>9.0f}{base / cores:>12.0f}"
              f"{many / cores:>10.0f}{ratio:>7.2f}x{scaling:>8.2f}x{own.trainer.recipe.precision:>11}"
              f"{memory / 1e6:>11.0f}{found.needs[shape].memory / 1e6:>10.0f}{slow_memory / 1e6:>10.0f}",
              flush=True)  # fmt: skip


def processor_seconds(given: tuple[Callable[[Any], Any], Any]) -> float:
    """Call a function with one thread; return what it took of a processor, which other work of the machine does not."""
    import torch

    function, argument = given
    torch.set_num_threads(1)
    began = time.process_time()
    function(argument)
    return time.process_time() - began


def one_core(rounds: int, batch_size: int, limit: int) -> None:
    """Print images per second of one core in float32 beside the plain loop, which loads its images itself."""
    isa = os.environ.get("ONEDNN_MAX_CPU_ISA", "all that there is")
    print(f"\nImages a second of one core in float32, Fashion-MNIST, {limit} images, batches of {batch_size}, "
          f"{rounds} rounds, instructions of oneDNN: {isa}")  # fmt: skip
    print(f"{'':<10}{'plain':>9}{'ours':>9}{'ratio':>8}{'least':>8}{'most':>8}")
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn) as others, ProcessPoolExecutor(1, spawn) as own:
        for shape in (*SHAPES, THIN):
            given = job(shape, fashion_mnist("cpu", limit), epochs=1, batch_size=batch_size, precision="float32")
            sides = ((others, (plain, (given, 0))), (own, (most_memory, given)))
            measured = []
            for i in range(rounds + 1):  # in turns, so that a slow moment hits both
                seconds = [pool.submit(processor_seconds, work).result() for pool, work in sides]
                if i:  # the first is to warm up
                    measured.append([len(given.parts[0]) / each for each in seconds])
            ratios = [mine / slow for slow, mine in measured]
            slow, mine = (statistics.median(column) for column in zip(*measured, strict=True))
            print(f"{shape!s:<10}{slow:>9.0f}{mine:>9.0f}{statistics.median(ratios):>7.2f}x{min(ratios):>7.2f}x"
                  f"{max(ratios):>7.2f}x", flush=True)  # fmt: skip


def accuracy(device: str, seeds: int) -> None:
    """Print accuracies beside those of the plain loop, on digits with the whole recipe."""
    print(f"\nAccuracy on digits, {seeds} seeds: ours in bfloat16, ours in float32, plain; mean, and error of the mean")
    executor = Local()
    for shape in SHAPES:
        own = job(shape, {"dataset": "digits", "device": device}, precision="float32")
        half = own.with_recipe(precision="bfloat16")
        several = [[replace(each, seed=seed) for seed in range(seeds)] for each in (half, own)]
        found = [[training.quality or 0.0 for training in ours(executor, each, devices.cores())] for each in several]
        found.append([alone(plain, (each, 0))[1] for each in several[1]])
        cells = [f"{np.mean(own):8.2f} +/- {np.std(own, ddof=1) / math.sqrt(seeds):.2f}" for own in found]
        print(f"{shape!s:<10}{''.join(cells)}", flush=True)
    executor.close()


def search(device: str, epochs: int, limit: int) -> None:
    """Print how long all shapes of a space take, beside the plain loop one after the other."""
    settings = fashion_mnist(device, limit, epochs=epochs, strategy="exhaustive", sampler="interval", **GRID)
    parts = Assembly(Settings.create(settings))
    finished: list[float] = []
    begun: list[float] = []

    def watch(event: Event) -> None:
        if isinstance(event, TrainingsPrepared):
            begun.append(time.perf_counter())
        if isinstance(event, TrainingFinished):
            finished.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as directory:
        start = time.perf_counter()
        result = tune(**settings, study=directory, notify=watch)
        whole = time.perf_counter() - start
    seconds = [training.seconds or 0.0 for training in result.answer.trainings]
    bound = max(*seconds, sum(seconds) / devices.cores())
    makespan = finished[-1] - begun[0]
    others = [job(shape, fashion_mnist(device, limit), epochs=epochs, precision="float32") for shape in parts.shapes]
    slow = sum(alone(plain, (own, 0))[0] for own in others)  # without the start of Python and torch
    print(f"\nAll {len(seconds)} shapes of depth {GRID['depth']} and width {GRID['width']}, Fashion-MNIST, "
          f"{limit} images, {epochs} epochs\n"
          f"makespan {makespan:.1f} s, {makespan / bound:.3f} times the lower bound of {bound:.1f} s\n"
          f"the whole command {whole:.1f} s; the plain loop, one shape after the other, {slow:.1f} s: "
          f"{slow / whole:.2f} times as long", flush=True)  # fmt: skip


# The driver


class Instant(Executor):
    """Answers at once, so that only the time of the driver is left."""

    def run(
        self, tasks: Sequence[Task], workers: int | None, report: Callable[[Task, object], bool]
    ) -> Iterator[Outcome]:
        """Report some epochs of each training, and its result."""
        for each in tasks:
            if isinstance(each, PreparingTask):
                yield Outcome(each, Preparation(None, {shape: Needs() for shape in each.shapes}))
            elif isinstance(each, TrainingTask):
                curve = tuple(Epoch(i, 1.0, 50.0 + i) for i in range(1, (each.trainer.load().steps or 0) + 1))
                for epoch in curve:
                    report(each, epoch)
                each.weights.parent.mkdir(parents=True, exist_ok=True)
                each.weights.write_bytes(b"weights")
                yield Outcome(each, Training(each.shape, 60.0, "", curve, 1.0))


def driver(number: int) -> float:
    """Print, and return, the seconds of the driver for each training with 12 epochs, of many in one batch."""
    with tempfile.TemporaryDirectory() as directory:
        settings = {"depth": f"10:{10 + 6 * number // 100}:6", "width": "1/16:101/16:1/16", "device": "cpu"}
        parts = Assembly(Settings.create({**settings, "option": ["recipe.precision=float32"], "study": directory}))
        store = Store(Path(directory))
        facts = KnownFacts(store, parts.problem.workload, {}, {}, None, Stop(""), False)
        executor = replace(parts.executor, instance=Instant())
        study = Study(facts, parts.problem, executor, parts.terminator, Conduct(ignore))
        study.prepare()
        shapes = parts.shapes
        began = time.perf_counter()
        trainings = study.train(shapes)
        seconds = (time.perf_counter() - began) / len(shapes)
        assert len(trainings) == len(shapes)
        store.close()
    print(f"\nThe driver takes {1e3 * seconds:.2f} ms for each of {len(shapes)} trainings of 12 epochs, files included")
    return seconds


def makespan(durations: Sequence[float], workers: int, overhead: float) -> float:
    """Return when the last training ends if each free worker takes the longest that is left, and the driver is one.

    Args:
        durations: in seconds.
        workers: at the same time.
        overhead: seconds that the driver takes for each, one after the other.
    """
    free = [0.0] * workers
    heapq.heapify(free)
    told = 0.0
    for duration in sorted(durations, reverse=True):
        told = max(told, heapq.heappop(free)) + overhead
        heapq.heappush(free, told + duration)
    return max(free)


def scaling(overhead: float) -> None:
    """Print how far from the lower bound many workers would be, by durations drawn from a recorded table."""
    table = RecordedTable.read(TABLE)
    generator = random.Random(0)
    shortest, longest = table.seconds.min(), table.seconds.max()
    print(f"\nSimulated with durations drawn from {table.name}, {shortest:.0f} to {longest:.0f} s, "
          f"and {1e3 * overhead:.2f} ms of the driver for each\n"
          f"{'shapes':>8}{'workers':>9}{'makespan s':>12}{'lower bound s':>15}{'ratio':>8}")  # fmt: skip
    for shapes, workers in ((100, 2), (100, 16), (1_000, 100), (10_000, 100), (10_000, 1_000)):
        durations = generator.choices(table.seconds.tolist(), k=shapes)
        bound = max(*durations, sum(durations) / workers)
        took = makespan(durations, workers, overhead)
        print(f"{shapes:>8}{workers:>9}{took:>12.1f}{bound:>15.1f}{took / bound:>8.3f}")


def ray(device: str, number: int) -> None:
    """Print what Ray adds to a training and to a task that does nothing, beside worker processes of this machine."""
    from shape_dnn.testing.executors import Square
    from shape_dnn_ray.executor import RayCluster

    print(f"\nRay beside local workers, {devices.cores()} at a time, after one task to warm up")
    with tempfile.TemporaryDirectory() as directory:
        own = job(SHAPES[0], {"dataset": "digits", "device": device}, epochs=4, precision="float32")
        for name, executor in (("local", Local()), ("ray", RayCluster())):
            list(executor.run([task(own, Path(directory), f"{name}-first")], None, lambda *_: True))
            began = time.perf_counter()
            assert len(list(executor.run([Square(i) for i in range(number)], None, lambda *_: True))) == number
            each = (time.perf_counter() - began) / number
            beyond = []
            for i in range(8):
                began = time.perf_counter()
                (outcome,) = executor.run([task(own, Path(directory), f"{name}-{i}")], None, lambda *_: True)
                assert isinstance(outcome.result, Training), outcome.error
                beyond.append(time.perf_counter() - began - (outcome.result.seconds or 0.0))
            executor.close()
            print(f"{name:<6} {1e3 * each:7.1f} ms for a task that does nothing, of {number}")
            print(
                f"       {statistics.median(beyond):.2f} s beyond a training, {max(beyond):.2f} s at most", flush=True
            )


# A GPU


def packing(device: str, limit: int) -> None:
    """Print what several small shapes at once on one GPU give, beside one after the other."""
    print("\nSeveral at once on one GPU, images a second in all, beside one alone")
    executor = Local()
    for shape in SHAPES:
        _, own = prepared(executor, job(shape, fashion_mnist(device, limit), epochs=2))
        seen = 2 * len(own.parts[0])
        several = [replace(own, seed=seed) for seed in range(8)]
        ours(executor, several, 8)
        cells = []
        for workers in (1, 2, 4, 8):
            began = time.perf_counter()
            ours(executor, several, workers)
            cells.append(8 * seen / (time.perf_counter() - began))
        ratios = "".join(f"{rate:>10.0f} ({rate / cells[0]:.2f}x)" for rate in cells)
        print(f"{shape!s:<10}{own.trainer.recipe.precision:>10}{ratios}", flush=True)
    executor.close()


PARTS = ("rates", "float32", "accuracy", "search", "driver", "packing", "ray")


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=8)
    arguments = parser.parse_args()
    device = devices.resolve(arguments.device)
    is_gpu = device != "cpu"
    parts = arguments.parts or [part for part in PARTS if part != "ray" and (part != "packing" or is_gpu)]
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}; known are {', '.join(PARTS)}")
    about = devices.fingerprint(device)
    print(f"{datetime.now(UTC):%Y-%m-%d}; {about['hardware']}; {about['backend']}; torch {about['torch']}; "
          f"Python {platform.python_version()}")  # fmt: skip
    limit = 60_000 if is_gpu else 3_000
    if "rates" in parts:
        for batch_size in (128, 32):
            rates(device, arguments.rounds, batch_size, limit)
    if "float32" in parts:
        one_core(arguments.rounds, 128, limit)
    if "accuracy" in parts:
        accuracy(device, arguments.seeds)
    if "search" in parts:
        search(device, 2, limit)
    if "driver" in parts:
        scaling(driver(2_000))
    if "packing" in parts:
        packing(device, limit)
    if "ray" in parts:
        ray(device, 100)
    for directory in Path(tempfile.gettempdir()).glob("shape-dnn-benchmark-*"):
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
