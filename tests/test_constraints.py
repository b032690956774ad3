import warnings
from pathlib import Path

import pytest

from shape_dnn import Constraint, UsageError, tune
from shape_dnn.constraints import ENERGY, LATENCY, SIZE, Metric, check_consistent
from shape_dnn.quality import ACCURACY


@pytest.mark.parametrize(
    ("metric", "text", "value"),
    [
        (SIZE, "2", 2.0),
        (SIZE, "2MB", 2.0),
        (SIZE, " 2 MB ", 2.0),
        (SIZE, "18.672kB", 0.018672),
        (SIZE, "18672B", 0.018672),
        (SIZE, "1.5GB", 1500.0),
        (SIZE, "256KiB", 0.262144),
        (SIZE, "1.5MiB", 1.572864),
        (Metric("memory", "MB"), "1GiB", 1073.741824),
        (LATENCY, "4ms", 4.0),
        (LATENCY, "250us", 0.25),
        (LATENCY, "0.5s", 500.0),
        (ENERGY, "3J", 3.0),
        (ENERGY, "304mJ", 0.304),
        (ACCURACY.metric, "95%", 95.0),
        (ACCURACY.metric, "95.5", 95.5),
        (SIZE, "1e-3", 0.001),
        (SIZE, "1/4", 0.25),
        (Metric("memory", "MB"), "1GB", 1000.0),
        (Metric("heat", "K"), "300K", 300.0),
        (Metric("macs", "million MACs"), "5 million MACs", 5.0),
        (Metric("emission", "gCO2"), "5gCO2", 5.0),
        (Metric("area", "m^2"), "1e2 m^2", 100.0),
    ],
)
def test_units_are_exact(metric: Metric, text: str, value: float) -> None:
    assert metric.parse(text) == value


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        (SIZE, "2ms"),
        (SIZE, "two"),
        (SIZE, ""),
        (SIZE, "nan"),
        (SIZE, "inf"),
        (SIZE, "-1"),
        (SIZE, "1/0"),
        (SIZE, "1e999"),
        (SIZE, "2 MB 3"),
        (SIZE, "2 2MB"),
        (ACCURACY.metric, "101"),
        (LATENCY, "4J"),
    ],
)
def test_what_is_no_quantity_of_the_metric_is_refused_with_what_is_accepted(metric: Metric, text: str) -> None:
    with pytest.raises(UsageError) as refused:
        metric.parse(text)
    assert metric.unit in str(refused.value) or "finite" in str(refused.value)


def test_a_value_equal_to_the_limit_complies_and_an_unknown_one_does_not() -> None:
    assert Constraint("size", upper=True, limit=2.0).allows(2.0)
    assert Constraint("accuracy", upper=False, limit=95.0).allows(95.0)
    assert not Constraint("size", upper=True, limit=2.0).allows(2.0000001)
    assert not Constraint("size", upper=True, limit=2.0).allows(None)


def test_contradicting_limits_are_refused() -> None:
    at_least, at_most = Constraint("size", upper=False, limit=3.0), Constraint("size", upper=True, limit=2.0)
    with pytest.raises(UsageError, match="contradict"):
        check_consistent([at_least, at_most])
    with pytest.raises(UsageError, match="twice"):
        check_consistent([at_most, Constraint("size", upper=True, limit=5.0)])
    check_consistent([at_most, Constraint("size", upper=False, limit=2.0)])


@pytest.mark.parametrize(("limit", "is_doubtful"), [("0.97", True), ("0.97%", False), ("97", False), ("0", False)])
def test_a_percentage_that_looks_like_a_fraction_is_pointed_out(limit: str, is_doubtful: bool, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("depth,width,accuracy\n10,1,96\n16,1,97\n")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = tune(replay=str(table), min_accuracy=limit, goal="accuracy")
    assert [str(warning.message) for warning in told] == is_doubtful * [
        "0.97 as a limit on accuracy is 0.97 %; write 97% if it is meant as a fraction, or 0.97% to have it as it is"
    ]
    assert len(found.shapes) == (1 if limit == "97" else 2)


@pytest.mark.parametrize(
    ("limits", "meant"),
    [({"min": ["loss=0.5"]}, "loss >= 0.5 keeps the worse networks; perhaps --max loss=0.5 is meant"),
     ({"max": ["loss=0.7"]}, None), ({"min": ["loss=0.5"], "max": ["loss=0.7"]}, None)],
)  # fmt: skip
def test_a_limit_that_keeps_the_worse_networks_is_pointed_out(
    limits: dict[str, list[str]], meant: str | None, tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    table.write_text("# quality: loss lower\ndepth,width,loss\n10,1,0.6\n16,1,0.4\n")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        tune(replay=str(table), goal="loss", **limits)
    assert [str(warning.message) for warning in told] == ([] if meant is None else [meant])


@pytest.mark.parametrize(
    ("accuracies", "is_doubtful"), [("0.97\n16,1,0.5", True), ("0\n16,1,0", False), ("1.5", False)]
)
def test_percentages_that_look_like_fractions_are_pointed_out_in_a_table(
    accuracies: str, is_doubtful: bool, tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    table.write_text(f"depth,width,accuracy\n10,1,{accuracies}\n")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        tune(replay=str(table), goal="accuracy")
    assert [str(warning.message) for warning in told] == is_doubtful * [
        f"{str(table)!r}: accuracy is in percent, and 0.97 % is the highest; if it is meant as a fraction, "
        "give 100 times as much"
    ]
