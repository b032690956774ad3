"""What is known elsewhere helps a search where it fits, and costs next to nothing where it does not."""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_main_job import HERE

from shape_dnn import Result, Shape, UsageError, ask, export, tune
from shape_dnn.benchmarking.asking import ask as put
from shape_dnn.benchmarking.method import Method
from shape_dnn.benchmarking.methods import parse
from shape_dnn.benchmarking.problems import RecordedTable
from shape_dnn.benchmarking.questions import draw
from shape_dnn.builtin.accuracy_models import log_error
from shape_dnn.builtin.accuracy_models.log_error import LogError
from shape_dnn.kinds import TableFile
from shape_dnn.plugins.registry import Registry
from shape_dnn.study.tables import Table

SPACE = [Shape(depth, Fraction(width, 4)) for width in range(1, 9) for depth in range(10, 50, 6)]
NOISE = 0.2
SMALL: dict[str, Any] = {
    "depth": "10:17:6", "width": "1/8:5/8:1/8", "epochs": 1, "device": "cpu", "plugin": "here.py", "executor": "here",
    "option": {"dataset.limit": 150, "recipe.precision": "float32"},
}  # fmt: skip


def accuracy(shape: Shape) -> float:
    d, w = shape.depth, float(shape.width)
    return 95 - 8 * w**-0.7 * (10 / d) ** 0.4 + 1.5 * math.exp(-((math.log(d / 26) / 0.4) ** 2))


def elsewhere(shape: Shape) -> float:
    """Return an accuracy on data that are half as hard."""
    return 100 - 0.5 * (100 - accuracy(shape)) ** 0.9


def size(shape: Shape) -> float:
    return shape.depth * float(shape.width) ** 2 / 10


def table(name: str, accuracies: Callable[[Shape], float], noise: float = 0.0) -> str:
    """Write a table of the space."""
    rng = np.random.default_rng(len(name))
    rows = [f"{s.depth},{s.width},{accuracies(s) + rng.normal(0, noise)},{size(s)}" for s in SPACE]
    Path(name).write_text("\n".join(["depth,width,accuracy,size", *rows]) + "\n")
    return name


def permuted(shape: Shape) -> float:
    return accuracy(SPACE[np.random.default_rng(5).permutation(len(SPACE))[SPACE.index(shape)]])


def mirrored(shape: Shape) -> float:
    return 170 - accuracy(shape)


def searches(prior: str | None) -> Iterable[tuple[int, bool]]:
    """Put a fixed set of questions; give the trainings that each takes, and whether its answer is right."""
    for most in (2, 5, 20):
        for least in (None, 84, 88, 91):
            question: dict[str, Any] = (
                {"goal": "accuracy"} if least is None else {"goal": "size", "min_accuracy": least}
            )
            found = tune(replay="t.csv", max_size=most, prior=prior, **question)
            left = [shape for shape in SPACE if size(shape) <= most]
            if found.best is None:
                yield len(found.answer.trainings), max(map(accuracy, left)) < (least or 0) + NOISE
            elif least is None:
                yield len(found.answer.trainings), accuracy(found.best) >= max(map(accuracy, left)) - NOISE
            else:
                clearly = [size(shape) for shape in left if accuracy(shape) >= least + NOISE]
                yield len(found.answer.trainings), size(found.best) <= min(clearly, default=math.inf)


def outcome(prior: str | None) -> tuple[float, int]:
    """Return the mean number of trainings, and the number of right answers."""
    trainings, right = zip(*searches(prior), strict=True)
    return statistics.fmean(trainings), sum(right)


def test_a_prior_that_fits_saves_trainings_and_one_that_does_not_costs_few_and_no_right_answer() -> None:
    table("t.csv", accuracy, NOISE)
    trained, right = outcome(None)
    with_fitting, right_with_fitting = outcome(table("fitting.csv", elsewhere))
    assert with_fitting < trained - 1.5
    assert right_with_fitting >= right
    for nonsense in (permuted, mirrored):
        with_nonsense, right_with_nonsense = outcome(table("nonsense.csv", nonsense))
        assert with_nonsense <= trained + 1
        assert right_with_nonsense >= right


def learnt(prior: Callable[[Shape], float] | None) -> LogError:
    model = LogError()
    if prior is not None:
        model.learn_from(SPACE, [prior(shape) for shape in SPACE])
    return model


