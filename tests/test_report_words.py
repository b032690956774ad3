"""Numbers in the page of a report are written as in the terminal."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from importlib import resources

import pytest

import shape_dnn
from shape_dnn.quality import ACCURACY, Quality

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
