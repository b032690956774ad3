"""Questions put to methods in many processes, with the same answers in however many."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from shape_dnn import devices
from shape_dnn.benchmarking import questions
from shape_dnn.benchmarking.asking import ask
from shape_dnn.benchmarking.judging import Run
from shape_dnn.benchmarking.method import Method
from shape_dnn.benchmarking.methods import parse
from shape_dnn.benchmarking.problems import RecordedTable
from shape_dnn.benchmarking.questions import Ask, Question
from shape_dnn.benchmarking.results import Kept
from shape_dnn.errors import UnavailableError
from shape_dnn.plugins.registry import Registry
from shape_dnn.system import environment

CHUNK = 4
"""Questions that a process is given at once."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Read by numerical libraries when they are imported."""


@dataclass(frozen=True)
class Task:
    """What is to be asked.

    Attributes:
        tables: that are asked about.
        specs: of the methods.
        number: of questions about each table.
        seed: of the questions.
        ask: what is asked for.
        plugins: files that declare plugins.
    """

    tables: Sequence[RecordedTable]
    specs: Sequence[str]
    number: int
    seed: int = 0
    ask: Ask = "best"
    plugins: tuple[Path, ...] = ()

    @cached_property
    def registry(self) -> Registry:
        """The plugins."""
        return Registry(self.plugins)

    @cached_property
    def methods(self) -> dict[str, Method]:
        """The methods by their names."""
        return {spec: parse(spec, self.registry) for spec in self.specs}

    @cached_property
    def questions(self) -> list[list[Question]]:
        """Those about each table."""
        return [questions.draw(table, self.number, self.seed, self.ask) for table in self.tables]


Chunk = tuple[int, str, Sequence[int]]
"""Number of the table, name of the method, numbers of the questions."""


def run(
    task: Task,
    pairs: Sequence[tuple[int, str]],
    workers: int | None = None,
    results: Path | None = None,
    say: Callable[[str], None] = lambda _line: None,
) -> dict[tuple[int, str], list[Run]]:
    """Ask every question that is not answered in the results.

    Args:
        task: what is to be asked.
        pairs: which methods are asked about which tables: numbers of tables, and names of methods.
        workers: processes; by default one for each core. Each computes with one thread.
        results: directory in which runs are kept; None to keep none.
        say: told a line whenever a method is done with a table.

    Returns:
        The runs of each pair, in the order of the questions.

    Raises:
        UnavailableError: the processes cannot start, or one died.
        PluginError: a method or a plugin failed.
        UsageError: the results cannot be read or written.
    """
    kept = {(i, spec): Kept(results, task.tables[i], task.methods[spec], task.ask, task.seed) for i, spec in pairs}
    waiting = {pair: [n for n in range(task.number) if n not in own.runs] for pair, own in kept.items()}
    chunks = [(*pair, left[at : at + CHUNK]) for pair, left in waiting.items() for at in range(0, len(left), CHUNK)]
    began = time.monotonic()
    for pair, runs in _answers(task, chunks, workers):
        kept[pair].add(runs)
        if len(kept[pair].runs) >= task.number and all(n in kept[pair].runs for n in waiting[pair]):
            name, spec = task.tables[pair[0]].name, pair[1]
            say(f"{name}: {spec} has answered {task.number} questions ({time.monotonic() - began:.0f} s)")
    return {pair: [own.runs[n] for n in range(task.number)] for pair, own in kept.items()}


def _answers(
    task: Task, chunks: Sequence[Chunk], workers: int | None
) -> Iterator[tuple[tuple[int, str], Mapping[int, Run]]]:
    if not chunks:
        return
    number = max(1, min(workers or devices.cores(), len(chunks)))
    with environment.changed(**ONE_THREAD):  # processes with more than one thread also round differently
        pool = ProcessPoolExecutor(number, multiprocessing.get_context("spawn"), _begin, (replace(task),))
        try:
            asked: dict[Future[dict[int, Run]], Chunk] = {pool.submit(_answer, chunk): chunk for chunk in chunks}
            for future in as_completed(asked):
                i, spec, _ = asked[future]
                yield (i, spec), future.result()
        except BrokenProcessPool:
            raise UnavailableError(
                "a process that asks questions could not start, or died, perhaps for lack of memory. A script that "
                'compares must do so below `if __name__ == "__main__":`, since the processes import it again'
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


_task: Task | None = None
"""In a process that asks: what is to be asked."""


def _begin(task: Task) -> None:
    global _task  # noqa: PLW0603 - one for the life of the process
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it ends it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _task = task


def _end_with_parent() -> None:
    """End this process if the one that started it was killed, which could not say so."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _answer(chunk: Chunk) -> dict[int, Run]:
    assert _task is not None  # noqa: S101 - set before
    i, spec, numbers = chunk
    table, method = _task.tables[i], _task.methods[spec]
    return {number: ask(table, _task.questions[i][number], method, number) for number in numbers}
