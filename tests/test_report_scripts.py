"""The page of a report computes in its scripts what Python answers, and draws what is known."""

from __future__ import annotations

import json
import math
import random
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from recorded_study import record_study

import shape_dnn
from shape_dnn import tune
from shape_dnn.answers.question import StudyQuestion
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.report import page
from shape_dnn.report.overview import Overview
from shape_dnn.search.failures import as_they_are
from shape_dnn.settings import Settings

NODE = shutil.which("node")
in_node = pytest.mark.skipif(NODE is None, reason="no node")


def in_scripts(names: list[str], body: str, given: Any, room: str = "report/script", before: str = "") -> Any:
    """Run some scripts of a page with what they are given, and return what the code behind them returns."""
    files = resources.files(shape_dnn) / room
    texts = [before, *((files / f"{name}.js").read_text(encoding="utf-8") for name in names)]
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
@pytest.mark.filterwarnings("ignore:accuracy <= .* keeps the worse networks:UserWarning")
def test_what_comes_closest_on_the_page_is_what_the_terminal_names() -> None:
    both = {"min_accuracy": "97", "max": ["accuracy=98"]}
    record_study(Path("study"), depth="10:41:6", width="1/4:9/4:1/4", goal="latency", **both)
    with StudyQuestion.open("study", {}, as_searched=True) as known:
        data = page.content(Overview.of_study(known))["data"]
    rng = random.Random(5)
    questions, expected = [], []
    for _ in range(12):
        low = rng.uniform(50, 101)
        limits = (
            [["accuracy", True, low - 20 if low > 100 else low]] if rng.random() < 0.5 else [["accuracy", False, 99.9]]
        )
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


COMMAND = """
take(given);
const before = commandLine();
question.limits.find((limit) => limit.metric === "accuracy" && !limit.upper).value = 80;
return [before, commandLine()].map((parts) => parts.find((part) => String(part).startsWith("--confidence")) ?? null);
"""


@in_node
@pytest.mark.parametrize(
    ("search", "before", "limited"),
    [({"confidence": 0.99}, "--confidence 0.99", "--confidence 0.99"), ({}, None, "--confidence 0.95"),
     ({"sampler": "interval", "model": "paper", "train": 12}, None, None)],
)  # fmt: skip
def test_the_command_of_a_replay_has_a_confidence_if_the_search_had_one(
    search: dict[str, Any], before: str | None, limited: str | None
) -> None:
    rows = "".join(f"{d},{w},{90 - 40 / d - 9 / w:.2f},{d * w * w}\n" for d in range(4, 40, 6) for w in range(1, 7))
    Path("t.csv").write_text(f"depth,width,accuracy,size\n{rows}")
    tune(replay="t.csv", goal="accuracy", report="r.html", **search)
    text = Path("r.html").read_text(encoding="utf-8")
    start = text.index(">", text.index('id="data"')) + 1
    data = json.loads(text[start : text.index("</script>", start)])
    assert in_scripts(["question"], COMMAND, data) == [before, limited]


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
    assert len(set(places).intersection(range(mattering))) >= min(mattering, 1499), "which no other point displaces"
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


MAP = """
const matchMedia = () => ({ matches: false }), window = {}, MOST_POINTS = 1500;
const drawn = {};
function pen(id) {
  const calls = drawn[id] = [];
  const told = (name) => (...values) => calls.push([name, ...values, own.fillStyle]);
  const own = new Proxy({ measureText: (text) => ({ width: 6 * text.length }) }, { get: (all, name) => all[name] ?? told(name) });
  return own;
}
const elements = {};
const document = {
  body: {}, activeElement: null,
  getElementById: (id) => elements[id] ??= { style: {}, parentElement: { clientWidth: given.room }, width: 140, height: 10, options: [],
    getContext: () => pen(id), replaceChildren(...them) { this.children = them; }, append() {}, setAttribute() {},
    getBoundingClientRect: () => ({ left: 0, top: 0, width: 0 }) },
  createElement: (name) => ({ name, setAttribute() {}, append(...them) { this.text = them.join(""); } }),
};
const getComputedStyle = () => ({ fontFamily: "sans-serif" });
take(given.data);
decide();
buildMap();
"""
TILES = """
for (const name of given.metrics) $("map-metric").onchange($("map-metric").value = name);
drawMap();
const scale = scaleOf(), found = {};
for (const row of rows) found[row.name] = [row.down, row.right, scale.part(shownOf(row))];
const walk = [...given.keys].map((key) => {
  $("map").onkeydown({ key: { l: "ArrowLeft", r: "ArrowRight", u: "ArrowUp", d: "ArrowDown" }[key], preventDefault() {} });
  return map.chosen?.name ?? null;
});
const texts = drawn.map.filter(([name]) => name === "fillText").map(([, text]) => text);
return { found, walk, texts, ends: [$("map-low").textContent, $("map-high").textContent], high: $("map").height, wide: $("map").width,
         style: $("map").style.width, tile: [map.wide, map.high], shades: [shade(0), shade(0.5), shade(1)] };
"""


