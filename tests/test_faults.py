"""When the disk fails, the search says so and ends, the study stays whole, and another try comes to the same answer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from faults import run


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
@pytest.mark.parametrize("calls", [1, pytest.param(50, marks=pytest.mark.nightly)])
def test_a_disk_that_fails_costs_no_fact_and_changes_no_answer(calls: int) -> None:
    ran = run(Path.cwd(), "--sample", str(calls), "--seed", "3")
    assert ran.returncode == 0
    kinds = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [(kind["error"], kind["forever"], kind["struck"]) for kind in kinds] == [
        ("EIO", False, calls), ("EIO", True, calls), ("ENOSPC", False, calls), ("ENOSPC", True, calls),
    ]  # fmt: skip
    assert [kind["wrong"] for kind in kinds] == [[], [], [], []]
