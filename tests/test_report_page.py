"""A report says the answer in words, tells of the search, agrees with the terminal, prints well, and takes newer data."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from recorded_study import record_study
from report_pages import chromium, drawn, in_a_browser, shown

from shape_dnn import ask, tune, write_report
from shape_dnn.answers.question import StudyQuestion
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.report import page as pages
from shape_dnn.report import story
from shape_dnn.report.overview import Overview
from shape_dnn.search.failures import as_they_are
from shape_dnn.settings import Settings

GRID = {"depth": "10:41:6", "width": "1/4:9/4:1/4", "min_accuracy": "97", "goal": "latency"}
QUESTIONS: list[dict[str, Any]] = [
    {"min_accuracy": "97%", "goal": "latency"},
    {"max_size": "0.5MB", "goal": "accuracy"},
    {"max": ["memory=30"], "min_accuracy": "96%", "goal": "energy"},
    {"max_latency": "1.5ms", "goal": "size"},
]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("studies") / "study"
    record_study(directory, **GRID)
    return directory


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


def cells(page: Any) -> list[list[str]]:
    """Read the page of the table that is shown."""
    rows = drawn(page).locator("#rows tr").evaluate_all("all => all.map((r) => [...r.cells].map((c) => c.textContent))")
    return [list(row) for row in rows]


@in_a_browser
def test_beside_a_near_limit_values_have_as_many_digits_as_it_takes_to_see_their_side(
    browser: Any, tmp_path: Path, shape_dnn: Callable[..., Any]
) -> None:
    (tmp_path / "t.csv").write_text(
        "depth,width,accuracy,params\n10,1,98.004,1234567\n16,1,98.002,1234565\n22,1,99,9\n"
    )
    near = "--min-accuracy 98.003 --max params=1234567.5 --goal params --strategy exhaustive --model ridge"
    out = shape_dnn("--replay", tmp_path / "t.csv", *near.split(), "--report", tmp_path / "r.html").out
    assert re.search(r"10 +1 .* 98\.004 ", out), out  # and not 98.00, which is beyond the limit
    assert "16" not in re.findall(r"^ +(\d+)", out, re.MULTILINE)
    with shown(browser, tmp_path / "r.html") as page:
        trained = page.locator("#shapes th").all_text_contents().index("trained [%]")
        params = page.locator("#shapes th").all_text_contents().index("params")
        told = {row[2]: (row[trained], row[params]) for row in cells(page)}
        assert told == {"10": ("98.004", "1,234,567"), "16": ("98.00", "1,234,565"), "22": ("99.00", "9")}


@in_a_browser
@pytest.mark.parametrize("question", QUESTIONS)
def test_terminal_json_page_and_print_have_the_same_numbers(
    browser: Any, study: Path, tmp_path: Path, shape_dnn: Callable[..., Any], question: dict[str, Any]
) -> None:
    (path,) = write_report(study, tmp_path / "r.html", **question)
    flags = [word for name, value in question.items() for one in ([value] if isinstance(value, str) else value)
             for word in (f"--{name.replace('_', '-')}", one)]  # fmt: skip
    found = json.loads(shape_dnn("ask", study, *flags, "--format", "json").out)
    terminal = " ".join(shape_dnn("ask", study, *flags).out.split())
    best = found["best"]
    assert best is not None
    width = str(ask(study, **question).best.width)
    with shown(browser, path) as page:
        for medium in ("screen", "print"):
            page.emulate_media(media=medium)
            headings = page.locator("#shapes th").all_text_contents()
            row = dict(zip(headings, cells(page)[0], strict=True))
            assert (row["complies"], row["depth"], row["width"]) == ("★", str(best["depth"]), width)
            for name in ("size [MB]", "latency [ms]", "energy [J]"):
                if best[name.split()[0]] is not None:  # the page also has what the question is not about
                    assert float(row[name].split()[0]) == pytest.approx(best[name.split()[0]], rel=5e-4)
            known = "accuracy" if best["accuracy"] is not None else "predicted_accuracy"
            value = f"{best[known]:.2f}"
            assert row["trained [%]" if known == "accuracy" else "predicted [%]"] == value
            assert f"depth {best['depth']}, width {width}" in terminal
            said = page.inner_text("#answer")
            assert f"depth {best['depth']}, width {width}" in said
            assert value in said
            assert f"{best['size']:.4g} MB" in said
            assert f"{len(found['shapes'])} of 48 shapes comply" in said
            assert f"{len(found['shapes'])} of 48 shapes comply" in terminal


@in_a_browser
def test_the_answer_is_a_sentence_that_changes_with_the_question(browser: Any, study: Path, tmp_path: Path) -> None:
    (path,) = write_report(study, tmp_path / "r.html")
    with shown(browser, path) as page:
        assert page.inner_text(".headline").startswith(
            "The fastest network that is right on at least 97 % of images is "
        )
        assert re.search(r"17 of 48 networks were trained|16 of 48 networks were trained", page.inner_text("#answer"))
        page.select_option("#goal", "size")
        page.get_by_label("latency at most, in ms", exact=True).fill("2")
        assert page.inner_text(".headline").startswith(
            "The smallest network that answers in at most 2 ms and is right on at least 97 % of images is "
        )
        page.select_option("#goal", "")
        assert re.match(r"\d+ of 48 networks answer in at most 2 ms and are right", page.inner_text(".headline"))
        page.get_by_label("accuracy at least, in %", exact=True).fill("100")
        assert page.inner_text(".headline").startswith(
            "No network answers in at most 2 ms and is right on at least 100 %"
        )
        assert "Closest comes the one of depth" in page.inner_text(".lede")


@in_a_browser
def test_a_tile_of_the_map_tells_all_of_its_shape_by_keyboard_and_pointer(
    browser: Any, study: Path, tmp_path: Path
) -> None:
    (path,) = write_report(study, tmp_path / "r.html")
    with shown(browser, path) as page:
        best = page.inner_text("#shape h3")
        assert best == page.inner_text("#best")
        page.focus("#map")
        page.keyboard.press("ArrowUp")
        above = page.inner_text("#shape h3")
        depths = [int(re.search(r"depth (\d+)", text)[1]) for text in (best, above)]  # type: ignore[index]
        assert depths[1] == depths[0] + 6
        for name in ("size", "latency", "energy", "memory"):
            assert page.locator("#shape dt", has_text=re.compile(f"^{name}$")).count() == 1
        page.click("#map", position={"x": 40, "y": 8})
        assert page.inner_text("#shape h3") == "depth 40, width 1/4"
        for name in ("size", "accuracy"):
            page.select_option("#map-metric", name)
        assert page.inner_text("#map-high").endswith("%")


@in_a_browser
def test_on_paper_it_has_two_pages(browser: Any, study: Path, tmp_path: Path) -> None:
    (path,) = write_report(study, tmp_path / "r.html")
    with shown(browser, path) as page:
        paper = page.pdf(format="A4", print_background=True)
        assert len(re.findall(rb"/Type\s*/Page\b", paper)) == 2
        page.emulate_media(media="print")
        for part in ("#answer", "#map", "#front svg", "#rows", "#provenance"):
            assert page.locator(part).is_visible(), part
        for part in ("#asked", "#copy", "#model", "#curves", "summary >> nth=0"):
            assert not page.locator(part).is_visible(), part


@in_a_browser
def test_newer_data_leave_question_focus_and_place_as_they_are(browser: Any, tmp_path: Path) -> None:
    def content(name: str, trained: range) -> Any:
        record_study(tmp_path / name, trained=trained, **GRID)
        with StudyQuestion.open(tmp_path / name, {}, as_searched=True) as known:
            return pages.content(Overview.of_study(known))

    few, many = content("few", range(0, 1000, 6)), content("many", range(0, 1000, 3))
    pages.save(pages.render_content(few), tmp_path / "r.html")
    with shown(browser, tmp_path / "r.html") as page:
        before = page.locator("header p").first.inner_text()
        field = page.get_by_label("size at most, in MB", exact=True)
        field.fill("0.5")
        page.evaluate("scrollTo(0, 300)")
        page.evaluate("window.kept = document.getElementById('answer')")
        page.evaluate("(content) => window.shapeDnn.update(content)", many)
        assert drawn(page).locator("header p").first.inner_text() != before
        assert "--max-size 0.5" in page.text_content("#command")
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "size at most, in MB"
        assert page.evaluate("scrollY") == 300
        assert page.evaluate("window.kept === document.getElementById('answer')"), "what did not change was left alone"
        assert "many" in page.text_content("h1")
        field.fill("")
        assert "--max-size" not in page.text_content("#command"), "the controls still work"
        page.mouse.move(5, 5)
        page.mouse.down()
        page.evaluate("(content) => window.shapeDnn.update(content)", few)
        assert "many" in page.text_content("h1"), "while a pointer is pressed, nothing moves under it"
        page.mouse.up()
        page.wait_for_function("document.querySelector('h1').textContent.includes('few')")


def overview_of(study: Path, **settings: Any) -> Overview:
    with StudyQuestion.open(study, settings, as_searched=True) as known:
        return Overview.of_study(known)


def of_table(text: str, every: int = 1, **settings: Any) -> dict[str, Any]:
    """Return what is shown of a table of which some shapes were trained."""
    Path("table.csv").write_text(text)
    parts = Assembly(Settings.create({"replay": "table.csv", **settings}))
    return pages.content(Overview.of_replay(parts, as_they_are(parts.replay.train(parts.shapes[::every]))))


@in_a_browser
def test_a_quality_in_percent_may_be_of_any_size(browser: Any) -> None:
    rows = [f"{d},1,{value}" for d, value in enumerate((2.5, 3e12, 40, 2.25), 1)]
    shown_ = of_table("\n".join(["# quality: error % lower 0:", "depth,width,error", *rows]), goal="error")
    pages.save(pages.render_content(shown_), Path("r.html"))
    with shown(browser, Path("r.html").absolute()) as page:
        assert page.text_content("#best") == "depth 4, width 1"
        assert int(page.get_attribute("input[type=range]", "max")) <= 200


@in_a_browser
def test_a_level_of_confidence_that_newer_data_do_not_have_gives_way_to_theirs(browser: Any) -> None:
    rows = [f"{d},{w}/4,{60 + d + w},{d * w}" for d in range(1, 7) for w in range(1, 5)]
    text = "\n".join(["depth,width,accuracy,latency", *rows])
    former, newer = (of_table(text, 3, min_accuracy="65", confidence=level) for level in (0.85, 0.93))
    pages.save(pages.render_content(former), Path("r.html"))
    with shown(browser, Path("r.html").absolute()) as page:
        page.get_by_label("latency at most, in ms", exact=True).fill("12")
        assert "--confidence 0.85" in page.text_content("#command")
        page.evaluate("(content) => window.shapeDnn.update(content)", newer)
        assert "--max-latency 12" in page.text_content("#command"), "what was asked stays"
        assert "--confidence 0.93" in drawn(page).text_content("#command")


@in_a_browser
def test_whatever_a_column_is_called_the_shown_command_can_be_called(browser: Any) -> None:
    name = "Müller's cost, <b>$(ls)</b>"
    rows = [f"{d},1,{60 + d},{d}" for d in range(1, 7)]
    shown_ = of_table("\n".join([f'depth,width,accuracy,"{name}"', *rows]), max=[f"{name}=4"], goal="accuracy")
    pages.save(pages.render_content(shown_), Path("r.html"))
    with shown(browser, Path("r.html").absolute()) as page:
        words = shlex.split(page.text_content("#command"))
        assert words == ["shape-dnn", "--replay", "table.csv", "--max", f"{name}=4", "--goal", "accuracy"]
        assert name in shlex.split(page.text_content("#front-command"))[-1]
        assert page.text_content("#best") == "depth 4, width 1"


PLUGIN = """
from shape_dnn import hookimpl
from shape_dnn.kinds import Goal, Option, Plugin