def mapped(text: str, *metrics: str, keys: str = "", shapes: list[tuple[int, int]] | None = None) -> Any:
    """Return what the map of a table shows, all of whose shapes were trained, coloured by a metric.

    Args:
        text: of the table.
        *metrics: that are chosen one after the other.
        keys: that are pressed, by their first letters.
        shapes: to be shown in place of those of the table.
    """
    Path("table.csv").write_text(text)
    parts = Assembly(Settings.create({"replay": "table.csv", "model": "ridge"}))
    data = page.content(Overview.of_replay(parts, as_they_are(parts.replay.train(parts.shapes))))["data"]
    if shapes is not None:
        row = data["overview"]["shapes"][0]
        named = ({"name": f"({d}, {w})", "depth": d, "width": w, "fraction": str(w)} for d, w in shapes)
        data["overview"]["shapes"] = [row | each for each in named]
    given = {"data": data, "metrics": metrics, "keys": keys, "room": 600}
    return in_scripts(["question", "words", "controls", "map"], MAP + TILES, given)


@in_node
def test_a_tile_lies_by_its_depth_and_width_and_is_coloured_by_its_part_of_the_scale() -> None:
    rows = [(2, "1/2", 60, 1), (2, 1, 70, 5), (3, "1/2", 80, 10), (3, 1, 90, 100), (5, 1, 85, 10)]
    text = "\n".join(["depth,width,accuracy,latency", *(",".join(map(str, row)) for row in rows)])
    by_accuracy = mapped(text)
    assert by_accuracy["found"] == {
        "(2, 1/2)": [2, 0, 0],
        "(2, 1)": [2, 1, pytest.approx(1 / 3)],
        "(3, 1/2)": [1, 0, pytest.approx(2 / 3)],
        "(3, 1)": [1, 1, 1],
        "(5, 1)": [0, 1, pytest.approx(5 / 6)],
    }
    assert by_accuracy["ends"] == ["60.00", "90.00 %"]
    assert by_accuracy["texts"][:5] == ["5", "3", "2", "1/2", "1"]
    assert by_accuracy["shades"] == ["rgb(68,1,84)", "rgb(35,144,140)", "rgb(253,231,37)"]
    by_latency = mapped(text, "latency")  # less is better, and a factor of 100 is shown by factors
    parts = {name: part for name, (_, _, part) in by_latency["found"].items()}
    assert parts == {
        "(2, 1/2)": 1,
        "(2, 1)": pytest.approx(1 - math.log10(5) / 2),
        "(3, 1/2)": pytest.approx(0.5),
        "(3, 1)": 0,
        "(5, 1)": pytest.approx(0.5),
    }
    assert by_latency["ends"] == ["1", "100 ms"]


@in_node
def test_arrow_keys_go_from_tile_to_tile_over_gaps_and_stay_at_the_edge() -> None:
    rows = [(2, 1), (2, 2), (2, 4), (3, 1), (3, 4), (5, 2)]
    text = "\n".join(["depth,width,accuracy", *(f"{depth},{width},{depth * 10}" for depth, width in rows)])
    walk = mapped(text, keys="rruludrr")["walk"]
    assert walk == ["(2, 2)", "(2, 4)", "(3, 4)", "(3, 1)", "(3, 1)", "(2, 1)", "(2, 2)", "(2, 4)"]


@in_node
@pytest.mark.parametrize(
    ("depths", "widths"), [(1, 2000), (2000, 1), (12000, 1), (1, 12000), (100, 100), (1, 1), (7, 9)]
)
def test_a_map_of_whatever_form_is_in_view(depths: int, widths: int) -> None:
    shapes = [(depth, width) for depth in range(1, depths + 1) for width in range(1, widths + 1)]
    shown = mapped("depth,width,accuracy\n1,1,60", shapes=shapes)
    assert shown["wide"] <= 2 * 600
    assert shown["high"] <= 2 * 4040, "browsers draw no canvas of more than some ten thousand pixels"
    assert shown["tile"][1] * depths >= 12, "a single row is no line"
    assert max(shown["tile"]) <= 96
    assert len(shown["texts"]) > 2


@in_node
def test_labels_of_a_map_do_not_lie_on_each_other() -> None:
    rows = [f"12345,{width / 1000},{60 + width / 100}" for width in range(101, 160)]
    texts = mapped("\n".join(["depth,width,accuracy", *rows]))["texts"]
    widths = texts[1:-2]
    assert texts[0] == "12345"
    assert sum(6 * len(text) for text in widths) < 600


SEVERAL = """
const elements = {}, fetching = () => {}, hear = () => {};
const document = {
  getElementById: (id) => elements[id] ??= { options: [], replaceChildren(...them) { this.options = them; },
    addEventListener(_, told) { this.told = told; } },
  createElement: (name) => ({ setAttribute(key, value) { this[key] = value; }, append() {} }),
};
"""
CHOICES = """
showChart = () => {};
return given.map((step) => {
  if (step.axis) elements[`several-${step.axis}`].told({ target: { value: step.value } });
  else studies = step;
  choose();
  return [elements["several-x"].value, elements["several-y"].value];
});
"""


@in_node
def test_axes_that_nobody_chose_are_those_of_what_is_known_by_now() -> None:
    def study(*metrics: str) -> dict[str, Any]:
        named = [{"name": name, "unit": ""} for name in metrics]
        return {"metrics": named, "better": "higher", "points": [dict.fromkeys(metrics, 1.0)]}

    first, second = study("perplexity"), study("size", "latency", "accuracy")
    steps = [[first], [first, second], {"axis": "x", "value": "latency"}, [first, second], [first]]
    assert in_scripts(["several"], CHOICES, steps, room="watching", before=SEVERAL) == [
        ["perplexity", "perplexity"],
        ["size", "accuracy"],
        ["latency", "accuracy"],
        ["latency", "accuracy"],
        ["perplexity", "perplexity"],
    ]
