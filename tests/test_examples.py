"""The examples of trainings that the documentation shows are files that work, as their pages say."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import pytest

from shape_dnn import Shape
from shape_dnn.testing import TrainerContract
from shape_dnn.training.functions import FunctionTrainer
from shape_dnn.training.reading import read

FOLDER = Path(__file__).parents[1] / "docs" / "examples"
FILES = sorted(FOLDER.glob("*.py"))


def page_of(file: Path) -> str:
    return file.with_suffix(".md").read_text()


def need(file: str) -> None:
    """Have what an example learns from in the working directory, or skip the test."""
    page, code = page_of(FOLDER / file), (FOLDER / file).read_text()
    for package in ("lightning", "skimage", "transformers"):
        if f"from {package}" in page + code or f"import {package}" in page + code:
            pytest.importorskip(package)
    if '["bible"' in code and shutil.which("bible") is None:
        pytest.skip("there is no command bible; install Debian's package bible-kjv")
    for preparation in re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        exec(compile(preparation, file, "exec"), {"__name__": "__main__"})  # noqa: S102


class ExampleContract(TrainerContract):
    """An example, with options that make its training short."""

    file: ClassVar[str]
    shape, larger = Shape(1, Fraction(1, 4)), Shape(2, Fraction(1, 2))

    @pytest.fixture
    def plugin(self) -> FunctionTrainer:
        need(self.file)
        declared = read(FOLDER / self.file)
        defaults = {name: option.default for name, option in declared.options.items()}
        return declared.trainer({**defaults, **self.options})


class TestTransformer(ExampleContract):
    file, options = "transformer.py", {"epochs": 2}


class TestTabular(ExampleContract):
    file, options = "tabular.py", {"epochs": 2, "folds": 2}


class TestLightning(ExampleContract):
    file, options = "lightning_digits.py", {"epochs": 2}


class TestHuggingFace(ExampleContract):
    file, options = "hugging_face.py", {"steps": 2}


class TestUNet(ExampleContract):
    file, options = "unet.py", {"epochs": 2}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # timm leaves images open
class TestTimm(ExampleContract):
    file, options = "timm_photographs.py", {"epochs": 2}


@dataclass(frozen=True)
class Search:
    """The search that a page shows, and what makes it small."""

    file: str
    quality: str
    smaller: str


SEARCHES = [
    Search("transformer.py", "perplexity", "--depth 1:3:1 --width 1/4:1/2:1/4 -o trainer.epochs=1"),
    Search("tabular.py", "R2", "--depth 1:2:1 --width 3/8:5/8:1/8 --min R2=0.4"),
    Search("lightning_digits.py", "accuracy", "--depth 1:3:1 --width 1/4:1/2:1/4 --min-accuracy 1 -o trainer.epochs=1"),
    Search("hugging_face.py", "accuracy", "--depth 1:3:1 --width 1/4:1/2:1/4 --min-accuracy 1 -o trainer.steps=30"),
    Search("unet.py", "mIoU", "--depth 1:3:1 --width 1/4:1/2:1/4 --min mIoU=0.01 -o trainer.epochs=1"),
    Search("timm_photographs.py", "accuracy", "--depth 1:3:1 --width 1/4:1/2:1/4 --min-accuracy 1 -o trainer.epochs=1"),
]


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.file)
def test_the_search_of_a_page_finds_a_shape(search: Search, shape_dnn: Callable[..., Any]) -> None:
    """With fewer shapes, and shorter trainings."""
    need(search.file)
    shutil.copy(FOLDER / search.file, search.file)
    (command,) = re.findall(r"^\$ shape-dnn (--trainer .*)$", page_of(FOLDER / search.file), re.MULTILINE)
    assert command.startswith(f"--trainer {search.file} ")
    if "--min " in search.smaller:  # given twice it would be refused
        command = re.sub(r" --min \S+", "", command)
    options = [*shlex.split(command), *shlex.split(search.smaller), "--device", "cpu", "--format", "json"]
    ran = shape_dnn(*options)
    assert ran.status == 0, ran.err
    assert ran.json["verified"]
    assert ran.json["best"][search.quality] > 0


def test_an_example_ships_in_another_runtime_and_precision(shape_dnn: Callable[..., Any]) -> None:
    """As its page says, with fewer shapes and shorter trainings; its accuracy is that of int8."""
    file = "timm_photographs.py"
    need(file)
    shutil.copy(FOLDER / file, file)
    (command,) = re.findall(rf"^shape-dnn (--trainer {file} --deploy .*)$", page_of(FOLDER / file), re.MULTILINE)
    smaller = (
        "--depth 1:2:1 --width 1/8:3/8:1/8 -o trainer.epochs=1 -o deploy.calibration=16 --device cpu --format json"
    )
    ran = shape_dnn(*shlex.split(re.sub(r" --min-accuracy \S+", "", command)), *shlex.split(smaller))
    assert ran.status == 0, ran.err
    assert ran.json["deployment"]["precision"] == "int8"
    best = ran.json["best"]
    assert best["accuracy"] > 0
    assert best["float_accuracy"] > 0
    assert best["size"] < best["file-size"] < 4 * best["size"]


def test_every_example_is_searched() -> None:
    assert sorted(search.file for search in SEARCHES) == [file.name for file in FILES]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_an_example_is_short_and_its_page_shows_all_of_it(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 60
    assert f"```{{literalinclude}} {file.name}\n:language: python\n```" in page_of(file)
    assert file.stem in (FOLDER / "index.md").read_text()