class Mine(Goal):
    metrics = ("size", "accuracy")

    def __init__(self, weight=1.0):
        self.weight = weight

    def score(self, values):
        return values["size"] * self.weight - values["accuracy"]

@hookimpl
def shape_dnn_goals():
    yield Plugin("mine", "Mine.", Mine, {"weight": Option(1.0, "Of the size.")})
"""


@in_a_browser
def test_the_shown_command_has_the_plugins_and_options_of_the_search(
    browser: Any, shape_dnn: Callable[..., Any]
) -> None:
    Path("my goal.py").write_text(PLUGIN)
    record_study(Path("study"), **{**GRID, "goal": "mine"}, plugin=["my goal.py"], option=["goal.weight=10"])
    pages.write(overview_of(Path("study"), plugin=["my goal.py"], model="ridge"), Path("r.html"))
    with shown(browser, Path("r.html").absolute()) as page:
        words, best = shlex.split(page.text_content("#command")), page.text_content("#best")
        assert shlex.split(page.text_content("#export"))[:5] == [
            "shape-dnn",
            "export",
            "study",
            "--plugin",
            "my goal.py",
        ]
    assert words[:3] == ["shape-dnn", "ask", "study"]
    assert {"--plugin", "my goal.py", "--model", "ridge", "goal.weight=10"} <= set(words)
    answer = shape_dnn(*words[1:], "--format", "json").json["best"]
    assert best == f"depth {answer['depth']}, width {Fraction(answer['width'])}"


def test_the_command_of_a_replay_searches_as_it_did() -> None:
    rows = [f"{d},{w}/4,{60 + d + w},{d * w}" for d in range(1, 7) for w in range(1, 5)]
    settings = {"sampler": "random", "seed": "5", "min_accuracy": "65", "workers": "2"}
    content = of_table("\n".join(["depth,width,accuracy,latency", *rows]), 3, goal="latency", **settings)
    words = shlex.split(content["data"]["overview"]["command"])
    assert words[:3] == ["shape-dnn", "--replay", "table.csv"]
    assert sorted(zip(words[3::2], words[4::2], strict=True)) == [("--sampler", "random"), ("--seed", "5")]


@in_a_browser
def test_a_large_space_has_a_table_in_pages_and_charts_of_some(browser: Any) -> None:
    rows = [f"{d},{w}/8,{60 + 30 * (1 - 1 / d) + w / 10},{d * w}" for d in range(10, 70) for w in range(1, 41)]
    Path("table.csv").write_text("\n".join(["depth,width,accuracy,latency", *rows]))
    settings = {"replay": "table.csv", "goal": "latency", "min_accuracy": "89%", "model": "ridge"}
    parts = Assembly(Settings.create(settings))
    pages.write(Overview.of_replay(parts, as_they_are(parts.replay.train(parts.shapes[::200]))), Path("r.html"))
    text = Path("r.html").read_text(encoding="utf-8")
    assert text.count('<td class="verdict">') == pages.MOST_ROWS
    assert "1,900 more shapes need JavaScript" in text
    with shown(browser, Path("r.html").absolute()) as page:
        page.locator("#shapes").scroll_into_view_if_needed()
        page.locator("#rows tr.best").wait_for()
        first = cells(page)
        assert len(first) == 50
        assert first[0][0] == "★"
        page.click("#page-on")
        assert page.text_content("#page-place") == "51 to 100 of 2,400"
        assert cells(page)[0] != first[0]
        assert page.locator("#front svg .mark-symbol path").count() < 2000


@in_a_browser
def test_a_chart_that_nobody_sees_is_drawn_anew_as_soon_as_somebody_does(
    browser: Any, study: Path, tmp_path: Path
) -> None:
    (path,) = write_report(study, tmp_path / "r.html")
    with shown(browser, path) as page:
        page.set_viewport_size({"width": 1200, "height": 200})
        faded = page.locator("#front svg .mark-symbol path[opacity='0.3']")  # of shapes that do not comply
        before = faded.count()

        def limit(size: str) -> None:
            page.fill("input[type=text][aria-label^='size at most']", size)
            page.wait_for_timeout(300)  # charts are drawn when moves have ended

        limit("0")
        assert "Nothing complies" in page.text_content("#answer")
        assert faded.count() == before
        page.locator("#front").scroll_into_view_if_needed()
        faded.nth(before).wait_for(state="attached")
        every = faded.count()
        page.evaluate("scrollTo(0, 0)")
        limit("")
        assert faded.count() == every > before
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        faded.nth(before).wait_for(state="detached")


def test_a_replay_tells_which_network_was_trained_why_and_what_ended_the_search() -> None:
    rows = [f"{d},{w},{95 - 30 / d / w},{d * w}" for d in range(10, 40, 3) for w in (0.5, 1, 2, 3)]
    Path("table.csv").write_text("\n".join(["depth,width,accuracy,size", *rows]))
    result = tune(replay="table.csv", goal="size", min_accuracy="93%", report="r.html")
    text = Path("r.html").read_text(encoding="utf-8").split("<script")[0]
    (told,) = re.findall('<section aria-labelledby="story-title".*?</section>', text, re.DOTALL)
    steps = re.findall(r"<tr><td>\d+</td><td>(.*?)</td>", told)
    assert set(steps) == {str(training.shape) for training in result.answer.trainings}
    assert "tells much about all networks" in told
    assert "accuracy at least 93 %" in told
    assert "The search ended" in told


def test_a_study_tells_its_search_from_the_journal_and_invents_nothing_without_one(study: Path, tmp_path: Path) -> None:
    (path,) = write_report(study, tmp_path / "r.html")
    assert story.WITHOUT_JOURNAL.note in path.read_text(encoding="utf-8")
    result = tune(depth="10:17:6", width="1/2:1:1/4", goal="size", min_accuracy="20%", epochs=1, device="cpu",
                  option="dataset.limit=300")  # fmt: skip
    assert result.report is not None
    with StudyQuestion.open(Path("shape-dnn-study"), {}, as_searched=True) as known:
        told = Overview.of_study(known).story
    assert told is not None
    assert {step.shape for step in told.steps} >= {str(training.shape) for training in result.answer.trainings}
    assert [stage for stage, _, _ in told.stages] == ["accuracy at least 20 %"]
    assert told.end.startswith("The search ended")
    assert told.note == ""


@in_a_browser
def test_a_page_that_was_opened_before_any_training_claims_nothing_and_draws_the_front_later(
    browser: Any, study: Path, tmp_path: Path
) -> None:
    with StudyQuestion.open(study, {}) as known:
        late = pages.content(Overview.of_study(known))
    early = json.loads(json.dumps(late))
    for row in early["data"]["overview"]["shapes"]:
        row |= {"quality": None, "mean": None, "std": None, "state": "unknown"}
    overview = early["data"]["overview"]
    overview["metrics"] = overview["metrics"][:1]
    early["data"]["charts"] = []
    path = tmp_path / "early.html"
    path.write_text(pages.render_content(early), encoding="utf-8")
    with shown(browser, path) as page:
        assert (page.text_content("#front-command"), page.text_content("#front-shapes")) == ("", "")
        answer = page.text_content("#answer")
        assert "the accuracy of 48 of them is not known" in answer
        assert "predicted" not in answer
        assert page.locator("#front svg").count() == 0
        page.evaluate("content => shapeDnn.update(content)", late)
        page.locator("#front svg").wait_for(state="attached")
        assert "--pareto" in page.text_content("#front-command")


@in_a_browser
def test_where_somebody_types_stays_when_a_metric_becomes_known(browser: Any, study: Path, tmp_path: Path) -> None:
    with StudyQuestion.open(study, {}) as known:
        late = pages.content(Overview.of_study(known))
    early = json.loads(json.dumps(late))
    overview = early["data"]["overview"]
    overview["metrics"] = overview["metrics"][:1]
    overview["limits"] = [limit for limit in overview["limits"] if limit["metric"] in ("size", "accuracy")]
    overview["goals"] = [goal for goal in overview["goals"] if goal["name"] in ("size", "accuracy")]
    path = tmp_path / "early.html"
    path.write_text(pages.render_content(early), encoding="utf-8")
    label = "document.activeElement.getAttribute('aria-label')"
    with shown(browser, path) as page:
        page.get_by_label("accuracy at least, in %", exact=True).fill("97")
        page.evaluate("content => shapeDnn.update(content)", late)
        assert page.evaluate(label) == "accuracy at least, in %"
        assert page.get_by_label("latency at most, in ms", exact=True).input_value() == ""
        assert page.get_by_label("accuracy at least, in %", exact=True).input_value() == "97"
        page.get_by_label("latency at most", exact=True).focus()
        page.evaluate("content => shapeDnn.update(content)", early)
        page.get_by_label("accuracy at least", exact=True).focus()
        page.evaluate("content => shapeDnn.update(content)", late)
        assert page.evaluate(label) == "accuracy at least"


@in_a_browser
def test_what_is_unfolded_stays_unfolded_when_more_becomes_known(browser: Any, study: Path, tmp_path: Path) -> None:
    with StudyQuestion.open(study, {}) as known:
        late = Overview.of_study(known)
        early = replace(late, provenance=[each for each in late.provenance if each.name != "What determines energy"])
        later, first = pages.content(late), pages.content(early)
    path = tmp_path / "early.html"
    path.write_text(pages.render_content(first), encoding="utf-8")
    titles = "[...document.querySelectorAll('details[open]')].map((e) => e.closest('.origin').querySelector('h3').textContent)"
    with shown(browser, path) as page:
        page.locator(".origin", has_text="What determines memory").locator("summary").click()
        page.evaluate("content => shapeDnn.update(content)", later)
        assert page.evaluate(titles) == ["What determines memory"]


def test_how_much_a_search_saved_is_written_out_and_one_shape_is_one() -> None:
    rows = [f"{d},1,{60 + d / 10},20" for d in range(1, 401)]
    many = of_table("\n".join(["depth,width,accuracy,seconds", *rows]), 200, model="ridge")
    assert "2 of 400 shapes were trained (0.5 %)" in many["main"]
    assert re.search(r"about [\d.]+ hours: \d{3} times as long", many["main"])
    one = of_table("depth,width,accuracy,seconds\n10,1,60,20", model="ridge")
    assert "recorded table: 1 shape. Its accuracy: 1 trained." in one["header"]
    assert "1 of 1 shape was trained (100 %), in 20 seconds of training." in one["main"]
    assert "times as long" not in one["main"], "there is nothing to compare it with"


@in_a_browser
@pytest.mark.parametrize("width", [320, 1200])
def test_a_long_name_makes_no_page_wider_than_its_window(browser: Any, width: int) -> None:
    name = "a_very_long_metric_name_that_goes_on_and_on_and_on_and_never_ends"
    rows = [f"{d},{w},{60 + d + w},{d * w}" for d in (1, 2, 3) for w in (1, 2)]
    pages.save(pages.render_content(of_table("\n".join([f"depth,width,accuracy,{name}", *rows]))), Path("r.html"))
    with shown(browser, Path("r.html").absolute()) as page:
        page.set_viewport_size({"width": width, "height": 900})
        page.click("#map", position={"x": 45, "y": 8})
        assert name in page.inner_text("#shape")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@in_a_browser
def test_where_nothing_but_the_quality_is_known_there_is_no_trade_off(browser: Any) -> None:
    rows = [f"{d},{w},{60 + d + w}" for d in (1, 2, 3) for w in (1, 2)]
    content = of_table("\n".join(["depth,width,accuracy", *rows]), goal="accuracy")
    with_latency = of_table("\n".join(["depth,width,accuracy,latency", *(f"{row},1" for row in rows)]))
    pages.save(pages.render_content(content), Path("r.html"))
    with shown(browser, Path("r.html").absolute()) as page:
        assert page.text_content("#best") == "depth 3, width 2"
        assert page.locator("#trade-off, select:not(:has(option))").count() == 0
        page.evaluate("content => shapeDnn.update(content)", with_latency)
        page.locator("#front svg").wait_for(state="attached")
        page.evaluate("content => shapeDnn.update(content)", content)
        assert page.locator("#trade-off").count() == 0


@in_a_browser
def test_the_page_of_the_table_that_is_read_stays_until_something_else_is_asked(browser: Any) -> None:
    rows = [f"{d},{w},{60 + d + w},{d * w}" for d in range(1, 31) for w in (1, 2, 3, 4)]
    text = "\n".join(["depth,width,accuracy,latency", *rows])
    few, many = (of_table(text, every, goal="latency", model="ridge") for every in (6, 3))
    pages.save(pages.render_content(few), Path("r.html"))
    with shown(browser, Path("r.html").absolute()) as page:
        place = page.locator("#page-place")
        page.click("#page-on")
        assert place.text_content() == "51 to 100 of 120"
        page.evaluate("content => shapeDnn.update(content)", many)
        assert drawn(page).locator("#page-place").text_content() == "51 to 100 of 120"
        page.select_option("#goal", "accuracy")
        assert drawn(page).locator("#page-place").text_content() == "1 to 50 of 120"


@in_a_browser
def test_a_command_that_was_not_copied_is_not_said_to_be(browser: Any, study: Path, tmp_path: Path) -> None:
    (path,) = write_report(study, tmp_path / "r.html")
    with shown(browser, path) as page:
        page.click("#copy")
        page.locator("#copy", has_text=re.compile("Copied|Selected")).wait_for()
        page.select_option("#goal", "size")
        assert page.text_content("#copy") == "Copy"
