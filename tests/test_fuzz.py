"""Whatever is in a file, the answer is right or one clear error: no traceback, no hang, nothing executed.

``pytest --hypothesis-profile=nightly tests/test_fuzz.py`` tries 10,000 cases of each.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import math
import shutil
import sqlite3
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from test_datasets import write_batch, write_mnist
from test_main_job import HERE

from shape_dnn import DatasetError, ShapeDnnError, ask, tune
from shape_dnn.api import studies
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.builtin.datasets.cifar import Cifar10, Cifar100
from shape_dnn.builtin.datasets.imagenet32 import ImageNet32
from shape_dnn.builtin.datasets.mnist import Mnist
from shape_dnn.cli.config import gather
from shape_dnn.data import images
from shape_dnn.errors import StudyError
from shape_dnn.settings import SETTINGS
from shape_dnn.store.database import FILE_NAME
from shape_dnn.store.facts import Store
from shape_dnn.study.tables import NUMBERS, Table, read_curves

counter = itertools.count()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def refusal_allowed() -> Iterator[None]:
    """Let errors pass that a user meets as one line; everything else fails the test."""
    try:
        yield
    except ShapeDnnError as error:
        assert 0 < len(str(error).strip()) < 5000  # noqa: PT017 - any message will do


# One edit of the bytes of a file: where (a part of its length), how, and with which bytes.
EDITS = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.sampled_from(["overwrite", "insert", "cut", "truncate"]),
        st.binary(min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=4,
)


def edited(content: bytes, edits: list[tuple[float, str, bytes]]) -> bytes:
    for where, how, new in edits:
        i = int(where * len(content))
        if how == "overwrite":
            content = content[:i] + new + content[i + len(new) :]
        elif how == "insert":
            content = content[:i] + new + content[i:]
        elif how == "cut":
            content = content[:i] + content[i + len(new) :]
        else:
            content = content[:i]
    return content


# Settings

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.from_regex(r"[-+]?[0-9]{0,3}[./:%]?[0-9]{0,3}[:/]?[0-9]{0,3}(MB|ms|J|%|GB)?", fullmatch=True),
    st.sampled_from(["10:30:6", "1/4:1:1/4", "2MB", "4ms", "95%", "wrn", "digits", "size", "1e309", "0/0", "1:2:0"]),
)
VALUES = st.one_of(ODD, st.lists(ODD, max_size=3), st.dictionaries(st.text(max_size=8), ODD, max_size=3))
# Settings that name a file to run or to write, or an observer that writes one, say nothing about reading.
NAMES = sorted(set(SETTINGS) - {"plugin", "study", "observer"})


@given(st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text(max_size=8)), VALUES, max_size=5))
def test_any_settings_are_understood_or_refused(settings: dict[str, object]) -> None:
    path = Path("search.yaml")
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    with refusal_allowed():
        gathered = gather({}, str(path), {})
        understood = gathered.settings()
        path.write_text(gathered.as_yaml(), encoding="utf-8")
        assert gather({}, str(path), {}).settings() == understood, "what is printed reads as the same"
        parts = Assembly(understood)
        parts.check()
        if len(parts.space) < 10_000:
            assert len(parts.shapes) == len(parts.space)
        for limit in parts.constraints:
            assert math.isfinite(limit.limit)


@given(st.one_of(st.text(), st.binary()))
def test_any_file_of_settings_is_understood_or_refused(content: str | bytes) -> None:
    path = Path("search.yaml")
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    with refusal_allowed():
        gather({}, str(path), {}).settings()


# Tables

CELLS = st.one_of(
    st.integers(-5, 500).map(str),
    st.floats().map(repr),
    st.sampled_from(["", "nan", "inf", "1e999", "1/3", "1/0", "=1+1", '"', "0x10", "१", "\x00", "9" * 400]),
    st.text(max_size=5),
)
COLUMNS = st.lists(
    st.sampled_from(["depth", "width", "accuracy", "seed", "size", "latency", "energy", "seconds", "other", "", "\x1b[2J"]),
    max_size=9,
)  # fmt: skip


COMMENTS = st.lists(
    st.one_of(st.text(max_size=5), st.builds("# noise:{}{}".format, st.sampled_from(["", " ", "\t"]), CELLS)),
    max_size=2,
)


@given(COLUMNS, st.lists(st.lists(CELLS, max_size=9), max_size=6), st.sampled_from(["\n", "\r\n", "\r"]), COMMENTS)
def test_any_table_is_understood_or_refused(
    columns: list[str], rows: list[list[str]], end: str, comments: list[str]
) -> None:
    path = Path("table.csv")
    text = end.join([*comments, *(",".join(cells) for cells in [columns, *rows])])
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with refusal_allowed():
        read_curves(path)
    with refusal_allowed():
        table = Table.read(path)
        assert 0 < len(table.shapes) < len(text.splitlines())
        assert table.noise is None or 0 <= table.noise < math.inf
        assert not set(table.ignored) & set(NUMBERS)
        assert all(
            row.keys() == set(table.columns) - {"depth", "width"} for each in table.rows.values() for row in each
        )
        result = tune(replay=str(path), goal="accuracy", train=1, sampler="random").to_dict()
        assert json.loads(json.dumps(result, allow_nan=False)) == result
        assert all(0 <= row["accuracy"] <= 100 for row in result["trained"])


ROWS = st.dictionaries(
    st.tuples(st.integers(1, 300), st.fractions(Fraction(1, 16), 20, max_denominator=64)),
    st.tuples(st.floats(0, 100), st.floats(0, 1e6)),
    min_size=1,
    max_size=8,
)


@given(ROWS)
def test_a_table_that_is_right_is_read_as_it_was_written(rows: dict[tuple[int, Fraction], tuple[float, float]]) -> None:
    path = Path("table.csv")
    lines = [f"{depth},{width},{accuracy!r},{size!r}" for (depth, width), (accuracy, size) in rows.items()]
    path.write_text("\n".join(["# made here", "depth,width,accuracy,size", *lines]) + "\n")
    result = tune(replay=str(path), strategy="exhaustive").to_dict()
    assert {(t["depth"], t["width"]): t["accuracy"] for t in result["trained"]} == {
        (depth, float(width)): accuracy for (depth, width), (accuracy, _) in rows.items()
    }
    assert all(row["size"] in {size for _, size in rows.values()} for row in result["shapes"])


WORDS = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters='",#'), max_size=6)


@given(ROWS, st.data())
def test_columns_of_text_change_nothing_else(
    rows: dict[tuple[int, Fraction], tuple[float, float]], data: st.DataObject
) -> None:
    number = len(rows)
    texts = data.draw(st.lists(WORDS, min_size=number, max_size=number))
    texts[data.draw(st.integers(0, number - 1))] = "a laptop"
    lines = [f"{depth},{width},{accuracy!r},{size!r}" for (depth, width), (accuracy, size) in rows.items()]
    plain, noted = Path("plain.csv"), Path("noted.csv")
    plain.write_text("\n".join(["depth,width,accuracy,size", *lines]) + "\n")
    described = [f"{text},{line}" for text, line in zip(texts, lines, strict=True)]
    noted.write_text("\n".join(["machine,depth,width,accuracy,size", *described]) + "\n", encoding="utf-8")
    one, other = Table.read(plain), Table.read(noted)
    assert other.ignored == ("machine",)
    assert (one.columns, one.rows, one.noise) == (other.columns, other.rows, other.noise)


@given(st.floats(0, 100), st.text(st.characters(exclude_categories=["C", "Z"]), max_size=20))
def test_the_noise_is_read_as_it_was_written_whatever_follows(noise: float, text: str) -> None:
    path = Path("table.csv")
    path.write_text(f"# noise: {noise!r} points {text}\ndepth,width,accuracy\n10,1,90\n", encoding="utf-8")
    assert Table.read(path).noise == noise


# Datasets


@functools.cache
def originals() -> Path:
    directory = Path(tempfile.mkdtemp())
    write_mnist(directory / "plain", ending="", number=12)
    write_mnist(directory / "packed", number=12)
    (directory / "cifar10").mkdir()
    (directory / "cifar100").mkdir()
    (directory / "imagenet32").mkdir()
    for (name,) in Cifar10.required:
        write_batch(directory / "cifar10" / name, 10, "labels", number=4)
    for (name,) in Cifar100.required:
        write_batch(directory / "cifar100" / name, 100, "fine_labels", number=4, protocol=4)
    for name in (*(f"train_data_batch_{i}" for i in range(1, 11)), "val_data"):
        batch = np.zeros((4, 3072), np.uint8)
        np.savez(directory / "imagenet32" / f"{name}.npz", data=batch, labels=np.arange(1, 5))
    return directory


@pytest.mark.parametrize(
    ("directory", "make"),
    [("plain", Mnist), ("packed", Mnist), ("cifar10", Cifar10), ("cifar100", Cifar100), ("imagenet32", ImageNet32)],
)
@given(which=st.integers(0, 100), edits=EDITS)
def test_any_file_of_a_dataset_is_read_or_refused(
    directory: str, make: Callable[..., Mnist], which: int, edits: list[tuple[float, str, bytes]]
) -> None:
    source = originals() / directory
    files = sorted(path for path in source.rglob("*") if path.is_file())
    changed = files[which % len(files)]
    copy = Path(f"data-{directory}")
    if not copy.exists():
        shutil.copytree(source, copy)
    target = copy / changed.relative_to(source)
    target.write_bytes(edited(changed.read_bytes(), edits))
    try:
        with refusal_allowed():
            dataset = make(data_dir=str(copy))
            images.check(*dataset.load(), dataset.input_shape, dataset.classes)
    finally:
        target.write_bytes(changed.read_bytes())


@given(st.binary(max_size=64))
def test_any_idx_file_with_a_right_header_holds_what_is_in_it(values: bytes) -> None:
    from shape_dnn.builtin.datasets.files import read_idx

    path = Path("values-idx1-ubyte")
    path.write_bytes(bytes((0, 0, 8, 1)) + len(values).to_bytes(4, "big") + values)
    assert read_idx(path, 1).tobytes() == values


# Studies


@functools.cache
def a_study() -> bytes:
    with contextlib.chdir(tempfile.mkdtemp()):
        Path("here.py").write_text(HERE)
        settings = {"depth": "10:17:6", "width": "1/4:1/2:1/4", "epochs": 2, "device": "cpu"}
        options = {"dataset.limit": 100, "meter.latency.seconds": 0.001}
        tune(**settings, max_latency="10s", goal="size", option=options, plugin="here.py", executor="here")
        # A question is not asked for the file again, since the study does not name it.
        with closing(sqlite3.connect(f"shape-dnn-study/{FILE_NAME}")) as connection, connection:
            connection.execute(
                "UPDATE run SET settings = json_set(settings, '$.plugin', json('[]'), '$.executor', 'local')"
            )
        return Path(f"shape-dnn-study/{FILE_NAME}").read_bytes()


def questions(directory: Path) -> None:
    """Ask everything that can be asked of a study without training."""
    with refusal_allowed():
        list(studies.find(directory))
    for question in ({"max_size": "1MB", "goal": "accuracy"}, {"max_latency": "1s", "goal": "latency"}):
        with refusal_allowed():
            result = ask(directory, **question).to_dict()
            assert json.loads(json.dumps(result, allow_nan=False)) == result
            for row in result["shapes"]:
                assert row["depth"] > 0
                assert row["width"] > 0
                assert row["accuracy"] is None or 0 <= row["accuracy"] <= 100
                assert row["latency"] is None or 0 <= row["latency"] < math.inf
    with refusal_allowed():
        studies.merge(directory, Path(f"merged-{next(counter)}"))


@contextlib.contextmanager
def study_of(content: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name, contextlib.chdir(name):
        Path("study").mkdir()
        Path("study", FILE_NAME).write_bytes(content)
        yield Path("study")


@given(EDITS)
def test_any_study_file_is_read_or_refused(edits: list[tuple[float, str, bytes]]) -> None:
    with study_of(edited(a_study(), edits)) as directory:
        questions(directory)


FACTS = [
    (table, column)
    for table, columns in {
        "context": "kind digest identity",
        "provenance": "content",
        "measurement": "context depth width attempt value low high status details provenance recorded",
        "training": "context depth width attempt quality reason seconds provenance recorded",
        "epoch": "training number loss quality more",
        "test": "training quality recorded",
        "run": "command settings problem contexts host pid started ended state",
    }.items()
    for column in columns.split()
]
STRANGE = st.one_of(
    st.sampled_from(
        [
            None,
            -1,
            0,
            2**62,
            1e308,
            math.inf,
            "",
            "x",
            "1/0",
            "nan",
            "[]",
            "{}",
            "null",
            '{"a": 1}',
            "\x1b[31m",
            b"\0",
            101.0,
        ]
    ),
    st.text(max_size=6),
    st.floats(allow_nan=False),
)


@given(st.sampled_from(FACTS), STRANGE)
def test_any_value_in_a_study_is_understood_or_refused(where: tuple[str, str], value: object) -> None:
    with study_of(a_study()) as directory:
        (table, column) = where
        with closing(sqlite3.connect(directory / FILE_NAME)) as connection, connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            with contextlib.suppress(sqlite3.IntegrityError, UnicodeEncodeError):
                which = "number = 1" if table == "epoch" else f"rowid = (SELECT min(rowid) FROM {table})"
                connection.execute(f"UPDATE {table} SET {column} = ? WHERE {which}", (value,))
        questions(directory)


@pytest.mark.parametrize(
    ("column", "value"), [("problem", "{}"), ("settings", "{}"), ("settings", '{"plugin": 1, "option": []}')]
)
def test_a_run_that_lacks_what_a_question_needs_is_damaged(column: str, value: str) -> None:
    with study_of(a_study()) as directory:
        with closing(sqlite3.connect(directory / FILE_NAME)) as connection, connection:
            connection.execute(f"UPDATE run SET {column} = ?", (value,))
        with pytest.raises(StudyError, match=r"study\.sqlite.* is damaged"):
            ask(directory, goal="size")


def test_a_pickle_that_asks_for_room_for_a_billion_objects_is_refused() -> None:
    target = Path("cifar100")
    shutil.copytree(originals() / "cifar100", target)
    path = target / Cifar100.required[0][0]
    content = path.read_bytes()
    path.write_bytes(content[:12] + b"r\xff\xff\xff\x7f" + content[12:])
    with pytest.raises(DatasetError, match="damaged or not what it should be"):
        Cifar100(data_dir="cifar100").load()


def test_the_study_that_is_damaged_here_can_be_asked_when_it_is_not() -> None:
    with study_of(a_study()) as directory:
        result = ask(directory, max_latency="1s", goal="accuracy")
        assert len(result.shapes) == 2
        assert result.verified
        Store(directory).close()
