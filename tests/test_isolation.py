"""Installed packages that are broken: which commands still work, what is shown, and what selecting them says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_plugins import BROKEN, GOOD, REASONS

Run = Callable[..., Any]
Install = Callable[..., Path]

COLLIDING = GOOD.replace('"middle"', '"interval"')
SLEEPING = "import time\ntime.sleep(1.2)\n" + GOOD


@pytest.mark.parametrize("how", BROKEN)
def test_every_command_works_beside_a_broken_package(how: str, install: Install, shape_dnn: Run, table: Path) -> None:
    install("acme-broken", "0.3", {"broken": "acme_broken"}, {"acme_broken": BROKEN[how]})
    for arguments in (
        ["--help"],
        ["--version"],
        ["--print-config"],
        ["space", "--depth", "10:17:6", "--width", "1:2:1"],
        ["--replay", table, "--goal", "accuracy"],
        ["--dry-run", "--device", "cpu"],
        ["simulate", table, "--seeds", "1", "--sampler", "interval", "--model", "ridge"],
        ["studies"],
        ["plugins"],
    ):
        ran = shape_dnn(*arguments)
        assert ran.status == 0, f"{arguments}: {ran.err}"
        assert "Traceback" not in ran.err
        assert "acme" not in ran.err, "who does not use it is not bothered with it"


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_package_is_listed_and_selecting_it_says_why(how: str, install: Install, shape_dnn: Run) -> None:
    install("acme-broken", "0.3", {"broken": "acme_broken"}, {"acme_broken": BROKEN[how]})
    (row,) = [row for row in shape_dnn("plugins", "--format", "json").json if row["distribution"] == "acme-broken"]
    assert (row["version"], row["state"]) == ("0.3", "failed")
    assert REASONS[how] in row["reason"]
    assert "failed" in shape_dnn("plugins").out
    ran = shape_dnn("--sampler", "middle", "--dry-run")
    assert ran.status == 4
    assert "acme-broken 0.3, which failed to load" in ran.error
    assert REASONS[how] in ran.error


def test_a_name_that_two_packages_claim_is_nobody_s_until_one_is_left_out(
    install: Install, shape_dnn: Run, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("acme-shapes", "1.2", {"acme": "acme_shapes"}, {"acme_shapes": COLLIDING})
    rows = [row for row in shape_dnn("plugins", "--format", "json").json if row["name"] == "interval"]
    assert {(row["distribution"], row["state"]) for row in rows} == {
        ("acme-shapes", "collision"), ("shape-dnn", "collision"),
    }  # fmt: skip
    assert shape_dnn("--replay", table, "--sampler", "random").status == 0
    assert shape_dnn("space", "--depth", "10:17:6", "--width", "1:2:1").status == 0
    ran = shape_dnn("--replay", table, "--sampler", "interval")
    assert ran.status == 4
    assert "acme-shapes 1.2 and shape-dnn" in ran.error
    assert "both declare sampler 'interval'" in ran.error
    monkeypatch.setenv("SHAPE_DNN_PLUGINS", "")
    assert shape_dnn("--replay", table).status == 0


def test_a_package_that_takes_long_to_load_is_named(install: Install, shape_dnn: Run, table: Path) -> None:
    site = install("acme-slow", "1.2", {"acme": "acme_slow"}, {"acme_slow": SLEEPING})
    command = [
        sys.executable,
        "-c",
        "import sys; sys.path.insert(0, sys.argv.pop(1)); from shape_dnn.cli import main; main()",
    ]
    for arguments, waits in (
        (["--help"], False),
        (["--version"], False),
        (["--replay", str(table), "--sampler", "middle"], True),
    ):
        ran = subprocess.run([*command, str(site), *arguments], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        assert ("warning: loading acme-slow 1.2 took " in ran.stderr) is waits
    ran = subprocess.run(
        [*command, str(site), "--replay", str(table)], capture_output=True, text=True, check=True,
        env={"SHAPE_DNN_PLUGINS": "", "PATH": "/usr/bin"},
    )  # fmt: skip
    assert "acme-slow" not in ran.stderr
