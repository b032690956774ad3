"""What benchmarks count where networks are chosen by other latencies than those of what ships."""

from __future__ import annotations

from pathlib import Path

import deploying
import numpy as np
import pytest
from choices import Figures, Outcome, Question, Space, average, choose, compare, draw, factor, table

from shape_dnn import Shape
from shape_dnn.records import Measurement

QUALITY = np.array([10.0, 20.0, 30.0, 40.0])
LATENCIES = {
    "server": np.array([1.0, 2.0, 3.0, 4.0]),
    "twice": np.array([2.0, 4.0, 6.0, 8.0]),
    "board": np.array([10.0, 40.0, 30.0, 160.0]),
}
SPACE = Space("four", QUALITY, LATENCIES)


def test_a_limit_is_drawn_from_the_range_of_what_ships_evenly_in_its_logarithm() -> None:
    assert Question(SPACE, 0.0).limit("board") == 10.0
    assert Question(SPACE, 0.5).limit("board") == pytest.approx(40.0)  # between 10 and 160
    places = np.array([question.place for question in draw([SPACE], 1000)])
    assert places.min() >= 0.0
    assert places.max() < 1.0
    assert np.histogram(places, 4, (0.0, 1.0))[0] == pytest.approx([250] * 4, abs=50)


def test_a_limit_may_be_the_latency_of_a_network() -> None:
    limits = {question.limit("board", "networks") for question in draw([SPACE], 100)}
    assert limits == {10.0, 30.0, 40.0, 160.0}


def test_questions_are_always_the_same_and_the_first_of_many_are_those_of_few() -> None:
    spaces = [SPACE, Space("other", QUALITY, LATENCIES)]
    asked = [(question.space.name, question.place) for question in draw(spaces, 50)]
    assert [(question.space.name, question.place) for question in draw(spaces, 20)] == asked[:20]
    assert {name for name, _ in asked} == {"four", "other"}
    assert [(question.space.name, question.place) for question in draw(spaces, 50, seed=1)] != asked


def test_a_choice_that_ships_too_slow_breaks_the_limit_by_a_part_of_it() -> None:
    known, shipped = LATENCIES["server"], LATENCIES["board"]
    assert choose(QUALITY, known, shipped, 100.0) == Outcome(pytest.approx(0.6), 0.0)  # 160 ms instead of 100


def test_a_choice_that_is_too_careful_loses_quality() -> None:
    known, shipped = LATENCIES["board"], LATENCIES["server"] * 10
    assert choose(QUALITY, known, shipped, 40.0) == Outcome(0.0, 10.0)  # all four would do, and the fourth seems slow
    assert choose(QUALITY, shipped, shipped, 40.0) == Outcome(0.0, 0.0)


def test_nothing_is_chosen_where_nothing_seems_to_fit() -> None:
    assert choose(QUALITY, LATENCIES["board"], LATENCIES["server"], 3.5) == Outcome(0.0, None)


def test_a_factor_makes_latencies_alike_that_are_proportional() -> None:
    assert factor(LATENCIES["server"], LATENCIES["twice"]) == 2.0
    found = compare(draw([SPACE], 200), "server", "twice")
    assert found.rank_correlation == pytest.approx(1.0)
    assert found.by_factor == Figures(broken=0.0, over=None, most=None, worse=0.0, loss=None, nothing=0.0)
    assert found.as_they_are.broken > 90  # whoever takes 2 ms on the server for 2 ms ships 4


def test_choosing_by_what_ships_is_never_wrong() -> None:
    for name in LATENCIES:
        found = compare(draw([SPACE], 200), name, name)
        assert (found.as_they_are.broken, found.as_they_are.worse) == (0.0, 0.0)
        assert found.by_factor == found.as_they_are


def test_figures_count_what_came_of_every_question() -> None:
    outcomes = [Outcome(0.1, 0.0), Outcome(0.3, 0.0), Outcome(0.0, 5.0), Outcome(0.0, None), Outcome(0.0, 0.0)]
    found = Figures.of(outcomes)
    assert found == Figures(40.0, pytest.approx(20.0), pytest.approx(30.0), 40.0, 5.0, 20.0)


