"""The page of a report computes in its scripts what Python answers, and draws what is known."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from recorded_study import record_study

import shape_dnn
from shape_dnn.answers.question import StudyQuestion
from shape_dnn.report import page
from shape_dnn.report.overview import Overview

NODE = shutil.which("node")
in_node = pytest.mark.skipif(NODE is None, reason="no node")


def in_scripts(names: list[str], body: str, given: Any) -> Any:
    """Run some scripts of the page with what they are given, and return what the code behind them returns."""
    texts = [(resources.files(shape_dnn) / f"report/script/{name}.js").read_text(encoding="utf-8") for name in names]
    program = (
        f"const text = {json.dumps(chr(10).join([*texts, body]))};"
        'const given = JSON.parse(require("fs").readFileSync(0, "utf8"));'
        'console.log(JSON.stringify(new Function("given", text)(given)));'
    )
    out = subprocess.run(
        [str(NODE), "-e", program], input=json.dumps(given), capture_output=True, text=True, check=False
    )
    assert out.returncode == 0, out.stderr
    return json.loads(out.stdout)


CLOSEST = """
take(given.data);
return given.questions.map((asked) => {
  for (const limit of question.limits) {
    limit.value = asked.limits.find(([metric, upper]) => metric === limit.metric && upper === limit.upper)?.[2] ?? null;
  }
  const { complying } = decide();
  return complying.length ? null : closest().name;
});
"""


@in_node
def test_what_comes_closest_on_the_page_is_what_the_terminal_names() -> None:
    both = {"min_accuracy": "97", "max": ["accuracy=98"]}
    record_study(Path("study"), depth="10:41:6", width="1/4:9/4:1/4", goal="latency", **both)
    with StudyQuestion.open("study", {}, as_searched=True) as known:
        data = page.content(Overview.of_study(known))["data"]
    rng = random.Random(5)
    questions, expected = [], []
    for _ in range(12):
        low = rng.uniform(50, 101)
        limits = [["accuracy", True, low - 20 if low > 100 else low]] if rng.random() < 0.5 else [["accuracy", False, 99.9]]
        limits.append(["latency", True, rng.uniform(3, 20)])
        settings: dict[str, Any] = {"max": [], "min": []}
        for metric, upper, value in limits:
            settings["max" if upper else "min"].append(f"{metric}={value!r}")
        with StudyQuestion.open("study", settings) as known:
            answer = known.answer
        questions.append({"limits": limits})
        expected.append(None if answer.complying else str(answer.closest and answer.closest.shape))
    assert in_scripts(["question"], CLOSEST, {"data": data, "questions": questions}) == expected
    assert len(set(expected) - {None}) > 3


@in_node
def test_after_a_search_what_comes_closest_was_trained() -> None:
    settings = {"depth": "10:41:6", "width": "1/4:9/4:1/4", "goal": "latency", "min_accuracy": "99.9"}
    record_study(Path("study"), trained=range(0, 48, 11), **settings)
    with StudyQuestion.open("study", {}, as_searched=True) as known:
        known.__dict__["was_searched"] = True  # as if a search had come to its end with it
        data = page.content(Overview.of_study(known))["data"]
        closest = known.answer.closest
    assert closest is not None
    assert closest.quality is not None
    question = {"limits": [["accuracy", False, 99.9]]}
    assert in_scripts(["question"], CLOSEST, {"data": data, "questions": [question]}) == [str(closest.shape)]
    data["overview"]["verified"] = False
    assert in_scripts(["question"], CLOSEST, {"data": data, "questions": [question]}) != [str(closest.shape)]


DRAWN = """
function IntersectionObserver() { this.observe = this.disconnect = () => {}; } // there is no page
rows = given.map((row, place) => ({ ...row, place }));
return drawn().map((row) => row.place ?? null);
"""


@in_node
@pytest.mark.parametrize("mattering", [0, 10, 749, 1400, 1990, 2000])
def test_a_chart_of_a_large_space_shows_each_point_once_and_the_best_among_them(mattering: int) -> None:
    rows = [{"quality": None, "on_front": place < mattering, "best": place == 1999} for place in range(2000)]
    places = in_scripts(["charts"], DRAWN, rows)
    assert None not in places
    assert len(set(places)) == len(places) == 1500
    assert 1999 in places
    assert {place // 100 for place in places} == set(range(20)), "from all parts of the space"
    if mattering <= 750:
        assert set(range(mattering)) <= set(places)


WORDS = """
[overview, quality] = [{ metrics: [{ name: "size", unit: "MB" }] }, { name: "accuracy", unit: "%", better: "higher" }];
question.limits = [{ metric: "accuracy", upper: false, value: 98 }, { metric: "size", upper: true, value: 0.4 }];
return given.map(([accuracy, size]) => [written(accuracy), measured("size", size)]);
"""


@in_node
def test_a_value_is_never_written_as_if_it_were_on_the_other_side_of_its_limit() -> None:
    values = [(97.99996, 0.40000312), (97.994, 0.4004), (98.0, 0.4), (98.004, 0.39996), (97.999999999999, 0.41234567)]
    assert in_scripts(["question", "words"], WORDS, values) == [
        ["97.99996 %", "0.400003"],
        ["97.99 %", "0.4004"],
        ["98.00 %", "0.4"],
        ["98.00 %", "0.4"],
        ["97.999999999999 %", "0.4123"],
    ]


HEADLINES = """
return given.map(({ limit, complies }) => {
  [overview, quality, names] = [{ goals: [], cases: "images", batch: 1, metrics: [] }, { name: "accuracy", unit: "%" }, []];
  rows = complies.map((value) => ({ complies: value }));
  Object.assign(question, { goal: "", limits: [{ metric: "size", upper: true, unit: "MB", value: limit }] });
  const parts = headline({ best: null, complying: rows.filter((row) => row.complies) });
  return parts.join("");
});
"""
ELEMENTS = """
function element(name, attributes, text) { return text; } // there is no page
"""


@in_node
def test_one_network_is_spoken_of_as_one() -> None:
    asked = [(None, [True]), (None, [True] * 3), (None, [True, False]), (None, [True, True, False, False]),
             (2, [True, False]), (2, [True, True]), (2, [False])]  # fmt: skip
    given = [{"limit": limit, "complies": complies} for limit, complies in asked]
    assert in_scripts(["question", "words", "answer"], ELEMENTS + HEADLINES, given) == [
        "The only network is possible: no limit is set.",
        "All 3 networks are possible: no limit is set.",
        "1 of 2 networks is possible: the other one came to no result when trained.",
        "2 of 4 networks are possible: the others came to no result when trained.",
        "1 of 2 networks takes at most 2 MB.",
        "2 of 2 networks take at most 2 MB.",
        "No network takes at most 2 MB.",
    ]
