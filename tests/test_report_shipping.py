"""A report speaks of what ships: its metrics on each target, what converting costs, and where it orders shapes anew."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from recorded_study import record_study
from report_pages import chromium, in_a_browser, move_sliders, question_of, shown

from shape_dnn import Shape, ask, write_report
from shape_dnn.answers.table import summarize
from shape_dnn.records import Measurement
from shape_dnn.report.orders import MOST_DRAWN, Order, compare

GRID = {"depth": "10:41:6", "width": "1/4:9/4:1/4"}
SHIPS = {
    "deploy": "onnxruntime", "option": "deploy.precision=int8", "target": ("ssh://pi", "server=ssh://me@big:2222"),
    "max": "latency@pi=1s", "goal": "latency@server",
}  # fmt: skip
EAGER, PI, SERVER = "torch eager", "onnxruntime int8 on pi", "onnxruntime int8 on server"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("studies") / "study"
    record_study(directory, **GRID, **SHIPS)
    return directory


@pytest.fixture(scope="module")
def report(study: Path) -> Path:
    (path,) = write_report(study)
    return path


@pytest.fixture(scope="module")
def data(report: Path) -> Any:
    """What the page knows."""
    found = re.search(r'id="data">(.*?)</script>', report.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return json.loads(found[1])


@pytest.fixture(scope="module")
def page(report: Path) -> Iterator[Any]:
    with chromium() as browser, shown(browser, report) as page:
        yield page


def table_of(page: Any) -> list[dict[str, str]]:
    """Read the table of all shapes."""
    headings = page.locator("#shapes th").all_text_contents()
    rows = page.locator("#shapes tbody tr").evaluate_all(
        "all => all.map((row) => [...row.cells].map((c) => c.textContent))"
    )
    return [dict(zip(headings, row, strict=True)) for row in rows]


@in_a_browser
@pytest.mark.parametrize("moves", [12, pytest.param(200, marks=pytest.mark.nightly)])
def test_sliders_for_each_target_give_the_answer_of_ask(page: Any, study: Path, moves: int) -> None:
    names = page.locator("input[type=range]").evaluate_all("all => all.map((e) => e.getAttribute('aria-label'))")
    measured = ["size", "latency@pi", "latency@server", "file-size", "memory@pi", "memory@server"]
    assert names == [*(f"{metric} at most" for metric in measured), "accuracy at least"]
    fields = page.locator("input[type=text]").evaluate_all("all => all.map((e) => e.getAttribute('aria-label'))")
    assert [field.rpartition(" in ")[2] for field in fields] == ["MB", "ms", "ms", "MB", "MB", "MB", "%"]
    move_sliders(page, study, moves, len(names))


@in_a_browser
def test_the_front_of_two_targets_is_that_of_ask(page: Any, study: Path) -> None:
    page.select_option("#front-y", "latency@server")
    page.select_option("#front-x", "latency@pi")
    _, question = question_of(page.text_content("#front-command"))
    assert question["pareto"] == "latency@pi,latency@server"
    expected = {str(shape) for shape in ask(study, **question).shapes}
    assert set(re.findall(r"\([^)]*\)", page.text_content("#front-shapes"))) == expected


@in_a_browser
def test_every_shape_has_its_quality_before_the_conversion_and_what_that_lost(page: Any) -> None:
    assert "as onnxruntime int8 on pi (ssh://pi) and server (ssh://me@big:2222)" in page.text_content("#ships")
    assert "onnxruntime@pi 1.20.1" in page.text_content("#ships")
    lost = 0
    for row in table_of(page):
        if row["trained [%]"] == "–":
            assert (row["in float32 [%]"], row["lost [%]"]) == ("–", "–")
        else:
            assert float(row["lost [%]"]) == pytest.approx(0.5 / float(Fraction(row["width"])), abs=0.006)
            assert float(row["in float32 [%]"]) == pytest.approx(
                float(row["trained [%]"]) + float(row["lost [%]"]), abs=0.011
            )
            lost += 1
    assert lost > 10
    assert "accuracy lost by conversion" in page.locator("#map-metric option").all_text_contents()


@in_a_browser
def test_two_latencies_are_compared_and_which_ones_can_be_chosen(page: Any, data: Any) -> None:
    options = page.locator("#order-x option").all_text_contents()
    assert options == [PI, SERVER, EAGER], "those that can be limited first"
    assert page.input_value("#order-x") == "2", "eager against what ships"
    assert page.input_value("#order-y") == "0"
    text = page.text_content("#order-text")
    assert text == data["orders"]["2 0"]["text"]
    assert re.fullmatch(
        r"In [1-9]\d* of 1,128 pairs of shapes the order changes .*; the rank correlation is 0\.\d\d\..*", text
    )
    page.locator("#order").scroll_into_view_if_needed()
    drawn = page.locator("#order svg").text_content()
    assert f"latency, {EAGER} [ms]" in drawn
    assert f"latency, {PI} [ms]" in drawn
    assert "changes" in drawn
    page.select_option("#order-x", "1")
    page.wait_for_function(f"document.querySelector('#order svg')?.textContent.includes('{SERVER}')")
    assert EAGER not in page.locator("#order svg").text_content()
    assert page.text_content("#order-text") == data["orders"]["1 0"]["text"]
    page.select_option("#order-y", "1")
    page.wait_for_function("document.querySelector('#order-x').value === '0'")
    assert page.input_value("#order-y") == "1", "both changed places"
    page.select_option("#goal", "")
    page.get_by_label("size at most, in MB", exact=True).fill("0")
    assert "Nothing complies" in page.text_content("#answer")
    page.get_by_label("size at most, in MB", exact=True).fill("")


def test_every_latency_that_is_compared_stands_in_the_table(report: Path) -> None:
    headings = re.findall('<th scope="col">([^<]*)</th>', report.read_text(encoding="utf-8"))
    assert {"latency@pi [ms]", "latency@server [ms]", f"latency, {EAGER} [ms]", "file-size [MB]"} <= set(headings)


def test_pairs_that_change_are_those_of_the_facts(data: Any) -> None:
    """Counted once more from what the page has of every shape, by its definition."""
    rows, columns = data["overview"]["shapes"], [timing["column"] for timing in data["overview"]["timings"]]
    for first, second in itertools.combinations(range(3), 2):
        x, y = columns[first], columns[second]
        changed = [
            {i, j}
            for i, one in enumerate(rows)
            for j, other in enumerate(rows)
            if one[f"{x}_high"] < other[f"{x}_low"] and one[f"{y}_low"] > other[f"{y}_high"]
        ]
        found = data["orders"][f"{first} {second}"]
        assert found["text"].startswith(f"In {len(changed)} of 1,128 pairs ")
        assert set(found["moved"]) == set().union(*changed)
        assert len(found["pairs"]) == min(len(changed), MOST_DRAWN)
        assert all(set(pair) in changed for pair in found["pairs"])


def values(*triples: tuple[float | None, float, float]) -> dict[Shape, Measurement]:
    return {Shape(10 + i, Fraction(1)): Measurement(*triple) for i, triple in enumerate(triples)}


def test_an_order_changes_only_beyond_the_intervals_of_both() -> None:
    first = values((1, 0.9, 1.1), (2, 1.9, 2.1), (3, 2.9, 3.1))
    apart = compare(first, values((3, 2.9, 3.1), (2, 1.9, 2.1), (1, 0.9, 1.1)))
    assert (apart.pairs, apart.changed, apart.correlation) == (3, 3, pytest.approx(-1))
    assert apart.drawn[0] == (Shape(10, Fraction(1)), Shape(12, Fraction(1))), "what changes most comes first"
    near = compare(first, values((3, 1.5, 3.5), (2, 1.9, 2.1), (1, 0.9, 2.95)))
    assert (near.changed, near.shapes) == (0, frozenset())
    assert compare(first, values((1, 1, 1), (1, 1, 1), (1, 1, 1))).correlation is None
    assert compare(first, values((None, 1, 1), (2, 2, 2))) == Order(0, 0, frozenset(), [], None)


def test_latencies_that_would_be_called_alike_are_told_apart_by_what_differs(tmp_path: Path) -> None:
    for threads in (1, 2):
        options = ["deploy.precision=int8", f"deploy.threads={threads}"]
        record_study(tmp_path / "study", **GRID, **{**SHIPS, "option": options, "target": "ssh://pi",
                     "max": "latency=1s", "goal": "latency"})  # fmt: skip
    (path,) = write_report(tmp_path / "study")
    found = re.search(r'"timings":(\[.*?\])', path.read_text(encoding="utf-8"))
    assert found is not None
    titles = [timing["title"] for timing in json.loads(found[1])]
    assert titles == [f"{PI} (threads 2)", EAGER, f"{PI} (threads 1)"]


def test_a_search_that_knows_one_latency_compares_none(tmp_path: Path) -> None:
    record_study(tmp_path / "study", **GRID, goal="latency")
    (path,) = write_report(tmp_path / "study")
    text = path.read_text(encoding="utf-8").split("<script")[0]
    assert 'id="orders"' not in text
    assert 'id="ships"' not in text, "networks as torch runs them here need no mention"
    assert "float32" not in text.split('id="provenance"')[0]


def test_tables_name_what_ships_and_have_its_quality_before_the_conversion(study: Path, shape_dnn: Any) -> None:
    result = ask(study, goal="latency@pi", min_accuracy="97%", confidence="0.5")
    summary = summarize(result)
    where = "as onnxruntime int8 on pi (ssh://pi) and server (ssh://me@big:2222)"
    assert summary.before[0] == f"space: 48 shapes of wrn, {where}"
    places = [summary.columns.index(name) for name in ("trained [%]", "in float32 [%]")]
    both = [[row[place] for place in places] for row in summary.rows]
    assert {before == "-" for _, before in both} == {True, False}
    assert all((shipped == "-") == (before == "-") for shipped, before in both)
    rows = [row for row in result.rows() if row["accuracy"] is not None]
    assert all(row["float_accuracy"] - row["accuracy"] == pytest.approx(0.5 / row["width"]) for row in rows)
    assert all(row["file-size"] > 0 for row in rows), "known, though nothing was asked about it"
    assert "float_accuracy" in result.columns
    ran = shape_dnn("ask", study, "--goal", "accuracy", "--min-accuracy", "97%")
    assert ran.status == 0, ran.err
    assert where in " ".join(ran.out.split())
    assert re.search(r"best: .*trained accuracy \d\d\.\d\d % \(\d\d\.\d\d in float32\)", ran.out)
