"""Searches for whatever trainings are judged by: a loss, an error, a score without bounds."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_failures import failing
from test_main_job import example
from test_record import SMALL

from shape_dnn import AccuracyModel, Result, Shape, UsageError, bench, simulate, tune
from shape_dnn.api.record import record
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.assembly.goal_expressions import Expression
from shape_dnn.builtin.accuracy_models.log_error import LogError
from shape_dnn.builtin.accuracy_models.log_linear import LogLinear
from shape_dnn.builtin.accuracy_models.paper import LeastSquares
from shape_dnn.builtin.accuracy_models.power_law import PowerLaw
from shape_dnn.builtin.accuracy_models.ridge import Ridge
from shape_dnn.quality import ACCURACY, Quality
from shape_dnn.records import Epoch, Training
from shape_dnn.search.contest import Column, Contest
from shape_dnn.search.learning_curves import extrapolate
from shape_dnn.search.scale import Scale
from shape_dnn.study.tables import Table, quality_line, read_curves

SPACE = [Shape(depth, Fraction(width, 4)) for width in range(1, 9) for depth in range(10, 50, 6)]
ERROR = Quality("error", "%", "lower", 0.0, 100.0)
LOSS = Quality("loss", "nats", "lower", 0.0)
R2 = Quality("R2", "", "higher", maximum=1.0)
LIKELIHOOD = Quality("log-likelihood")
MODELS = (LogError, LogLinear, LeastSquares, PowerLaw, Ridge)


def accuracy(shape: Shape) -> float:
    """Return one that varies a little from what is smooth, in binary fractions, so that 100 less it is exact."""
    smooth = 95 - 8 * float(shape.width) ** -0.7 * (10 / shape.depth) ** 0.4
    return round((smooth + math.sin(37 * shape.depth + 11 * float(shape.width)) / 20) * 1024) / 1024


def loss(shape: Shape) -> float:
    return (100 - accuracy(shape)) / 8


def size(shape: Shape) -> float:
    return shape.depth * float(shape.width) ** 2 / 16


OF: Mapping[Quality, Callable[[Shape], float]] = {
    ACCURACY: accuracy,
    ERROR: lambda shape: 100 - accuracy(shape),
    LOSS: loss,
    R2: lambda shape: 1 - loss(shape) / 2,
    LIKELIHOOD: lambda shape: -700 - 50 * loss(shape),
}


def table(quality: Quality, name: str = "") -> str:
    """Write a table of the space."""
    path = Path(name or f"{quality.name}.csv")
    rows = [f"{s.depth},{s.width},{OF[quality](s)!r},{size(s)}" for s in SPACE]
    head = [] if quality == ACCURACY else [f"# quality: {quality_line(quality)}"]
    path.write_text("\n".join([*head, f"depth,width,{quality.name},size", *rows]) + "\n")
    return str(path)


def trained(result: Result) -> list[Shape]:
    return [training.shape for training in result.answer.trainings]


# What is asked


@pytest.mark.parametrize("quality", [LOSS, R2, LIKELIHOOD], ids=lambda quality: quality.name)
def test_the_best_of_any_quality_is_found_with_few_trainings(quality: Quality) -> None:
    result = tune(replay=table(quality), goal=quality.name, max_size=8)
    left = [shape for shape in SPACE if size(shape) <= 8]
    best = max(left, key=lambda shape: quality.sign * OF[quality](shape))
    assert result.answer.certificate is not None
    assert result.best is not None
    missed = quality.sign * (OF[quality](best) - OF[quality](result.best))
    assert missed <= result.answer.certificate.tolerance
    assert len(trained(result)) < len(left) / 4


@pytest.mark.parametrize("quality", [LOSS, R2, LIKELIHOOD], ids=lambda quality: quality.name)
def test_a_limit_on_any_quality_is_met_by_the_smallest_shape_that_does(quality: Quality) -> None:
    limit = OF[quality](SPACE[30])
    flag = "max" if quality.better == "lower" else "min"
    result = tune(replay=table(quality), goal="size", **{flag: f"{quality.name}={limit}{quality.unit}"})
    complying = [shape for shape in SPACE if quality.sign * (OF[quality](shape) - limit) >= 0]
    assert 0 < len(complying) < len(SPACE)
    assert result.best == min(complying, key=size)


def test_the_set_within_a_limit_on_loss_is_returned() -> None:
    limit = loss(SPACE[30])
    result = tune(replay=table(LOSS), max=f"loss={limit}")
    assert result.answer.certificate is not None
    unsure = {shape for shape in SPACE if abs(loss(shape) - limit) <= 3 * result.answer.certificate.tolerance}
    complying = {shape for shape in SPACE if loss(shape) <= limit}
    assert complying - unsure
    assert set(result.shapes) - unsure == complying - unsure


@pytest.mark.parametrize("question", [{"goal": "loss", "max_size": 8}, {"goal": "size", "max": "loss=1.1"}, {}])
def test_what_is_trained_does_not_depend_on_the_unit_of_a_loss(question: dict[str, Any]) -> None:
    large, small = table(LOSS), Path("small.csv")
    head = [f"# quality: {quality_line(LOSS)}", "depth,width,loss,size"]
    rows = [f"{s.depth},{s.width},{loss(s) * 1e-12!r},{size(s)}" for s in SPACE]
    small.write_text("\n".join([*head, *rows]) + "\n")
    beside = {**question, **({"max": "loss=1.1e-12"} if "max" in question else {})}
    assert trained(tune(replay=str(small), **beside)) == trained(tune(replay=large, **question))


def test_losses_that_are_all_the_same_large_number_are_compared() -> None:
    draws, sizes = np.full((8, 4), 1e9), Column.known([1, 2, 3, 4])
    contest = Contest(
        SPACE[:4], LOSS, draws, 0.0, {SPACE[3]: 1e9}, np.arange(3), [], Expression("loss*size"), {"size": sizes}
    )
    assert contest.better.all()
    assert contest.gains == pytest.approx(np.tile([3e9, 2e9, 1e9], (8, 1)))


def test_a_front_trades_the_lower_loss_against_the_lower_size() -> None:
    result = tune(replay=table(LOSS), pareto="loss,size", max_size=8)
    left = [shape for shape in SPACE if size(shape) <= 8]
    front = {s for s in left if not any((loss(o), size(o)) != (loss(s), size(s)) and loss(o) <= loss(s)
                                        and size(o) <= size(s) for o in left)}  # fmt: skip
    assert 1 < len(front) < len(left)
    assert len(front ^ set(result.shapes)) <= len(front) / 10, "up to what predictions mistake"


def test_in_expressions_a_quality_stands_for_its_value() -> None:
    path = table(LOSS)
    assert tune(replay=path, goal="loss*size").best == min(SPACE, key=lambda s: loss(s) * size(s))
    steps = tune(replay=path, goal="loss:0.25,size", confidence=0.99).best
    assert steps == min(SPACE, key=lambda s: (math.floor(loss(s) / 0.25 + 1e-9), size(s)))
    steps = tune(replay=table(R2), goal="R2:0.125,size", confidence=0.99).best
    assert steps == min(SPACE, key=lambda s: (math.floor(-OF[R2](s) / 0.125 + 1e-9), size(s)))


@pytest.mark.parametrize(
    ("of", "flags", "complaint"),
    [
        (LOSS, ("--max", "loss=-1"), "--max: '-1' is not a possible loss, which is at least 0 nats"),
        (R2, ("--min", "R2=1.5"), "--min: '1.5' is not a possible R2, which is at most 1"),
        (LOSS, ("--max", "loss=1ms"), "--max: '1ms' is not a limit on loss; write a number and, if you like, one of nats"),
        (LOSS, ("--min-accuracy", "90"), "--min-accuracy: trainings are judged by loss, not by accuracy; "
                                         "write --max loss=VALUE"),
        (R2, ("--min-accuracy", "90"), "--min-accuracy: trainings are judged by R2, not by accuracy; write --min R2=VALUE"),
        (LOSS, ("--max", "loss=1", "--min", "loss=2"), "--min: loss <= 1 nats and loss >= 2 nats contradict each other: "
                                                       "no value meets both"),
        (LOSS, ("--goal", "accuracy"), "--goal: trainings are judged by loss, not by accuracy; write --goal loss"),
    ],
)  # fmt: skip
def test_what_no_quality_can_be_is_refused(
    of: Quality, flags: tuple[str, ...], complaint: str, shape_dnn: Callable[..., Any]
) -> None:
    ran = shape_dnn("--replay", table(of), *flags)
    assert (ran.status, ran.error) == (2, f"shape-dnn: error: {complaint}")


# Direction and scale


@pytest.mark.parametrize("model", ["log-error", "power-law", "ridge"])
@pytest.mark.parametrize(
    ("accuracies", "errors"),
    [
        ({"goal": "accuracy", "max_size": 8}, {"goal": "error", "max_size": 8}),
        ({"goal": "size", "min_accuracy": 90}, {"goal": "size", "max": "error=10"}),
        ({"min": "accuracy=91"}, {"max": "error=9%"}),
        ({"pareto": "accuracy,size", "max_size": 2}, {"pareto": "error,size", "max_size": 2}),
        ({"goal": "size*(100-accuracy)"}, {"goal": "size*error"}),
        ({"min": "accuracy=99"}, {"max": "error=1"}),
    ],
    ids=["best", "smallest", "set", "front", "expression", "nothing"],
)
def test_errors_are_searched_as_the_accuracies_that_they_are(
    accuracies: dict[str, Any], errors: dict[str, Any], model: str
) -> None:
    one, other = (
        tune(replay=table(quality), model=model, **question)
        for quality, question in ((ACCURACY, accuracies), (ERROR, errors))
    )
    assert trained(one) == trained(other)
    assert (one.best, one.shapes) == (other.best, other.shapes)
    assert one.answer.certificate == other.answer.certificate
    assert (one.answer.closest is None) == (other.answer.closest is None)
    if one.answer.closest is not None and other.answer.closest is not None:
        assert one.answer.closest.shape == other.answer.closest.shape


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("quality", [LOSS, R2, LIKELIHOOD], ids=lambda quality: quality.name)
def test_the_unit_of_a_quality_without_a_range_does_not_matter(model: type[AccuracyModel], quality: Quality) -> None:
    some = SPACE[::5]
    origin = quality.best if math.isfinite(quality.best) else 0.0
    one, other = model(), model()
    one.quality = other.quality = quality
    for each, unit in ((one, 1.0), (other, 1e-6)):
        each.fit(some, [origin + unit * (OF[quality](shape) - origin) for shape in some])
    assert other.noise == pytest.approx(1e-6 * one.noise, rel=1e-3)
    for a, b in zip(one.predict(SPACE), other.predict(SPACE), strict=True):
        assert b.mean - origin == pytest.approx(1e-6 * (a.mean - origin), rel=1e-3)
        assert a.std is None or b.std == pytest.approx(1e-6 * a.std, rel=1e-2)


@pytest.mark.parametrize("quality", [ACCURACY, ERROR, LOSS, R2], ids=lambda quality: quality.name)
def test_no_prediction_is_better_than_the_best_value(quality: Quality) -> None:
    model = LogError()
    model.quality = quality
    some = [shape for shape in SPACE if shape.width < 1]
    near = [quality.best + 0.01 * (OF[quality](shape) - quality.best) for shape in some]
    model.fit(some, near)
    assert all(quality.allows(prediction.mean) for prediction in model.predict(SPACE))
    assert all(quality.allows(float(value)) for value in model.draw(SPACE, 50, 0).ravel())


def test_the_scale_of_accuracies_is_their_error_in_percent() -> None:
    values = [91.25, 88.5, 97.0]
    for quality, given in ((ACCURACY, values), (ERROR, [100 - value for value in values]),
                           (Quality("part", "", "higher", 0.0, 1.0), [value / 100 for value in values])):  # fmt: skip
        scale = Scale.of(quality, given)
        assert scale.errors(given) == pytest.approx([8.75, 11.5, 3.0])
        assert scale.values(scale.errors(given)) == pytest.approx(given)
        assert scale.worst == 100


@pytest.mark.parametrize("quality", [LOSS, R2, LIKELIHOOD], ids=lambda quality: quality.name)
def test_a_scale_turns_values_into_errors_and_back(quality: Quality) -> None:
    given = [OF[quality](shape) for shape in SPACE]
    scale = Scale.of(quality, given)
    errors = scale.errors(given)
    assert scale.values(errors) == pytest.approx(given)
    assert np.exp(np.log(errors).mean()) == pytest.approx(20.0), "what is typical"
    assert (np.argsort(errors, kind="stable") == np.argsort([-quality.sign * v for v in given], kind="stable")).all()
    step = 1e-6
    slopes = (scale.values(errors * (1 + step)) - scale.values(errors)) / (errors * step)
    assert -quality.sign * slopes == pytest.approx(scale.slopes(errors) * np.ones(len(given)), rel=1e-4)


def curve(final: float, epochs: int) -> tuple[Epoch, ...]:
    """Return the first epochs of a training whose loss falls to a tenth above what it ends at, and then to that."""
    return tuple(Epoch(n, 1.0, final * (1 + 2 * 0.7**n)) for n in range(1, epochs + 1))


def test_a_curve_of_losses_is_extrapolated_downwards() -> None:
    finished = [
        Training(SPACE[i], curve(v, 10)[-1].quality, "", curve(v, 10)) for i, v in enumerate((1.0, 1.5, 2.2, 3.0))
    ]
    end = extrapolate(curve(2.0, 4), 10, finished, LOSS)
    assert end is not None
    assert end.mean < curve(2.0, 4)[-1].quality
    assert end.mean == pytest.approx(curve(2.0, 10)[-1].quality, abs=2 * (end.std or 0.0))
    assert end.std is not None
    assert end.std < 0.5


def at(depth: int, width: int, quality: float) -> Training:
    return Training(Shape(depth, Fraction(width)), quality)


def test_what_fails_to_train_is_told_by_the_error_of_the_quality() -> None:
    deep = {Shape(16, Fraction(1))}
    assert failing([at(10, 1, 10.0), at(16, 1, 30.0)], ERROR) == deep
    assert not failing([at(10, 1, 10.0), at(16, 1, 29.9)], ERROR)
    assert not failing([at(10, 1, 30.0), at(16, 1, 10.0)], ERROR)
    part = Quality("IoU", "", "higher", 0.0, 1.0)
    assert failing([at(10, 1, 0.9), at(16, 1, 0.7)], part) == deep
    assert not failing([at(10, 1, 0.9), at(16, 1, 0.71)], part)
    perplexity = Quality("perplexity", "", "lower", 1.0)
    assert failing([at(10, 1, 21.0), at(16, 1, 201.0)], perplexity) == deep
    assert not failing([at(10, 1, 21.0), at(16, 1, 200.0)], perplexity)
    assert not failing([at(10, 1, 1.0), at(16, 1, 1.1)], perplexity), "of no error there is no tenfold"
    assert not failing([at(10, 1, -1.0), at(16, 1, -1e9)], LIKELIHOOD)


# Recorded tables


@pytest.mark.parametrize(
    ("comment", "quality"),
    [
        ("loss lower", Quality("loss", "", "lower")),
        ("loss lower 0:", Quality("loss", "", "lower", 0.0)),
        ("loss nats lower 0:", LOSS),
        ("R2 higher :1", R2),
        ("  mIoU  %  higher  0:100 ", Quality("mIoU", "%", "higher", 0.0, 100.0)),
        ("bits-per-byte lower 0:8.5", Quality("bits-per-byte", "", "lower", 0.0, 8.5)),
        ("accuracy % higher 0:100", ACCURACY),
        ("balance higher -1:1e3", Quality("balance", "", "higher", -1.0, 1000.0)),
    ],
)
def test_a_comment_of_a_table_tells_its_quality(comment: str, quality: Quality) -> None:
    text = f"# made here\n# quality: {comment}\ndepth,width,{quality.name}\n10,1,0.5\n"
    Path("t.csv").write_text(text)
    assert Table.read(Path("t.csv")).quality == quality
    Path("t.csv").write_text(f"# quality: {quality_line(quality)}\ndepth,width,{quality.name}\n10,1,0.5\n")
    assert Table.read(Path("t.csv")).quality == quality


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (
            ["# quality: loss"],
            "t.csv:1: the quality 'loss' is not understood; expected a name, a unit or none, higher or",
        ),
        (["#", "# quality:"], "t.csv:2: the quality '' is not understood"),
        (["# quality: loss best 0:"], "t.csv:1: the quality 'loss best 0:' is not understood"),
        (["# quality: loss lower 0"], "t.csv:1: the quality 'loss lower 0' is not understood"),
        (["# quality: loss lower low:"], "t.csv:1: the quality 'loss lower low:' is not understood"),
        (["# quality: loss lower 2:1"], "t.csv:1: the quality is not understood: minimum is 2.0, and maximum 1.0"),
        (["# quality: size lower 0:"], "t.csv:1: the quality is not understood: name is 'size', which means something"),
        (["# quality: loss lower", "# quality: loss lower"], "t.csv:2: the quality is told twice"),
        (
            ["# quality: perplexity lower 1:"],
            "t.csv:2: no column 'perplexity'; a table has the columns depth,width,perp",
        ),
        (["# quality: loss lower 2:"], "t.csv:3: loss '1.5' is not a number at least 2"),
        (["# quality: loss % lower 0:1"], "t.csv:3: loss '1.5' is not a percentage from 0 to 1"),
        (["# quality: loss lower 0:1"], "t.csv:3: loss '1.5' is not a number from 0 to 1"),
    ],
)
def test_faults_of_a_quality_are_named_with_file_and_line(lines: list[str], complaint: str) -> None:
    Path("t.csv").write_text("\n".join([*lines, "depth,width,loss", "10,1,1.5", ""]))
    with pytest.raises(UsageError) as raised:
        Table.read(Path("t.csv"))
    assert str(raised.value.message).startswith(complaint)


def test_values_of_a_quality_may_be_negative_and_its_table_may_have_accuracies_beside_it() -> None:
    rows = [f"{s.depth},{s.width},{OF[LIKELIHOOD](s)},{accuracy(s)},{size(s)}" for s in SPACE]
    head = ["# quality: log-likelihood higher", "depth,width,log-likelihood,accuracy,size"]
    Path("both.csv").write_text("\n".join([*head, *rows]) + "\n")
    limit = OF[LIKELIHOOD](SPACE[30])
    result = tune(replay="both.csv", goal="size", min=["accuracy=88", f"log-likelihood={limit}"])
    complying = [s for s in SPACE if accuracy(s) >= 88 and OF[LIKELIHOOD](s) >= limit]
    assert result.best == min(complying, key=size)
    assert result.answer.candidates == sum(accuracy(s) >= 88 for s in SPACE) < len(SPACE), (
        "accuracies cost no training here"
    )


def test_a_prior_has_the_quality_of_the_search() -> None:
    path = table(LOSS)
    without, beside = (tune(replay=path, goal="loss", prior=prior) for prior in (None, table(LOSS, "other.csv")))
    assert len(trained(beside)) < len(trained(without))
    with pytest.raises(
        UsageError, match="is a table of accuracy % higher 0:100, and this search is of loss nats lower 0:"
    ):
        tune(replay=path, goal="loss", prior=table(ACCURACY))


def test_strategies_and_models_are_compared_on_a_table_of_losses() -> None:
    accuracies, errors = (
        simulate(
            table(quality), samplers=["interval"], models=["log-error", "ridge"], train=10, goal=quality.name, seeds=1
        )
        for quality in (ACCURACY, ERROR)
    )
    for one, other in zip(accuracies, errors, strict=True):
        assert other.mean_error == pytest.approx(one.mean_error, abs=1e-6)
        assert (one.trained, one.found) == (other.trained, other.found)


METHODS = ["default", "paper", "model=power-law,train=8,confidence=none", "random:6", "bisection", "largest-first",
           "exhaustive", "expected-improvement", "top-k:3", "successive-halving",
           "sampler=random,strategy=exhaustive,confidence=none,terminator=curve"]  # fmt: skip


@pytest.mark.parametrize("ask", ["best", "sets"])
def test_every_method_searches_errors_as_the_accuracies_that_they_are(ask: Any) -> None:
    for quality in (ACCURACY, ERROR):
        table(quality)
        with Path(f"{quality.name}-curves.csv").open("w") as file:
            writer = csv.writer(file)
            writer.writerow(("depth", "width", "seed", "epoch", quality.name))
            for shape in SPACE:
                for epoch in range(1, 10):
                    value = round((accuracy(shape) - 20 * 0.5**epoch) * 1024) / 1024
                    writer.writerow((*shape, 0, epoch, value if quality == ACCURACY else 100 - value))
    methods = [m for m in METHODS if ask == "best" or m not in ("bisection", "largest-first", "expected-improvement")]
    with pytest.warns(UserWarning, match="does not tell the noise of trainings|has no seconds"):
        one, other = (
            bench(f"{quality.name}.csv", methods=methods, questions=6, ask=ask, workers=1).rows()
            for quality in (ACCURACY, ERROR)
        )
    for a, b in zip(one, other, strict=True):
        assert {**a, "table": ""} == pytest.approx({**b, "table": ""}, abs=1e-6), a["method"]
    assert one[0]["within_percent"] == 100


def test_bench_is_right_about_a_table_of_losses() -> None:
    with pytest.warns(UserWarning, match="a standard deviation of 0.0.* is assumed; --noise sets it|has no seconds"):
        ours, _, chance = bench(table(LOSS), questions=10, workers=1)
    assert ours.within_percent == 100
    assert ours.regret_points is not None
    assert chance.regret_points is not None
    assert ours.regret_points < chance.regret_points


def test_a_recording_says_what_its_trainings_are_judged_by(monkeypatch: pytest.MonkeyPatch) -> None:
    top = Quality("top-1", "%", "higher", 0.0, 100.0)
    monkeypatch.setattr(Assembly, "quality", property(lambda parts: top))
    Path("here.py").write_text(example("shape_dnn_executors"))
    file = record("mine.csv", seeds=1, **SMALL)
    recorded = Table.read(file.path)
    assert recorded.quality == top
    assert {"top-1", "size", "seconds"} <= set(recorded.columns)
    assert "accuracy" not in recorded.columns
    assert file.curves is not None
    curves = read_curves(file.curves, top)
    for shape, (row,) in recorded.rows.items():
        assert max(curves[shape, 0]) == row["top-1"]
    with pytest.raises(UsageError, match="top-1 is what is recorded; leave it out"):
        record("other.csv", seeds=1, **{**SMALL, "min": "top-1=10"})


def test_plugins_that_ask_for_the_accuracy_of_a_training_find_it() -> None:
    training = Training(Shape(10, Fraction(1)), 91.5, curve=(Epoch(1, None, 80.0),))
    assert (training.accuracy, training.curve[0].accuracy) == (91.5, 80.0)
