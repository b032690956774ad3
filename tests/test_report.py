"""The report works offline, decides as ask does, can be used by everyone, and lets nothing in it act."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from recorded_study import record_study
from report_pages import chromium, drawn, in_a_browser, move_sliders, question_of, shown

from shape_dnn import NothingCompliesError, UsageError, ask, tune, write_report
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.report import charts, figures
from shape_dnn.report.encoding import encode
from shape_dnn.report.overview import Overview
from shape_dnn.search.failures import as_they_are
from shape_dnn.settings import Settings
from shape_dnn.shape import Shape

MARKUP = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>"
GRID = {"depth": "10:41:6", "width": "1/4:9/4:1/4", "min_accuracy": "97", "goal": "latency"}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("studies") / "<img src=x onerror=window.hacked=1> & 'co'"
    record_study(directory, reason=MARKUP, **GRID)
    return directory


@pytest.fixture(scope="module")
def report(study: Path) -> Path:
    (path,) = write_report(study)
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[Any]:
    """The open report."""
    with shown(browser, report) as page:
        yield page


@in_a_browser
@pytest.mark.parametrize("moves", [12, pytest.param(200, marks=pytest.mark.nightly)])
def test_moving_the_sliders_gives_the_answer_of_ask(page: Any, study: Path, moves: int) -> None:
    move_sliders(page, study, moves, 5)


@in_a_browser
def test_the_front_of_any_two_metrics_is_that_of_ask(page: Any, study: Path) -> None:
    for x, y in (("latency", "accuracy"), ("size", "energy"), ("accuracy", "memory")):
        for select, name in (("#front-x", x), ("#front-y", y), ("#front-x", x)):
            page.select_option(select, name)
        assert (page.input_value("#front-x"), page.input_value("#front-y")) == (x, y)
        _, question = question_of(page.text_content("#front-command"))
        assert question["pareto"] == f"{x},{y}"
        expected = {str(shape) for shape in ask(study, **question).shapes}
        assert set(re.findall(r"\([^)]*\)", page.text_content("#front-shapes"))) == expected
        page.locator("#front svg").wait_for()
        assert page.locator("#front svg").count() == 1
        assert page.locator("#front .mark-line path").count() == 1


@in_a_browser
def test_the_front_takes_more_than_two_metrics_into_account(page: Any, study: Path) -> None:
    def is_of(*metrics: str) -> set[str]:
        _, question = question_of(page.text_content("#front-command"))
        assert set(question["pareto"].split(",")) == set(metrics)
        on_front = {str(shape) for shape in ask(study, **question).shapes}
        assert set(re.findall(r"\([^)]*\)", page.text_content("#front-shapes"))) == on_front
        return on_front

    page.select_option("#front-x", "size")
    page.select_option("#front-y", "accuracy")
    two = is_of("size", "accuracy")
    page.locator("#front-also").get_by_label("latency").check()
    three = is_of("size", "accuracy", "latency")
    assert two < three
    page.select_option("#goal", "")
    assert "the best trade-offs of size, accuracy and latency" in page.text_content("#answer")
    page.select_option("#front-x", "latency")  # what leaves the axis stays a part of the front
    assert is_of("latency", "accuracy", "size") == three
    assert page.locator("#front-also").get_by_label("size").is_checked()
    rings = page.locator("#front .mark-symbol path[stroke-width='1.5'][fill='transparent']")
    assert page.locator("#front .mark-line path").count() == 0
    assert rings.count() >= 1
    page.locator("#front-also").get_by_label("size").uncheck()
    assert is_of("latency", "accuracy") < three


@in_a_browser
def test_a_search_for_a_front_of_three_metrics_is_shown_as_it_was_asked(browser: Any, tmp_path: Path) -> None:
    record_study(tmp_path / "study", **{**GRID, "goal": None, "pareto": "size,latency,accuracy"})
    (report,) = write_report(tmp_path / "study")
    with shown(browser, report) as page:
        assert page.locator("#front-also").get_by_label("accuracy").is_checked()
        _, question = question_of(page.text_content("#front-command"))
        assert question["pareto"] == "size,latency,accuracy"


@in_a_browser
def test_a_limit_can_be_typed_and_nonsense_changes_nothing(page: Any) -> None:
    field = page.get_by_label("size at most, in MB")
    field.fill("0.05")
    assert "--max-size 0.05" in page.text_content("#command")
    field.fill("a lot")
    assert field.get_attribute("aria-invalid") == "true"
    assert "--max-size 0.05" in page.text_content("#command")
    hint = page.locator(f"[id='{field.get_attribute('aria-describedby')}']")
    assert hint.text_content() == "accepted is a number from 0; the limit stays 0.05 MB"
    field.fill("")
    assert hint.text_content() == ""
    assert "--max-size" not in page.text_content("#command")


@in_a_browser
def test_everything_can_be_done_with_the_keyboard(page: Any) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "goal"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "size at most"
    page.keyboard.press("Home")
    assert "--max-size" in page.text_content("#command")
    page.keyboard.press("End")
    assert "--max-size" not in page.text_content("#command")
    page.focus("#copy")
    page.keyboard.press("Enter")
    page.locator("#copy", has_text=re.compile("^(Copied|Selected)$")).wait_for()


@in_a_browser
def test_what_strangers_named_stays_text(page: Any, study: Path) -> None:
    assert page.text_content("h1") == study.name
    assert MARKUP in page.text_content("table")
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0


@in_a_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_it_is_accessible_on_any_screen(browser: Any, report: Path, scheme: str, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
    page = context.new_page()
    page.goto(report.as_uri())
    page.wait_for_selector("body[data-state=complete]")
    violations = Axe().run(page).response["violations"]
    assert [(v["id"], [node["html"][:200] for node in v["nodes"]]) for v in violations] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


@in_a_browser
def test_a_study_that_knows_no_accuracy_has_a_report(browser: Any, tmp_path: Path) -> None:
    record_study(tmp_path / "study", trained=(), failed=(), depth="10:17:6", width="1/2:1:1/4", max_size="1GB")
    (path,) = write_report(tmp_path / "study", goal="size")
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-state=complete]")
    assert page.text_content("#best") == "depth 10, width 1/2"
    page.get_by_label("accuracy at least, in %").fill("50")
    assert "Nothing complies" in page.text_content("#answer")
    assert said == []
    page.close()


def test_a_search_writes_its_report_and_says_where() -> None:
    result = tune(depth="10:11:6", width="1/2:1:1/2", goal="size", epochs=1, device="cpu", option="dataset.limit=300")
    assert result.report == Path("shape-dnn-study/report.html")
    assert result.report.is_file()
    assert result.to_dict()["report"] == "shape-dnn-study/report.html"
    assert result.to_dict()["recipe"]["epochs"] == {"value": 1, "from": "--epochs"}
    (recipe,) = re.findall("<h3>Recipe</h3>(.*?)</table>", result.report.read_text(encoding="utf-8"), re.DOTALL)
    rows = [re.findall("<t[hd][^>]*>(.*?)</t[hd]>", row) for row in recipe.split("</tr>")]
    assert ["epochs", "1", "of --epochs"] in rows
    for part in (["batch_size", "32"], ["lr", "0.2"], ["schedule", "one-cycle"]):
        assert [*part, "of dataset &#39;digits&#39;"] in rows


@pytest.mark.usefixtures("in_india")
def test_a_report_says_when_it_was_written_and_by_which_zone(study: Path, tmp_path: Path) -> None:
    (path,) = write_report(study, output=tmp_path / "report.html")
    (written,) = re.findall(r"<h3>Written</h3>\s*<div><p>(.*?)</p>", path.read_text(encoding="utf-8"), re.DOTALL)
    moment = datetime.fromisoformat(written)
    assert moment.utcoffset() == timedelta(hours=5, minutes=30)
    assert abs(datetime.now(UTC) - moment) < timedelta(hours=1)


def test_a_report_that_cannot_be_written_stops_a_search_before_it_begins() -> None:
    Path("file").write_text("")
    with pytest.raises(UsageError, match=r"cannot write 'file/r.html': (Not a directory|File exists)"):
        tune(report="file/r.html", depth="10:11:6", width="1/2:1:1/2", epochs=1, device="cpu")
    assert not Path("shape-dnn-study").exists()


def test_what_goes_wrong_with_a_report_costs_nobody_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("table.csv").write_text("depth,width,accuracy\n10,1,90\n16,1,91\n")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shape_dnn.report.page.write", fail)
    with pytest.warns(UserWarning, match="there is no report: .*No space left"):
        result = tune(replay="table.csv", goal="accuracy", report="r.html")
    assert str(result.best) == "(16, 1)"
    assert result.report is None


def test_without_a_browser_the_table_has_every_shape_and_the_reason_of_a_failure(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    assert text.count('<td class="verdict">') == 48
    assert "&lt;/script&gt;&lt;script&gt;window.hacked=1" in text
    assert "<img" not in text.split("<script")[0]


def test_without_a_browser_the_table_has_the_score_of_every_shape(tmp_path: Path) -> None:
    Path("table.csv").write_text("depth,width,accuracy,size,latency\n10,1,90,1,\n16,1,91,2,5\n22,1,92,3,6\n")
    for goal, expected in (("latency/size", ["–", "2.5", "2"]), ("accuracy", ["-90", "-91", "-92"]), (None, ["–"] * 3)):
        tune(replay="table.csv", goal=goal, report="r.html")
        assert re.findall('<td class="score">([^<]*)</td>', Path("r.html").read_text(encoding="utf-8")) == expected


@in_a_browser
def test_the_scores_are_those_of_the_goal_that_is_chosen(page: Any) -> None:
    def column(name: str) -> list[str]:
        place = drawn(page).locator("#shapes th").all_text_contents().index(name) + 1
        return list(page.locator(f"#shapes td:nth-child({place})").all_text_contents())

    page.select_option("#goal", "")
    assert set(column("score")) == {"–"}
    page.select_option("#goal", "size")
    assert [float(text) for text in column("score")] == [float(text) for text in column("size [MB]")]


def test_no_part_of_the_data_can_end_its_element(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert data is not None
    assert "<" not in data[1]
    rows = json.loads(data[1])["overview"]["shapes"]
    assert [row["reason"] for row in rows if row["state"] == "failed"] == [MARKUP]
    assert text.count("</script>") == 3


def test_the_page_may_load_nothing(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert "default-src &#39;none&#39;" in policy[1]
    assert "unsafe" not in policy[1]


def test_figures_of_the_paper_are_written_in_three_formats(study: Path, tmp_path: Path) -> None:
    names = {path.name for path in write_report(study, tmp_path / "r.html", figures=tmp_path / "figures")[1:]}
    stems = {f"{m}-by-{x}" for m in ("latency", "energy") for x in ("depth", "width", "batch")}
    stems |= {"accuracy-by-parameters", "tuned-by-latency", "tuned-by-energy", "tuned-by-size"}
    assert names == {f"{stem}.{suffix}" for stem in stems for suffix in ("svg", "png", "pdf")}
    starts = {"svg": b"<svg", "png": b"\x89PNG", "pdf": b"%PDF"}
    for name in names:
        assert (tmp_path / "figures" / name).read_bytes().startswith(starts[name.rpartition(".")[2]])
    assert "1/4" in (tmp_path / "figures" / "latency-by-depth.svg").read_text()


@pytest.mark.parametrize("others", [(), ("budget",), ("disturbed", "throttled")])
def test_an_undisturbed_measurement_looks_the_same_whatever_else_there_is(others: tuple[str, ...]) -> None:
    import vl_convert

    statuses = ("ok", *others)
    rows = [{"depth": d, "m0": d, "m0_low": d, "m0_high": d, "m0_status": status} for d, status in enumerate(statuses)]
    spec = {"$schema": charts.SCHEMA, **charts.measured("m0", "latency [ms]", statuses), "datasets": {"shapes": rows}}
    svg = vl_convert.vegalite_to_svg(json.dumps({**spec, "width": 200}))
    points = re.findall(r'<path aria-label="[^"]*status: (\w+)" role="graphics-symbol"[^>]*stroke="([^"]*)"', svg)
    drawn_as = dict(points)
    assert drawn_as.keys() == set(statuses)
    assert drawn_as.pop("ok") == charts.ACCENT
    assert charts.ACCENT not in drawn_as.values()


@pytest.mark.parametrize("last", [2, 3, 12, 200])
def test_epochs_are_whole_numbers_on_their_axis(last: int) -> None:
    import vl_convert

    rows = [{"name": "a", "depth": 1, "width": 1, "epoch": e, "quality": e} for e in range(1, last + 1)]
    spec = {"$schema": charts.SCHEMA, **charts.curves("quality", ""), "datasets": {"curves": rows}, "width": 300}
    svg = vl_convert.vegalite_to_svg(json.dumps(spec))
    axis = re.search(r'aria-label="X-axis.*?role-axis-title', svg, re.DOTALL)
    assert axis is not None
    labels = [label for label in re.findall(r"<text[^>]*>([^<]*)</text>", axis[0]) if label]
    assert len(labels) >= 2
    assert len(set(labels)) == len(labels)
    assert all(label.isdecimal() for label in labels)


def test_a_figure_without_data_is_said_to_be_missing(tmp_path: Path) -> None:
    record_study(tmp_path / "study", depth="10:17:6", width="1/2:1:1/2", goal="size")
    with pytest.warns(
        UserWarning, match="no figure of tuned against depth-scaled by size: all its shapes have one width"
    ):
        written = write_report(tmp_path / "study", figures=tmp_path / "figures")
    assert not any(path.name.startswith("tuned") for path in written)


def test_a_recorded_table_has_figures_of_what_it_records(recwarn: pytest.WarningsRecorder) -> None:
    rows = [f"{d},{w},{95 - 30 / d / w},{d * w * w},{d * w}" for d in (10, 16, 22) for w in (0.5, 1, 2)]
    Path("table.csv").write_text("\n".join(["depth,width,accuracy,size,multiply-adds", *rows]))
    parts = Assembly(Settings.create({"replay": "table.csv"}))
    overview = Overview.of_replay(parts, as_they_are(parts.replay.train(parts.shapes)))
    specs = dict(figures.figures(overview, None))
    assert specs.keys() == {"accuracy-by-parameters", "tuned-by-size", "tuned-by-multiply-adds"}
    assert len(specs["accuracy-by-parameters"]["data"]["values"]) == 9
    by_depth = [row["shape"] for row in specs["tuned-by-size"]["data"]["values"] if "width 1" in row["networks"]]
    assert by_depth == ["(10, 1)", "(16, 1)", "(22, 1)"]
    assert not recwarn.list, "a table lacks nothing: it has what was recorded"


def test_a_report_that_cannot_be_written_says_why(study: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write .*file/r.html"):
        write_report(study, tmp_path / "file" / "r.html")
    with pytest.raises(UsageError, match="there is no study"):
        write_report(tmp_path)


def test_a_replay_has_a_report_if_it_is_asked_for(shape_dnn: Callable[..., Any]) -> None:
    rows = [f"{d},{w},{90 + d / 10 + w},{d * w}" for d in (10, 16, 22) for w in (0.5, 1, 2)]
    Path("table.csv").write_text("\n".join(["depth,width,accuracy,latency", *rows]))
    ran = shape_dnn("--replay", "table.csv", "--max-latency", "20", "--goal", "accuracy", "--report", "out/r.html")
    assert ran.status == 0, ran.err
    assert ran.out.rstrip().endswith("report: out/r.html")
    assert '"latency"' in Path("out/r.html").read_text(encoding="utf-8")


def test_what_a_report_looks_up_grows_no_faster_than_the_space(tmp_path: Path) -> None:
    class Counted(list):  # type: ignore[type-arg]
        looked_at = 0

        def __iter__(self) -> Iterator[Any]:
            for item in super().__iter__():
                self.looked_at += 1
                yield item

    rows = [f"{d},{w},{90 + d / 100 + w / 10},{d * w}" for d in range(10, 70) for w in range(1, 6)]
    (tmp_path / "table.csv").write_text("\n".join(["depth,width,accuracy,latency", *rows]))
    parts = Assembly(Settings.create({"replay": str(tmp_path / "table.csv"), "goal": "latency"}))
    trainings = parts.replay.train(parts.shapes[::10])
    overview = Overview.of_replay(parts, as_they_are(trainings))
    counted = Counted(overview.candidates)
    assert encode(dataclasses.replace(overview, candidates=counted)) == encode(overview)
    assert 300 <= counted.looked_at <= 2 * 300


def test_ask_agrees_with_itself_when_nothing_complies(study: Path) -> None:
    result = ask(study, max_size="1B", goal="size")
    assert result.shapes == []
    with pytest.raises(NothingCompliesError):
        result.raise_if_empty()
    assert all(isinstance(shape, Shape) for shape in ask(study).shapes)