def test_order_is_compared_within_spaces_and_not_across_them() -> None:
    backwards = Space("backwards", QUALITY, {"server": LATENCIES["server"], "board": LATENCIES["server"][::-1]})
    straight = Space("straight", QUALITY, {"server": LATENCIES["server"], "board": LATENCIES["server"] + 100})
    questions = draw([backwards, straight], 50)
    assert compare(questions, "server", "board").rank_correlation == pytest.approx(0.0)
    assert compare(draw([backwards], 50), "server", "board").rank_correlation == pytest.approx(-1.0)


def test_averages_weigh_means_by_what_they_are_of() -> None:
    often, never = compare(draw([SPACE], 200), "server", "board"), compare(draw([SPACE], 200), "server", "twice")
    assert often.by_factor.broken > 0
    both = average([often, never])
    assert both.broken == often.by_factor.broken / 2
    assert (both.over, both.most) == (pytest.approx(often.by_factor.over), often.by_factor.most)


def test_a_table_has_a_row_for_each_pair_and_a_dash_for_what_never_came() -> None:
    heading, rule, row = table([compare(draw([SPACE], 10), "server", "twice")], "points")
    assert heading.count("|") == rule.count("|") == row.count("|")
    assert row == "| server | twice | 1.000 | 0.0 % | - | - | 0.0 % | - | 0.0 % |"


def test_detectors_are_asked_about_within_their_family_and_resolution(tmp_path: Path) -> None:
    names = [name for name in deploying.RECORDED if name != "latency"]
    lines = ["# a comment", f"family,resolution,depth,width,accuracy,latency,{','.join(names)}"]
    for family, shapes in (("large", 12), ("small", 4)):
        for n in range(1, shapes + 1):
            others = [str(n * scale) for scale, _ in enumerate(names, 2)]
            lines.append(",".join([family, "160", str(n), "1", str(30 + n), str(n), *others]))
    (tmp_path / "yolobench.csv").write_text("\n".join(lines) + "\n")
    (space,) = deploying.recorded(tmp_path)
    assert (space.name, len(space.quality)) == ("large-160", 12)
    lines, figures = deploying.report_recorded(tmp_path, questions=50, limits="range")
    assert set(figures["groups"]) == set(deploying.GROUPS)
    assert all(pair["rank_correlation"] == pytest.approx(1.0) for pair in figures["pairs"])
    assert all(group["broken"] == 0.0 for group in figures["groups"].values())  # all are proportional


def test_deployments_that_are_not_there_are_left_out_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    found = deploying.installed(["torch", "no-such-runtime:precision=int8", "torch", "torch:threads=2"])
    assert found == {"torch": "torch", "torch again": "torch", "torch 2": "torch:threads=2"}
    assert "no-such-runtime:precision=int8 is left out" in capsys.readouterr().err


def test_shapes_that_one_deployment_cannot_have_are_asked_about_in_none() -> None:
    def measured(*latencies: float | None) -> deploying.Measured:
        return {
            Shape(depth, 1): {"size": Measurement(depth / 10), "latency": Measurement(value, value, value)}
            for depth, value in zip((10, 16, 22), latencies, strict=True)
        }

    found = {"torch": measured(1.0, 2.0, 3.0), "other": measured(4.0, None, 6.0)}
    space = deploying.space_of("wrn", found)
    assert list(space.latencies["torch"]) == [1.0, 3.0]
    assert space.quality[1] - space.quality[0] == pytest.approx(100 * np.log(2.2))
    lines = list(deploying.overview(found, space))
    assert len(lines) == 4
    assert "0.25 to 0.50" in lines[3]  # times as fast as torch
    with pytest.raises(SystemExit, match="no shape has a latency in each of torch, none"):
        deploying.space_of("wrn", {"torch": measured(1.0, 2.0, 3.0), "none": measured(None, None, None)})


def test_a_space_has_at_least_forty_shapes_and_can_be_tried_with_four() -> None:
    for networks in deploying.SPACES:
        assert networks.depths.number * networks.widths.number >= 40
    wrn = deploying.SPACES[0]
    assert (wrn.depths.setting(99), wrn.widths.setting(99)) == ("10:58:6", "1/2:7/2:1/2")
    assert (wrn.depths.setting(2), wrn.widths.setting(2)) == ("10:22:6", "1/2:3/2:1/2")
