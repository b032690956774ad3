"""Studies that may only be read, such as those of somebody else."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import pytest

from shape_dnn import Measurement, Shape, tune
from shape_dnn.errors import StudyError
from shape_dnn.store import schema
from shape_dnn.store.facts import Store

TRAINER = """
from torch import nn

DEPTH, WIDTH = "10:22:6", "1/2:1:1/2"

def build(shape):
    return nn.Linear(shape.depth, int(4 * shape.width))

def train(shape, run):
    run.report(1, 60 + shape.depth / 10)
"""
FORMER = (
    "ALTER TABLE training RENAME COLUMN quality TO accuracy; ALTER TABLE test RENAME COLUMN quality TO accuracy;"
    " DROP TABLE epoch; CREATE TABLE epoch (training INTEGER, number INTEGER, loss REAL, accuracy REAL);"
    f" PRAGMA user_version = {schema.SCHEMA_VERSION - 1}"
)
"""What makes a study file one of the format before."""
Command = Callable[..., subprocess.CompletedProcess[str]]


def content(study: Path) -> dict[str, int]:
    return {str(path.relative_to(study)): path.stat().st_mtime_ns for path in [study, *study.rglob("*")]}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("trainer.py").write_text(TRAINER)
    tune(trainer="trainer.py", study="study", device="cpu", goal="accuracy", train=2)
    return tmp_path / "study"


@pytest.fixture
def read_only(study: Path) -> Iterator[Command]:
    """Runs a command for which nothing of the study can be written."""
    if os.geteuid():
        places = [study, *(path for path in study.rglob("*"))]
        modes = [path.stat().st_mode for path in places]
        for path, mode in zip(places, modes, strict=True):
            path.chmod(mode & ~0o222)
        yield lambda *command: subprocess.run(command, capture_output=True, text=True, check=False)
        for path, mode in zip(places, modes, strict=True):
            path.chmod(mode)
        return
    mount = f'mount --make-rprivate / && mount --bind "{study}" "{study}" && mount -o remount,ro,bind "{study}" && exec "$@"'
    apart = [str(shutil.which("unshare")), "--mount", "sh", "-c", mount, "sh"]
    if shutil.which("unshare") is None or subprocess.run([*apart, "true"], check=False, capture_output=True).returncode:
        pytest.skip("root writes everywhere where nothing can be mounted")
    yield lambda *command: subprocess.run([*apart, *command], capture_output=True, text=True, check=False)


def test_a_study_that_cannot_be_written_answers_like_any_other(study: Path, read_only: Command) -> None:
    shape_dnn = [sys.executable, "-m", "shape_dnn"]
    commands = [
        ["ask", "study", "--goal", "size", "--format", "json"],
        ["report", "study", "-O", "report.html"],
        ["studies", ".", "--format", "json"],
    ]
    before = content(study)
    for command in commands:
        refused = read_only(*shape_dnn, *command)
        assert refused.returncode == 0, refused.stderr
        allowed = subprocess.run([*shape_dnn, *command], capture_output=True, text=True, check=False)
        assert refused.stdout == allowed.stdout
    (row,) = json.loads(refused.stdout)
    assert row["state"] == "done"
    assert content(study) == before, "and where it could be written, it was not either"
    again = read_only(
        *shape_dnn, "--trainer", "trainer.py", "--device", "cpu", "--goal", "accuracy", "--study", "study"
    )
    assert again.returncode == 4
    assert re.fullmatch(r"shape-dnn: error: 'study/lock' cannot be locked: [A-Z].*\n", again.stderr)


def test_a_study_that_cannot_be_written_is_merged_into_another(study: Path, read_only: Command) -> None:
    before = content(study)
    merge = [sys.executable, "-m", "shape_dnn", "studies", "merge", "study"]
    merged = read_only(*merge, "mine")
    assert merged.returncode == 0, merged.stderr
    assert content(study) == before
    subprocess.run([*merge, "allowed"], check=True, capture_output=True)
    for name in ("mine", "allowed"):
        again = tune(trainer="trainer.py", study=name, device="cpu", goal="accuracy", train=2)
        assert again.new_trainings == 0
    weights = [sorted(path.name for path in Path(name, "weights").rglob("*")) for name in ("mine", "allowed")]
    assert weights[0] == weights[1]
    refused = read_only(*merge[:-1], "mine", "study")
    assert refused.returncode == 4
    assert "'study/lock' cannot be locked" in refused.stderr


@pytest.fixture
def former(study: Path) -> Path:
    """The study as it was in a former format."""
    with closing(sqlite3.connect(study / "study.sqlite")) as connection:
        connection.executescript(FORMER)
    return study


@pytest.mark.usefixtures("former")
def test_a_study_of_a_former_format_is_merged_where_it_cannot_be_written(read_only: Command) -> None:
    merged = read_only(sys.executable, "-m", "shape_dnn", "studies", "merge", "study", "mine")
    assert merged.returncode == 0, merged.stderr
    assert Store(Path("mine"), create=False).summary()["trained"] == 2


def test_a_study_in_use_that_cannot_be_written_is_not_merged(study: Path, read_only: Command) -> None:
    (study / "lock").touch()
    holder = Store(study)
    holder.runs.lock()
    refused = read_only(sys.executable, "-m", "shape_dnn", "studies", "merge", "study", "mine")
    holder.close()
    assert refused.returncode == 4
    assert "study 'study' is in use by" in refused.stderr


def test_a_study_of_a_former_format_is_read_where_it_cannot_be_written(former: Path, read_only: Command) -> None:
    asked = read_only(sys.executable, "-m", "shape_dnn", "studies", ".", "--format", "json")
    assert json.loads(asked.stdout)[0]["trained"] == 2
    assert not list(former.glob("*format*"))


def test_whoever_reads_makes_no_file(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_measurement(store.context("latency", {}), Shape(10, Fraction(1)), Measurement(1.0), {})
    store.close()
    (tmp_path / "weights").rmdir()
    before = content(tmp_path)
    reader = Store(tmp_path, create=False)
    assert reader.summary()["measured"] == 1
    reader.close()
    assert content(tmp_path) == before


def test_whether_a_search_works_on_it_is_told_of_a_lock_that_can_only_be_read(study: Path, read_only: Command) -> None:
    (study / "lock").touch()
    state = "UPDATE run SET state = 'running', pid = 1"
    with closing(sqlite3.connect(study / "study.sqlite")) as connection, connection:
        connection.execute(state)
    ask = [sys.executable, "-m", "shape_dnn", "studies", ".", "--format", "json"]
    assert json.loads(read_only(*ask).stdout)[0]["state"] == "interrupted"
    holder = Store(study)
    holder.runs.lock()
    assert json.loads(read_only(*ask).stdout)[0]["state"] == "running"
    with pytest.raises(StudyError, match="is in use by process 1 on"):
        Store(study).runs.lock()
    holder.close()