def test_evidence_tells_how_much_a_prior_counts() -> None:
    rng = np.random.default_rng(0)
    trained = [SPACE[i] for i in rng.permutation(len(SPACE))[:8]]
    accuracies = [accuracy(shape) + rng.normal(0, NOISE) for shape in trained]
    for prior, low, high in ((elsewhere, 0.9, 1.0), (mirrored, 0.0, 0.05)):
        model = learnt(prior)
        assert model.prior_weight == 0.5, "either is as likely before anything was trained"
        model.fit(trained, accuracies)
        assert model.prior_weight is not None
        assert low <= model.prior_weight <= high
    assert learnt(None).prior_weight is None


def test_two_trainings_and_a_prior_tell_how_accuracy_runs() -> None:
    trained = [SPACE[5], SPACE[40]]
    errors, surfaces = {}, {}
    for name, prior in (("alone", None), ("with", elsewhere)):
        model = learnt(prior)
        model.fit(trained, [accuracy(shape) for shape in trained])
        errors[name] = np.mean([abs(p.mean - accuracy(s)) for p, s in zip(model.predict(SPACE), SPACE, strict=True)])
        surfaces[name] = np.abs(np.median(model.draw(SPACE, 512, seed=0), 0) - list(map(accuracy, SPACE))).mean()
    assert errors["with"] < 0.5 * errors["alone"]
    assert surfaces["with"] < 0.5 * surfaces["alone"]


def test_draws_agree_with_predictions_with_a_prior() -> None:
    rng = np.random.default_rng(1)
    trained = [SPACE[i] for i in rng.permutation(len(SPACE))[:5]]
    model = learnt(elsewhere)
    model.fit(trained, [accuracy(shape) + rng.normal(0, NOISE) for shape in trained])
    predictions, draws = model.predict(SPACE), model.draw(SPACE, 4000, seed=0)
    means = np.array([prediction.mean for prediction in predictions])
    stds = np.array([prediction.std or 0.0 for prediction in predictions])
    assert np.abs(draws.mean(0) - means).max() < 0.1 * stds.max()
    assert (draws.std(0) < 1.05 * stds).all(), "what is predicted is a training, with its noise"


def test_a_prior_that_is_refuted_hardly_changes_a_prediction() -> None:
    rng = np.random.default_rng(2)
    trained = [SPACE[i] for i in rng.permutation(len(SPACE))[:20]]
    accuracies = [accuracy(shape) + rng.normal(0, NOISE) for shape in trained]
    alone, refuted = learnt(None), learnt(mirrored)
    for model in (alone, refuted):
        model.fit(trained, accuracies)
    assert refuted.prior_weight is not None
    assert refuted.prior_weight < 0.05
    both = zip(alone.predict(SPACE), refuted.predict(SPACE), strict=True)
    assert np.mean([abs(one.mean - other.mean) for one, other in both]) < NOISE / 10


def test_without_a_prior_predictions_are_what_they_were() -> None:
    trained = SPACE[::9]
    model = learnt(None)
    model.fit(trained, [accuracy(shape) for shape in trained])
    some = SPACE[5:50:20]
    predictions = [(prediction.mean, prediction.std) for prediction in model.predict(some)]
    means_and_stds = [(83.78251294, 5.353318796), (90.948932639, 0.952858546), (92.5663966, 0.847474791)]
    assert predictions == [pytest.approx(pair, abs=2e-9) for pair in means_and_stds]
    surfaces = [[82.361933031, 89.922407262, 91.775738758], [84.140827753, 91.595847316, 92.644674909]]
    assert model.draw(some, 2, seed=3) == pytest.approx(np.array(surfaces), abs=2e-9)


def test_results_name_the_prior_and_its_weight(shape_dnn: Callable[..., Any]) -> None:
    table("t.csv", accuracy, NOISE)
    table("fitting.csv", elsewhere)
    flags = ["--replay", "t.csv", "--goal", "size", "--min-accuracy", "88%", "--prior", "fitting.csv"]
    record = shape_dnn(*flags, "--format", "json").json["prior"]
    assert (record["path"], record["trainings"]) == ("fitting.csv", len(SPACE))
    assert 0.5 < record["weight"] <= 1
    assert f"prior: {len(SPACE)} shapes of fitting.csv, weight {record['weight']:.2f}" in shape_dnn(*flags).out
    assert "prior" not in shape_dnn(*flags[:-2], "--format", "json").json
    planned = shape_dnn(*flags, "--dry-run", "--format", "json").json
    assert planned["cost"]["trained"] == 2, "it begins with fewer trainings than without"
    assert planned["prior"]["weight"] == 0.5


