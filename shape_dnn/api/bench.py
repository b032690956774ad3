"""Compare ways of searching on recorded tables, where the truth is known."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import get_args

from shape_dnn.answers.data_frames import Records
from shape_dnn.answers.summary import Shown, Summary
from shape_dnn.answers.words import number
from shape_dnn.assembly.replay import find_table
from shape_dnn.assembly.selection import Selection
from shape_dnn.benchmarking import comparison
from shape_dnn.benchmarking.comparison import Performance, Row
from shape_dnn.benchmarking.curves import is_curves_of
from shape_dnn.benchmarking.methods import DEFAULTS, installed
from shape_dnn.benchmarking.problems import RecordedTable
from shape_dnn.benchmarking.questions import Ask
from shape_dnn.benchmarking.running import Task, run
from shape_dnn.errors import UsageError
from shape_dnn.plugins.registry import Registry
from shape_dnn.settings import Settings
from shape_dnn.system.text import listed

SHOWN = {
    "method": "method", "trainings": "trainings", "seconds_percent": "seconds %",
    "within_percent": "right %", "violations_percent": "violate %", "regret_points": "regret pt",
    "regret_percent": "regret %", "recall": "recall", "precision": "precision", "coverage": "coverage",
    "doubt_error": "doubt err", "as_good_after": "as good at",
}  # fmt: skip
"""The figures that a table for people shows if any method has them, with their headings."""


class Benchmark(Shown, Records[Row]):
    """The figures of each method on each table: a list that is also a table.

    Args:
        judged: how each method did, question by question.
    """

    columns = tuple(field.name for field in dataclasses.fields(Row))

    def __init__(self, judged: Sequence[Performance]) -> None:
        super().__init__(comparison.rows(judged))
        self.judged = judged

    @property
    def summaries(self) -> list[Summary]:
        """For each recorded table, a table for people with the figures that any of the methods has."""
        records = [{**figures, "as_good_after": row.as_good} for figures, row in zip(self.rows(), self, strict=True)]
        shown = [name for name in SHOWN if any(record[name] is not None for record in records)]
        found = []
        for table in dict.fromkeys(record["table"] for record in records):
            own = [record for record in records if record["table"] == table]
            cells = [[v if isinstance(v := each[name], str) else number(v, 3) for name in shown] for each in own]
            found.append(Summary(table, [SHOWN[name] for name in shown], cells))
        return found


def bench(
    tables: str | Path | Iterable[str | Path],
    *,
    methods: Iterable[str] = (),
    peers: bool = False,
    questions: int = 200,
    seed: int = 0,
    ask: Ask = "best",
    noise: float | None = None,
    metrics: Iterable[str] = (),
    workers: int | None = None,
    results: str | Path | None = None,
    report: str | Path | None = None,
    plugin: Iterable[str | Path] = (),
    notify: Callable[[str], None] = lambda _line: None,
) -> Benchmark:
    """Ask every method the same random questions about tables, and compare its answers with the truth.

    Args:
        tables: CSV files (:mod:`shape_dnn.study.tables`), or names of tables that plugins declare. Learning curves lie
            in ``STEM-curves.csv`` beside a file, and may be among the files given.
        methods: names such as ``default``, ``paper:thorough``, ``top-k:5`` and ``optuna-tpe``, or settings of a search
            such as ``model=ridge,confidence=0.9``; by default ``default``, ``paper`` and ``random``.
        peers: whether to add every other method that is installed.
        questions: number of questions about each table.
        seed: seed of the questions.
        ask: ``best`` to ask for the best shape by a goal, ``sets`` to ask for all shapes that comply.
        noise: standard deviation of a training in points, for tables that do not tell it.
        metrics: columns that questions are about; by default size, multiply-adds, latency, energy and memory, where a
            table has them.
        workers: number of processes; by default one for each core. The figures are the same with any number.
        results: directory in which answers are kept, so that the same command goes on after an interruption.
        report: HTML file to write.
        plugin: Python files that declare plugins.
        notify: called with a line of text whenever a method is done with a table.

    Raises:
        UsageError: a table, a method or a setting cannot be used.
        UnavailableError: a method is not installed, or fails.
    """
    _check(questions, seed, ask, noise, workers)
    selection = Selection(Settings.create({"plugin": list(map(str, plugin))}), Registry(list(map(Path, plugin))))
    named = [str(each) for each in ([tables] if isinstance(tables, str | Path) else tables)]
    read = _read(named, selection, noise, tuple(listed(metrics)))
    methods = [methods] if isinstance(methods, str) else list(methods)  # commas are part of what a method is called
    specs = list(dict.fromkeys([*(methods or (() if peers else DEFAULTS)), *(installed() if peers else ())]))
    task = Task(read, specs, questions, seed, ask, tuple(map(Path, plugin)))
    pairs = list(_pairs(task, set(methods or DEFAULTS)))
    runs = run(task, pairs, workers, None if results is None else Path(results), notify)
    judged = [comparison.judge_all(read[i], task.questions[i], task.methods[spec], runs[i, spec]) for i, spec in pairs]
    found = Benchmark(judged)
    if report is not None:
        from shape_dnn.benchmarking import page

        page.write(found, judged, Path(report))
    return found


def _pairs(task: Task, explicit: Collection[str]) -> Iterator[tuple[int, str]]:
    """Yield the number of each table with every method that can be asked about it."""
    for i, table in enumerate(task.tables):
        for spec, method in task.methods.items():
            refusal = method.refuses(table, task.ask)
            if refusal and spec in explicit:
                raise UsageError(f"{spec!r}: {refusal}", setting="method")
            if refusal:
                warnings.warn(f"{spec} is left out: it {refusal}", stacklevel=4)
            else:
                yield i, spec


def _read(
    named: Sequence[str], selection: Selection, noise: float | None, metrics: tuple[str, ...]
) -> list[RecordedTable]:
    tables: dict[str, RecordedTable] = {}
    for name in named:
        if is_curves_of(Path(name), list(map(Path, named))):
            continue
        try:
            table = RecordedTable.read(find_table(name, selection), noise, metrics)
        except UsageError as error:
            raise UsageError(error.message, "table" if error.setting == "replay" else error.setting) from None
        if table.name in tables:
            raise UsageError(f"two tables are called {table.name}; rename a file", setting="table")
        for note in table.notes:
            warnings.warn(note, stacklevel=3)
        tables[table.name] = table
    if not tables:
        raise UsageError("no table is given", setting="table")
    return list(tables.values())


def _check(questions: int, seed: int, ask: str, noise: float | None, workers: int | None) -> None:
    for name, value, least in (("questions", questions, 1), ("seed", seed, 0), ("workers", workers, 1)):
        if value is not None and value < least:
            raise UsageError(f"{value} is not a whole number from {least}", setting=name)
    if noise is not None and not 0 < noise <= 100:
        raise UsageError(f"{noise} is not a standard deviation in points, above 0 and up to 100", setting="noise")
    if ask not in get_args(Ask):
        raise UsageError(f"{ask!r} is not accepted; accepted are {' and '.join(get_args(Ask))}", setting="ask")
