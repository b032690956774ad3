"""A report speaks of the quality by its name, and decides in its direction."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shape_dnn import Quality
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.assembly.goal_expressions import Least
from shape_dnn.constraints import Constraint
from shape_dnn.records import Epoch, Training
from shape_dnn.report import figures, page
from shape_dnn.report.encoding import encode
from shape_dnn.report.overview import Overview
from shape_dnn.search.failures import as_they_are
from shape_dnn.search.query import Query
from shape_dnn.settings import Settings

PERPLEXITY = Quality("perplexity", better="lower", minimum=1)
LIMIT = Constraint("perplexity", True, 35.0)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium")


@pytest.fixture
def overview(monkeypatch: pytest.MonkeyPatch) -> Overview:
    """What a search knows of which shapes have at most perplexity 35, and the fastest of them."""
    rows = [f"{d},{w},{20 + 300 / d / w},{d * w},{d * w * w / 4}" for d in (10, 16, 22, 28) for w in (0.5, 1, 2)]
    Path("texts.csv").write_text("\n".join(["depth,width,accuracy,latency,size", *rows]))
    parts = Assembly(Settings.create({"replay": "texts.csv", "model": "ridge"}))
    qualities = {training.shape: training.quality for training in parts.replay.train(parts.shapes)}
    trainings = [
        Training(shape, quality, "", tuple(Epoch(n, None, quality + 90 / n, {"lr": 0.1}) for n in range(1, 6)))
        for shape, quality in list(qualities.items())[::2]
        if quality is not None
    ]
    overview = Overview.of_replay(parts, as_they_are(trainings))
    metrics = [metric for metric in overview.metrics if metric.name != "accuracy"]
    monkeypatch.setattr(Assembly, "quality", property(lambda _: PERPLEXITY))
    vars(parts)["goal"] = Least("latency")
    vars(parts)["query"] = Query((LIMIT,), parts.goal, confidence=0.9, quality=PERPLEXITY)
    parts.settings = replace(parts.settings, goal="latency")
    return replace(overview, metrics=metrics, tested={trainings[0].shape: 61.5}, verified=False)


def test_a_report_has_a_limit_and_a_goal_in_the_direction_of_the_quality(overview: Overview) -> None:
    content = encode(overview)
    assert content["quality"] == {**PERPLEXITY.record, "minimum": 1, "maximum": None}
    limits = [(limit["flag"], limit["value"]) for limit in content["limits"]]
    assert limits == [("--max-size", None), ("--max-latency", None), ("--max", 35.0)]
    scores = next(goal["scores"] for goal in content["goals"] if goal["name"] == "perplexity")
    assert scores == [candidate.expected for candidate in sorted(overview.candidates, key=by_row(overview))]


def by_row(overview: Overview) -> Any:
    places = {shape: place for place, shape in enumerate(overview.shapes)}
    return lambda candidate: places[candidate.shape]


def test_without_a_limit_on_it_the_quality_can_still_be_limited_from_the_better_side(overview: Overview) -> None:
    vars(overview.parts)["query"] = Query(quality=PERPLEXITY)
    last = encode(overview)["limits"][-1]
    assert (last["metric"], last["upper"], last["value"]) == ("perplexity", True, None)


def test_a_page_names_the_quality_and_leaves_out_a_loss_that_nobody_told(overview: Overview) -> None:
    text = page.render(overview)
    own = text.split("<script")[0]
    for heading in ("trained [perplexity]", "predicted [perplexity]", "test [perplexity]", "perplexity is"):
        assert f'<th scope="col">{heading}</th>' in own
    assert ">Perplexity model</h2>" in own
    assert "Their perplexity: 1 verified, 5 trained, 6 predicted." in own
    assert "61.50" in own
    assert "accuracy" not in own.replace("accuracy_model", ""), "but for the kind of a plugin"
    assert "%]" not in own
    assert 'id="curve-quality"' in own
    assert 'id="curve-loss"' not in own


def test_figures_are_of_the_quality_and_its_best_is_the_lowest(
    overview: Overview, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "measured_batches", lambda *_: {})
    known: Any = object()  # asked for measurements alone
    with pytest.warns(UserWarning, match="no figure of latency against batch"):
        specs = dict(figures.figures(overview, known))
    assert specs["perplexity-by-parameters"]["encoding"]["y"]["title"] == "perplexity"
    rows = specs["tuned-by-latency"]["data"]["values"]
    reached = [row["quality"] for row in rows if row["networks"].startswith("tuned")]
    assert len(reached) > 2
    assert reached == sorted(reached, reverse=True)


def test_a_curve_is_thinned_out_however_its_steps_are_counted(overview: Overview) -> None:
    long = tuple(Epoch(250 * n, None, 30 + 90 / n) for n in range(1, 1001))
    (shape, training), *_ = overview.trainings.items()
    points = encode(replace(overview, trainings={shape: replace(training, curve=long)}))["curves"]
    assert len(points) == 50
    assert points[-1]["epoch"] == 250_000


@pytest.fixture
def shown(overview: Overview) -> Iterator[Any]:
    """The report in a browser; at the end nothing was complained of."""
    from playwright.sync_api import sync_playwright

    page.write(overview, Path("r.html"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page()
        said: list[str] = []
        opened.on("console", lambda message: said.append(message.text))
        opened.on("pageerror", lambda error: said.append(str(error)))
        opened.goto(Path("r.html").absolute().as_uri())
        opened.wait_for_selector("body[data-state=complete]")
        yield opened
        assert said == []
        browser.close()


@in_a_browser
def test_the_lower_quality_is_the_better_one(shown: Any, overview: Overview) -> None:
    assert "--max perplexity=35 --confidence 0.9" in shown.text_content("#command")
    expected = {c.shape: c.expected or math.inf for c in overview.candidates}

    def complying() -> int:
        found = re.search(r"(\d+) of 12 shapes comply", shown.inner_text("#answer"))
        assert found is not None
        return int(found[1])

    assert complying() == sum(value <= 35 for value in expected.values()) > 0
    slider = shown.get_by_label("perplexity at most", exact=True)
    slider.focus()
    shown.keyboard.press("End")
    assert "perplexity" not in shown.text_content("#command"), "no limit at the right end"
    assert complying() == 12
    shown.keyboard.press("Home")
    strict = re.search(r"--max perplexity=([\d.]+)", shown.text_content("#command"))
    assert strict is not None
    assert complying() == sum(value <= float(strict[1]) for value in expected.values()) < 3

    shown.keyboard.press("End")
    shown.select_option("#goal", "perplexity")
    best = min(expected, key=lambda shape: expected[shape])
    assert shown.text_content("#best") == f"depth {best.depth}, width {best.width}"
    assert re.search(r"(reached|should reach) perplexity of \d+\.\d+", shown.text_content("#answer"))
    assert "%" not in shown.text_content("#answer")


@in_a_browser
def test_the_front_of_two_costs_has_no_shape_that_is_worse_in_both(shown: Any, overview: Overview) -> None:
    shown.get_by_label("perplexity at most", exact=True).focus()
    shown.keyboard.press("End")
    latency = next(metric.values for metric in overview.metrics if metric.name == "latency")
    costs = {c.shape: (latency[c.shape].value or 0.0, c.expected or math.inf) for c in overview.candidates}
    front = {
        str(shape)
        for shape, own in costs.items()
        if not any(all(a <= b for a, b in zip(other, own, strict=True)) and other != own for other in costs.values())
    }
    shown.select_option("#front-x", "latency")
    shown.select_option("#front-y", "perplexity")
    assert set(re.findall(r"\([^)]*\)", shown.text_content("#front-shapes"))) == front


@in_a_browser
def test_a_limit_beyond_the_bounds_of_the_quality_is_wrong(shown: Any) -> None:
    field = shown.get_by_label("perplexity at most, in its unit")
    field.fill("0.5")
    assert field.get_attribute("aria-invalid") == "true"
    assert shown.get_by_text("accepted is a number from 1; the limit stays 35").is_visible()
    assert "--max perplexity=35" in shown.text_content("#command")
    field.fill("40.5")
    assert "--max perplexity=40.5" in shown.text_content("#command")