def prior_of(report: str) -> str | None:
    """Return what a report says of the prior, where it tells where all comes from."""
    found = re.search(r"<h3>Prior</h3>\s*<div><p>(.*?)</p>", Path(report).read_text())
    return None if found is None else found[1]


def test_the_report_of_a_replay_names_the_prior_and_its_weight() -> None:
    table("t.csv", accuracy, NOISE)
    table("fitting.csv", elsewhere)
    question = {"replay": "t.csv", "goal": "size", "min_accuracy": 88}
    found = tune(**question, prior="fitting.csv", report="with.html")
    tune(**question, report="without.html")
    assert prior_of("with.html") == f"{len(SPACE)} shapes of fitting.csv, weight {prior(found)['weight']:.2f}"
    assert prior_of("without.html") is None


def test_simulate_compares_the_models_that_take_a_prior(shape_dnn: Callable[..., Any]) -> None:
    table("t.csv", accuracy, NOISE)
    table("fitting.csv", elsewhere)
    flags = ["simulate", "t.csv", "--seeds", 1, "--sampler", "active", "--goal", "accuracy"]
    ran = shape_dnn(*flags, "--prior", "fitting.csv", "--format", "json")
    (row,) = ran.json
    assert row["model"] == "log-error"
    assert "accuracy models that take no prior are left out: log-linear, paper, power-law, ridge" in ran.err
    (alone,) = shape_dnn(*flags, "--model", "log-error", "--format", "json").json
    assert row["trained"] < alone["trained"]
    found = tune(replay="t.csv", goal="accuracy", prior="fitting.csv")
    assert row["trained"] == len(found.answer.trainings), "it does what a search does"
    refused = shape_dnn(*flags, "--prior", "fitting.csv", "--model", "ridge")
    assert refused.status == 2
    assert "--prior: accuracy model 'ridge' of shape-dnn" in refused.error
    missing = shape_dnn(*flags, "--prior", "nowhere")
    assert missing.status == 2
    assert "--prior: " in missing.error


