"""Decisions are the same on every processor: only the last digits of numbers differ between them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from shape_dnn.search import rounding

HERE = Path(__file__).parent
RECORDED = HERE.parent / "plugins" / "shape-dnn-tables" / "shape_dnn_tables"
TABLES = sorted(str(path) for path in RECORDED.glob("*.csv") if "curves" not in path.name)
KERNELS = {"Prescott": "sse2", "Sandybridge": "avx", "Haswell": "avx2", "Zen": "avx2", "SkylakeX": "avx512f"}
"""Names of OpenBLAS for its sets of kernels, each with the processor's flag that it needs."""


def _flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return set(next((line.split(":")[1].split() for line in lines if line.startswith("flags")), []))


def _start(questions: int, **environment: str) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    command = [sys.executable, str(HERE / "decisions.py"), str(questions), *TABLES]
    return subprocess.Popen(command, env={**clean, **environment}, stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif("avx2" not in _flags(), reason="a processor with fewer than four sets of kernels")
@pytest.mark.parametrize(("questions", "some"), [(1, 3), pytest.param(6, 1, marks=pytest.mark.nightly)])
def test_decisions_on_all_recorded_tables_are_the_same_whatever_computes_them(questions: int, some: int) -> None:
    """So many questions to each table, computed in all ways or every third one."""
    kernels = [name for name, flag in KERNELS.items() if flag in _flags()]
    assert len(kernels) >= 4
    ways = [{"OPENBLAS_CORETYPE": name, "OMP_NUM_THREADS": "1"} for name in kernels]
    ways.append({"OMP_NUM_THREADS": "3"})
    ways.append({"OMP_NUM_THREADS": "1", "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX"})
    ways = ways[::some]
    found = [json.loads(process.communicate()[0]) for process in [_start(questions, **way) for way in ways]]
    assert len(TABLES) >= 3
    assert all(isinstance(decision, list) for table in found[0] for decision in table), "no search failed"
    for way, decisions in zip(ways, found, strict=True):
        for path, ours, theirs in zip(TABLES, found[0], decisions, strict=True):
            differing = [(place, a, b) for place, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b]
            assert not differing, f"{Path(path).name} with {way}: {differing[0]}"


def test_values_that_differ_by_rounding_noise_are_ties() -> None:
    values = np.array([0.1 + 0.2, 0.3, 0.3 - 1e-17, -np.inf])
    assert rounding.first_largest(values) == 0
    assert rounding.first_largest(values[::-1].copy()) == 1
    assert rounding.largest_first(values).tolist() == [0, 1, 2, 3]
    assert rounding.first_largest(np.array([0.3, 0.3 + 1e-7])) == 1
    assert rounding.first_largest(np.zeros(3)) == 0
    assert rounding.first_largest(np.array([1e-30, 3e-30])) == 1
