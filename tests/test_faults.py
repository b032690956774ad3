"""When the disk fails, the search says so and ends, the study stays whole, and another try comes to the same answer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from faults import run


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_a_disk_that_fails_costs_no_fact_and_changes_no_answer() -> None:
    ran = run(Path.cwd(), "--sample", "8", "--seed", "3")
    assert ran.returncode == 0
    kinds = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [(kind["error"], kind["forever"], kind["struck"]) for kind in kinds] == [
        ("EIO", False, 8), ("EIO", True, 8), ("ENOSPC", False, 8), ("ENOSPC", True, 8),
    ]  # fmt: skip
    assert [kind["wrong"] for kind in kinds] == [[], [], [], []]