def test_a_comparison_learns_a_prior_once_and_comes_to_the_answers_of_one_that_learns_it_for_each_question(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorded = RecordedTable.read(TableFile(Path(table("t.csv", accuracy, NOISE))), noise=NOISE)
    table("fitting.csv", elsewhere)
    questions = draw(recorded, 6, seed=0)

    def parsed() -> Method:
        return parse("prior=fitting.csv", Registry([]))

    anew = []
    for i, question in enumerate(questions):
        log_error._fit_elsewhere.cache_clear()
        anew.append(put(recorded, question, parsed(), i))
    assert anew != [put(recorded, question, parse("default", Registry([])), i) for i, question in enumerate(questions)]
    log_error._fit_elsewhere.cache_clear()
    read = []
    monkeypatch.setattr(Table, "read", lambda path, own=Table.read: (read.append(path), own(path))[1])
    method = parsed()
    assert [put(recorded, question, method, i) for i, question in enumerate(questions)] == anew
    assert log_error._fit_elsewhere.cache_info().misses == 1
    assert read == [Path("fitting.csv")]


@pytest.mark.parametrize(
    ("prior", "complaint"),
    [
        ("nowhere", "there is neither a study nor a file 'nowhere', and no table is called 'nowhere'"),
        (".", "there is neither a study nor a file '.'"),
        ("x" * 300, "File name too long"),
        ("t.txt", "t.txt:1: no column 'depth'"),
        ("two.csv", "'two.csv' has finished trainings of only 2 shapes; a prior has 3 shapes or more"),
        ("none.csv", "'none.csv' has no finished training"),
    ],
)
def test_a_prior_that_cannot_be_used_is_refused_in_one_line(
    prior: str, complaint: str, shape_dnn: Callable[..., Any]
) -> None:
    table("t.csv", accuracy)
    Path("t.txt").write_text("nothing\n1\n")
    Path("two.csv").write_text("depth,width,accuracy\n10,1,90\n16,1,92\n22,1,\n")
    Path("none.csv").write_text("depth,width,accuracy\n10,1,\n16,1,\n22,1,\n")
    ran = shape_dnn("--replay", "t.csv", "--goal", "accuracy", "--prior", prior)
    assert ran.status == 2
    assert ran.error.startswith("shape-dnn: error: --prior: ")
    assert complaint in ran.error


def test_a_model_that_takes_no_prior_says_which_does(shape_dnn: Callable[..., Any]) -> None:
    table("t.csv", accuracy)
    ran = shape_dnn("--replay", "t.csv", "--goal", "accuracy", "--prior", "t.csv", "--model", "ridge")
    assert ran.status == 2
    assert "--prior: accuracy model 'ridge' of shape-dnn" in ran.error
    assert "takes no prior; the built-in log-error does" in ran.error


def prior(result: Result) -> dict[str, Any]:
    return dict(result.prior or {})


def test_a_study_is_a_prior_for_searches_of_the_same_architecture_and_questions_go_on_with_it() -> None:
    Path("here.py").write_text(HERE)
    former = tune(**SMALL, study="former", sampler="interval", train=5, goal="accuracy")
    tune(**{**SMALL, "epochs": 2}, study="former", sampler="interval", train=4, goal="accuracy")
    found = tune(**SMALL, prior="former", goal="accuracy", max_size="0.03MB")
    assert prior(found)["trainings"] == 4, "those of the last search"
    assert former.prior is None
    asked = ask("shape-dnn-study", goal="accuracy", max_size="0.03MB", plugin="here.py")
    assert prior(asked) == prior(found), "the model of a search knows what it knew then"
    assert asked.rows() == found.rows()
    assert prior_of("shape-dnn-study/report.html") == f"4 shapes of former, weight {prior(found)['weight']:.2f}"
    for shape in (None, found.best):
        exported = export("shape-dnn-study", "network", shape=shape, plugin="here.py", formats=[])
        assert json.loads((exported / "card.json").read_text())["prior"] == prior(found)
    exported = export("former", "other", plugin="here.py", formats=[])
    assert "prior" not in json.loads((exported / "card.json").read_text())
    without = ask("shape-dnn-study", goal="accuracy", max_size="0.03MB", plugin="here.py", prior="none")
    assert without.prior is None
    assert [row["predicted_accuracy"] for row in without.rows()] != [row["predicted_accuracy"] for row in asked.rows()]
    with pytest.raises(UsageError, match="is the study of this search, which knows its trainings anyway"):
        tune(**SMALL, study="former", prior="former", goal="accuracy")


def test_a_question_whose_prior_lies_elsewhere_says_what_can_be_done(
    shape_dnn: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("here.py").write_text(HERE)
    tune(**SMALL, study="former", sampler="interval", train=3, goal="accuracy")
    tune(**SMALL, prior="former", goal="accuracy")
    Path("former").rename("moved")
    problem = "the study was searched with the prior 'former': there is neither a study nor a file 'former'.*"
    remedy = "; name it where it lies now, or none to do without"
    ran = shape_dnn("report", "shape-dnn-study", "--plugin", "here.py")
    assert ran.status == 2
    assert re.search(problem + remedy, ran.error)
    assert shape_dnn("report", "shape-dnn-study", "--plugin", "here.py", "--prior", "moved").status == 0
    assert shape_dnn("report", "shape-dnn-study", "--plugin", "here.py", "--prior", "none").status == 0
    with pytest.raises(UsageError) as wrong:
        ask("shape-dnn-study", goal="accuracy", plugin="here.py", prior="former")
    assert "was searched with" not in str(wrong.value), "the user has named this one"


def test_a_study_of_another_architecture_is_refused() -> None:
    Path("here.py").write_text(HERE)
    tune(**SMALL, study="former", sampler="interval", train=3, goal="accuracy")
    stem = {**SMALL, "option": {**SMALL["option"], "arch.stem": 16}}
    with pytest.raises(
        UsageError, match="of architecture wrn stem=scaled, and this search is of architecture wrn stem=16"
    ):
        tune(**stem, prior="former", goal="accuracy")
