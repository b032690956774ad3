"""Numbers in the page of a report are written as in the terminal."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

import shape_dnn
from shape_dnn.answers.words import number
from shape_dnn.quality import ACCURACY, Quality
from shape_dnn.system.text import grouped

NODE = shutil.which("node")
PROGRAM = """
const { quality: told, values } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const run = new Function("quality", "values", SCRIPT + "; return values.map((value) => [alone(value), spread(value)]);");
console.log(JSON.stringify(run(told, values)));
"""


@pytest.mark.skipif(NODE is None, reason="no node")
@pytest.mark.parametrize("quality", [ACCURACY, Quality("loss")])
def test_a_quality_is_written_on_the_page_as_in_the_terminal(quality: Quality) -> None:
    rng = random.Random(3)
    middles = [97.125, 97.375, 88.625, 0.125, 0.5, 1.0625, 1.1875, 12.5, 13.5, 1000.5, 1001.5, 8.345, 12345000.0]
    edges = [0.0, 0.00001234, 0.000099999, 0.0001234, 999.96, 9.96, 99999.5, 9999999.5, 1e7, 12345678.9, 3.5e20, 1e-9]
    values = [*middles, *edges, *(10 ** rng.uniform(-9, 9) for _ in range(500))]
    values += [-value for value in values if value]
    words = (resources.files(shape_dnn) / "report/script/words.js").read_text(encoding="utf-8")
    program = f"const SCRIPT = {json.dumps(words)};{PROGRAM}"
    given = json.dumps({"quality": quality.record, "values": values})
    out = subprocess.run([str(NODE), "-e", program], input=given, capture_output=True, text=True, check=True).stdout
    assert json.loads(out) == [[quality.number(value), quality.spread(value)] for value in values]


def test_large_numbers_are_grouped_for_people_alone(shape_dnn: Callable[..., Any]) -> None:
    rows = [f"{10 + i // 50},{1 + i % 50},{50 + i / 100},{1234567 + 1000 * i}" for i in range(1200)]
    Path("t.csv").write_text("\n".join(["depth,width,accuracy,params", *rows]))
    flags = [
        "--replay",
        "t.csv",
        "--max",
        "params=2000000",
        "--goal",
        "params",
        "--sampler",
        "interval",
        "--train",
        "3",
    ]
    shown = shape_dnn(*flags, "--model", "ridge", "--report", "r.html")
    assert shown.status == 0, shown.err
    assert "space: 1,200 shapes" in shown.out
    assert "params <= 2,000,000: 1,200 -> 766 shapes, 434 dropped" in shown.out
    assert "params <= 2,000,000: 1,200 -> 766 shapes" in shown.err
    assert "1,235,000" in shown.out
    page = Path("r.html").read_text()
    assert "of 1,200 shapes were trained" in page
    assert "params at most 2,000,000" in page
    answer = shape_dnn(*flags, "--model", "ridge", "--format", "json").json
    assert answer["stages"][0]["limit"] == "<= 2000000"
    assert min(row["params"] for row in answer["shapes"]) == 1234567
    assert ",1234567" in shape_dnn(*flags, "--model", "ridge", "--format", "csv").out


@pytest.mark.parametrize(
    ("text", "expected"),
    [("<= 2000000", "<= 2,000,000"), (">= 1234.56789", ">= 1,234.56789"), ("<= 0.00012345", "<= 0.00012345"),
     ("<= 999", "<= 999"), ("<= 1e+15", "<= 1e+15"), (">= -12345", ">= -12,345")],
)  # fmt: skip
def test_digits_before_the_point_are_grouped(text: str, expected: str) -> None:
    assert grouped(text) == expected


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [(285.0, 2, "280"), (2850.0, 2, "2,800"), (123.4, 2, "120"), (123.45, 4, "123.5"), (12.3, 2, "12"), (0.5, 3, "0.5"),
     (123456.0, 3, "123,000"), (1.5e8, 4, "1.5e+08"), (0.00001234, 3, "1.23e-05"), (-285.0, 2, "-280"), (None, 4, "-")],
)  # fmt: skip
def test_few_digits_are_no_reason_for_an_exponent(value: float | None, digits: int, expected: str) -> None:
    assert number(value, digits) == expected
