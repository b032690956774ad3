"""Recorded tables by name: the file that is there, or else the table of a plugin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shape_dnn import simulate, tune
from shape_dnn.api.new_plugin import example
from shape_dnn.plugins.table_of_kinds import IN_REPOSITORY

ROWS = "depth,width,accuracy,size\n10,1,90,1\n16,1,92,2\n22,1,93,3\n"


@pytest.fixture
def package(install: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that declares the table ``perceptrons``; nothing else is installed. Return where its CSV lies."""
    monkeypatch.setenv("SHAPE_DNN_PLUGINS", "acme-tables")
    site = install("acme-tables", "1.2", {"acme": "acme_tables"}, {"acme_tables": example("shape_dnn_tables")})
    (site / "acme_tables.csv").write_text(ROWS)
    return site / "acme_tables.csv"


def test_a_table_of_a_plugin_is_replayed_by_its_name(package: Path, shape_dnn: Callable[..., Any]) -> None:
    ran = shape_dnn("--replay", "perceptrons", "--goal", "size", "--format", "json", "--report", "report.html")
    assert ran.json["best"]["size"] == 1
    used = {"kind": "table", "name": "perceptrons", "distribution": "acme-tables", "version": "1.2"}
    assert used in ran.json["plugins"], "the result says where its facts come from"
    assert "shape-dnn --replay perceptrons" in Path("report.html").read_text()
    assert shape_dnn("simulate", "perceptrons", "--seeds", "1").status == 0
    assert [row["name"] for row in shape_dnn("plugins", "--kind", "table", "--format", "json").json] == ["perceptrons"]


def test_a_file_that_is_there_comes_before_a_table_of_its_name(package: Path) -> None:
    Path("perceptrons").write_text(ROWS.replace("10,1,90,1", "10,1,90,7"))
    assert tune(replay="perceptrons", goal="size").rows()[0]["size"] == 7
    Path("perceptrons").unlink()
    Path("perceptrons").mkdir()
    assert tune(replay="perceptrons", goal="size").rows()[0]["size"] == 1, "a directory is no table"


@pytest.mark.parametrize("name", ["perceptron", "perceptrons.csv"])
def test_a_name_that_is_neither_is_told_the_known_ones(package: Path, shape_dnn: Callable[..., Any], name: str) -> None:
    for arguments, where in ((["--replay"], "--replay"), (["simulate"], "TABLE")):
        ran = shape_dnn(*arguments, name)
        assert ran.status == 2
        problem = f"{where}: there is no file '{name}', and no table is called '{name}'"
        assert f"{problem} (did you mean perceptrons?); known are: perceptrons" in ran.error


def test_a_table_of_this_repository_that_is_not_installed_names_its_install_command(
    monkeypatch: pytest.MonkeyPatch, shape_dnn: Callable[..., Any]
) -> None:
    monkeypatch.setenv("SHAPE_DNN_PLUGINS", "")
    install = "is not installed; from a checkout: pip install ./plugins/shape-dnn-tables"
    for name in [name for kind, name in IN_REPOSITORY if kind == "table"]:
        ran = shape_dnn("--replay", name)
        assert ran.status == 4
        assert f"there is no file '{name}', and table '{name}' {install}" in ran.error
    ran = shape_dnn("--replay", "wrn-digit")
    assert ran.status == 2
    assert f"no table is called 'wrn-digit' (did you mean wrn-digits? That {install}); known are: none" in ran.error


def test_a_missing_file_is_not_laid_at_the_door_of_a_broken_package(
    install: Callable[..., Path], shape_dnn: Callable[..., Any]
) -> None:
    install("acme-broken", "0.3", {"broken": "acme_broken"}, {"acme_broken": "1 / 0"})
    ran = shape_dnn("--replay", "none.csv")
    assert ran.status == 2
    assert "acme" not in ran.err
    ran = shape_dnn("--replay", "measured-in-may")
    assert ran.status == 4
    assert "there is no file 'measured-in-may', and no table is called 'measured-in-may'" in ran.error
    assert "it may be one of acme-broken 0.3, which failed to load" in ran.error


def test_a_table_of_a_plugin_whose_file_is_gone_or_wrong_is_named(package: Path, shape_dnn: Callable[..., Any]) -> None:
    package.write_text("depth,width,accuracy\n10,1,high\n")
    assert f"--replay: {package}:2: accuracy 'high' is not a number" in shape_dnn("--replay", "perceptrons").error
    package.unlink()
    ran = shape_dnn("--replay", "perceptrons")
    assert ran.status == 4
    assert f"table 'perceptrons' of acme-tables 1.2 lies in '{package}', and there is no such file" in ran.error


OPTION = """
from pathlib import Path
from shape_dnn import Option, Plugin, TableFile, hookimpl

def table(which="small"):
    return TableFile(Path(which + ".csv"))

@hookimpl
def shape_dnn_tables():
    yield Plugin("mine", "one of several", table, {"which": Option(help="which")})
"""


def test_a_table_takes_options(shape_dnn: Callable[..., Any]) -> None:
    Path("mine.py").write_text(OPTION)
    Path("small.csv").write_text(ROWS)
    Path("large.csv").write_text(ROWS + "28,1,94,4\n")
    for options, shapes in (([], 3), (["replay.which=large"], 4)):
        flags = [word for option in options for word in ("-o", option)]
        ran = shape_dnn("--plugin", "mine.py", "--replay", "mine", *flags, "--format", "json")
        assert ran.json["space"]["shapes"] == shapes
    assert len(simulate("mine", plugin="mine.py", option={"replay.which": "large"}, models=["ridge"], seeds=1)) > 1
    refused = shape_dnn("--plugin", "mine.py", "--replay", "small.csv", "-o", "replay.which=large")
    assert refused.status == 2
    assert "-o: replay.which is an option of a plugin, and 'small.csv' is a file" in refused.error
    refused = shape_dnn("--plugin", "mine.py", "--replay", "mine", "-o", "replay.size=1")
    assert "-o: replay.size is not an option of table 'mine'; its options: replay.which" in refused.error
