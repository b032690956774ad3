"""The pictures of README and documentation show what the code prints and draws now."""

from __future__ import annotations

import re
from pathlib import Path

import pictures
import pytest
from picturing import differences, essence

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FILES = {path.name: name for name in pictures.PICTURES for path in pictures.files_of(name).values()}
LARGEST = 200_000


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_a_picture_is_what_the_code_makes_now(name: str) -> None:
    picture = pictures.PICTURES[name]
    now = picture.source()
    assert now
    for path in pictures.files_of(name).values():
        drawn = picture.read(path.read_bytes())
        changed = differences(drawn, now)
        assert not changed, f"python docs/pictures.py {name} makes it anew: {changed[:10]}"


def test_every_picture_is_made_by_the_script_and_small() -> None:
    there = {path.name: path.stat().st_size for path in pictures.HERE.iterdir() if path.suffix in (".svg", ".png")}
    assert set(there) == set(FILES)
    assert max(there.values()) <= LARGEST, there


def test_every_picture_that_a_page_shows_exists_and_every_picture_is_shown() -> None:
    shown = {file for page in PAGES for file in re.findall(r"\bpictures/([\w.-]+\.(?:svg|png))", page.read_text())}
    assert shown <= set(FILES)
    assert {FILES[file] for file in shown} == set(pictures.PICTURES)


def test_a_digit_that_rounds_otherwise_is_no_change_and_another_answer_is() -> None:
    old = "best: depth 10, width 3/4; 98.31 %\nwithin 0.6702 points"
    assert differences(old, old) == []
    assert differences(old, old.replace("98.31", "98.32")) == []
    assert differences("+/- 0.81", "+/- 0.82") == []
    assert differences("+/- 0.81", "+/- 0.84") == ["0.81 became 0.84"]
    assert differences(old, old.replace("3/4", "5/4")) == ["3 became 5"]
    assert differences(old, old.replace("98.31", "97.9")) == ["98.31 became 97.9"]
    assert differences(old, old.replace("best", "fastest"))


def test_versions_dates_and_the_library_of_charts_are_no_part_of_a_page() -> None:
    page = "<script>{library}</script><p>shape-dnn {version}, {day}: {accuracy} %</p><script>go()</script>"
    old = page.format(library="x" * 99, version="0.1.0", day="2026-11-26 09:05", accuracy=98.3)
    new = page.format(library="y" * 98, version="0.2.0.dev1", day="2027-01-02 14:02+01:00", accuracy=98.3)
    assert differences(essence(old), essence(new)) == []
    assert differences(essence(old), essence(new.replace("98.3", "91"))) == ["98.3 became 91"]
    assert differences(essence(old), essence(new.replace("go()", "stay()")))
