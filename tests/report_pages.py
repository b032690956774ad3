"""Reports in a browser, for the tests of what they show and answer."""

from __future__ import annotations

import random
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from shape_dnn import ask

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium")


@contextmanager
def chromium() -> Iterator[Any]:
    """Start a browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def shown(browser: Any, report: Path) -> Iterator[Any]:
    """Open a report; at the end nothing was complained of and nothing loaded."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    said: list[str] = []
    loaded: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: loaded.append(request.url))
    page.goto(report.as_uri())
    page.wait_for_selector("body[data-state=complete]")
    yield page
    assert said == [], said
    assert loaded == [report.as_uri()], loaded
    context.close()


def drawn(page: Any) -> Any:
    """Return a page when it has drawn what it was asked."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page


def question_of(command: str) -> tuple[str, dict[str, Any]]:
    """Read a command line that the page shows."""
    program, sub_command, study, *words = shlex.split(command)
    assert (program, sub_command) == ("shape-dnn", "ask")
    question: dict[str, Any] = {}
    for flag, value in zip(words[::2], words[1::2], strict=True):
        name = flag.removeprefix("--").replace("-", "_")
        question[name] = [*question.get(name, []), value] if name in ("max", "min") else value
    return study, question


def move_sliders(page: Any, study: Path, moves: int, sliders_there: int) -> None:
    """Move sliders and choose goals at random, and see that the page answers as ``ask`` does."""
    rng = random.Random(7)
    sliders = page.locator("input[type=range]")
    assert sliders.count() == sliders_there
    found = 0
    for _ in range(moves):
        for i in range(sliders.count()):
            most = int(sliders.nth(i).get_attribute("max"))
            free = 0 if "at least" in sliders.nth(i).get_attribute("aria-label") else most
            place = free if rng.random() < 0.4 else rng.randint(0, most)
            sliders.nth(i).evaluate("(e, v) => { e.value = v; e.dispatchEvent(new Event('input')); }", place)
        goals = page.locator("#goal option")
        page.select_option("#goal", goals.nth(rng.randint(1, goals.count() - 1)).get_attribute("value"))
        page.select_option("#confidence", rng.choice(["0.5", "0.8", "0.9", "0.95", "0.99"]))
        named, question = question_of(page.text_content("#command"))
        assert Path(named) == study
        result = ask(study, **question)
        trained = result.answer.best is not None and result.answer.best.quality is not None
        assert page.locator("#export").count() == trained, question
        if trained:
            words = shlex.split(page.text_content("#export"))
            assert words == ["shape-dnn", "export", named, "--shape", f"{result.best.depth},{result.best.width}"]
        count = re.search(r"(\d+) of 48 shapes comply", page.text_content("#answer"))
        assert count is not None
        assert int(count[1]) == len(result.shapes), question
        if result.best is None:
            assert page.locator("#best").count() == 0, question
        else:
            assert page.text_content("#best") == f"depth {result.best.depth}, width {result.best.width}", question
            found += 1
        assert drawn(page).locator("td.verdict", has_text="★").count() == (result.best is not None)
    assert found > 0.3 * moves
