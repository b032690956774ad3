"""Ways of searching are asked the same questions, pay for what they train, and are judged by the truth."""

from __future__ import annotations

import html
import json
import math
import re
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shape_dnn
from shape_dnn import Shape, bench
from shape_dnn.benchmarking import methods, results, statistics
from shape_dnn.benchmarking.asking import ask
from shape_dnn.benchmarking.comparison import Performance, budget
from shape_dnn.benchmarking.facts import Seen
from shape_dnn.benchmarking.judging import Decision, Outcome, Run, judge
from shape_dnn.benchmarking.method import Found, Method
from shape_dnn.benchmarking.methods import parse
from shape_dnn.benchmarking.problems import RecordedTable
from shape_dnn.benchmarking.questions import Question, Weighted, draw
from shape_dnn.errors import UsageError
from shape_dnn.kinds import TableFile
from shape_dnn.plugins.registry import Registry

KEYS = ["method", "table", "questions", "trainings", "seconds_percent", "within_percent", "violations_percent",
        "regret_points", "regret_percent", "coverage", "doubt_error"]  # fmt: skip
DEPTHS, WIDTHS, EPOCHS = (10, 16, 22, 28), (1, 2, 3), 9
# A plugin in a file that imports a library may take a while to load beside other work, and its user is told so.
pytestmark = pytest.mark.filterwarnings("ignore:loading .* of every start")

PAGE = (Path(__file__).parents[1] / "docs" / "benchmarking.md").read_text()


def accuracy(depth: int, width: int, seed: int = 0) -> float:
    return 95 - 30 / depth - 6 / width + (0.1 if (depth + width + seed) % 2 else -0.1)


@pytest.fixture
def small(own_directory: Path) -> Path:
    """Twelve shapes with two seeds each and their curves; accuracies of a formula with a little noise."""
    rows, curves = ["depth,width,seed,accuracy,size,seconds"], ["depth,width,seed,epoch,accuracy"]
    for depth in DEPTHS:
        for width in WIDTHS:
            for seed in (0, 1):
                end = accuracy(depth, width, seed)
                rows.append(f"{depth},{width},{seed},{end},{depth * width**2 / 100},{depth * width}")
                curves += [f"{depth},{width},{seed},{e},{end - 20 * (1 - e / EPOCHS)}" for e in range(1, EPOCHS + 1)]
    path = own_directory / "small.csv"
    path.write_text("\n".join(rows) + "\n")
    path.with_name("small-curves.csv").write_text("\n".join(curves) + "\n")
    return path


@pytest.fixture
def bare(own_directory: Path) -> Path:
    """The same with one seed, without curves, metrics and seconds, which says how much trainings vary."""
    path = own_directory / "bare.csv"
    rows = [f"{depth},{width},{accuracy(depth, width)}" for depth in DEPTHS for width in WIDTHS]
    path.write_text("\n".join(["# noise: 0.15 points", "depth,width,accuracy", *rows]) + "\n")
    return path


def asked(path: Path, spec: str | Method, number: int = 20, what: Any = "best", files: tuple[Path, ...] = ()) -> Any:
    """Ask a method in this process; return its outcomes."""
    table = RecordedTable.read(TableFile(path))
    method = parse(spec, Registry(files)) if isinstance(spec, str) else spec
    questions = draw(table, number, seed=0, ask=what)
    return [judge(table, question, ask(table, question, method, i)) for i, question in enumerate(questions)]


class Clairvoyant(Method):
    """Knows the truth, and returns the best there is, or the least accurate, or what costs most."""

    answers_sets = True

    def __init__(self, path: Path, returns: str = "best") -> None:
        self.spec, self.returns, self.table = "clairvoyant", returns, RecordedTable.read(TableFile(path))

    def answer(self, seen: Seen, seed: int) -> Found:
        truth = dict(zip(self.table.shapes, self.table.truth, strict=True))
        complying = [shape for shape in seen.shapes if seen.complies(truth[shape])]
        if seen.goal is None:
            return Found(complying=complying if self.returns == "best" else set(seen.shapes) - set(complying))
        scores = [-truth[s] for s in seen.shapes] if seen.goal_is_quality else seen.scores().tolist()
        score = dict(zip(seen.shapes, scores, strict=True))
        if self.returns == "best":
            return Found(min(complying, key=score.__getitem__))
        return Found(min(seen.shapes, key=truth.__getitem__) if self.returns == "least" else max(score, key=score.get))


class Greedy(Method):
    """Looks at every training, and claims nothing of it."""

    spec = "greedy"

    def answer(self, seen: Seen, seed: int) -> Found:
        for shape in seen.shapes:
            seen.trained(shape)
        return Found(seen.best)


def test_what_a_method_measures_is_counted() -> None:
    path = Path("timed.csv")
    rows = [f"{d},{w},{accuracy(d, w)},{d * w**2},{d + w}" for d in DEPTHS for w in WIDTHS]
    path.write_text("\n".join(["# noise: 0.15 points", "depth,width,accuracy,size,latency", *rows]) + "\n")
    table, asked_for = RecordedTable.read(TableFile(path)), 0
    for i, question in enumerate(draw(table, 40, seed=0)):
        by_latency = question.goal is not None and "latency" in question.goal.metrics
        few, every = (ask(table, question, parse(spec, Registry()), i).measured for spec in ("random:6", "bisection"))
        assert few <= (6 if by_latency else 0)
        if not question.goal_is_quality:
            assert every == (len(question.candidates) if by_latency else 0)
        asked_for += by_latency
    assert asked_for


# The command


def test_the_command_prints_a_row_for_every_method_and_table(
    small: Path, bare: Path, shape_dnn: Callable[..., Any]
) -> None:
    ran = shape_dnn("bench", small, bare, "--questions", 8, "--format", "json")
    assert ran.status == 0, ran.err
    rows = ran.json
    assert [(row["table"], row["method"]) for row in rows] == [
        (table, method) for table in ("small", "bare") for method in ("default", "paper", "random")
    ]
    assert all(list(row)[: len(KEYS)] == KEYS and row["questions"] == 8 for row in rows)
    ours, paper, chance = rows[:3]
    assert 0 <= ours["doubt_error"] <= 1
    assert 0 <= ours["coverage"] <= 1
    assert paper["doubt_error"] is None
    assert (chance["doubt_error"], chance["coverage"]) == (None, None)
    assert chance["trainings"] == math.ceil(ours["trainings"]), "one that never stops is given no fewer trainings"
    assert paper["p_trainings"] is not None
    assert chance["p_trainings"] is None, "it was told how many to make, so that no chance has a part in them"
    assert "bare has no metric" in ran.err
    assert "small: default has answered 8 questions" in ran.err


@pytest.mark.parametrize(("trainings", "given"), [((5, 5, 6), 6), ((5, 6, 6), 6), ((6, 6, 6), 6), ((0.1, 0.2), 1)])
def test_one_that_never_stops_is_given_no_fewer_trainings_than_the_default(
    small: Path, trainings: tuple[float, ...], given: int
) -> None:
    table, outcomes = RecordedTable.read(TableFile(small)), [Outcome(12, n, 0.5, within=True) for n in trainings]
    ours, chance = (Performance(parse(spec, Registry()), table, [outcomes]) for spec in ("default", "random"))
    assert budget([chance, ours]) == given


def test_how_many_trainings_are_as_good_is_told_with_an_interval_wherever_figures_are(small: Path) -> None:
    found = bench(small, methods=["exhaustive", "random:2", "random:12"], questions=40, report="page.html")
    keys = ("as_good_after", "as_good_low", "as_good_high", "most_trainings")
    stops, few, many = ([row[key] for key in keys] for row in found.rows())
    assert stops == [None] * 4
    assert few == [None, None, None, 2], "with 2 trainings it is surely right less often"
    after, low, high, most = many
    assert (high, most) == (None, 12), "nothing is right more often than who trains everything"
    assert 2 < low < after <= 12
    page, (table,) = Path("page.html").read_text(), found.summaries
    shown = ["-", ">2", f"{after} ({low} to …)"]
    assert [cells[-1] for cells in table.rows] == shown
    assert all(f"<td>{html.escape(text)}</td>" in page for text in shown[1:])


def test_the_figures_are_the_same_with_any_number_of_workers(small: Path) -> None:
    one, two = (bench(small, questions=9, workers=number).rows() for number in (1, 2))
    assert one == two


def test_the_questions_depend_on_the_seed_alone(small: Path) -> None:
    table = RecordedTable.read(TableFile(small))
    few, many, others = draw(table, 5, seed=3), draw(table, 20, seed=3), draw(table, 20, seed=4)
    assert [q.candidates.tolist() for q in few] == [q.candidates.tolist() for q in many[:5]]
    assert [q.limit for q in many] != [q.limit for q in others]


def test_csv_and_a_table_for_people(small: Path, shape_dnn: Callable[..., Any]) -> None:
    lines = shape_dnn("bench", small, "--questions", 4, "--method", "random", "--format", "csv").out.splitlines()
    assert lines[0].startswith(",".join(KEYS))
    assert lines[1].startswith("random,small,4,")
    shown = shape_dnn("bench", small, "--questions", 4, "--method", "random", "--quiet")
    assert "right %" in shown.out
    assert shown.err == ""


def test_a_notebook_and_pandas_are_given_tables(small: Path) -> None:
    found = bench(small, methods=["random"], questions=4)
    assert "<table>" in found._repr_html_()
    assert found.to_pandas()["method"].tolist() == ["random"]


# What is remembered


def test_an_interrupted_comparison_goes_on_to_the_figures_of_one_that_was_not(small: Path, tmp_path: Path) -> None:
    whole = bench(small, questions=8, results=tmp_path / "whole").rows()

    def interrupt(_line: str) -> None:
        raise KeyboardInterrupt

    kept = tmp_path / "kept"
    with pytest.raises(KeyboardInterrupt):
        bench(small, questions=8, results=kept, notify=interrupt)
    lines = {path.name: len(path.read_text().splitlines()) for path in kept.iterdir()}
    assert max(lines.values()) == 9, "what was finished is there"
    (longest,) = [path for path in kept.iterdir() if len(path.read_text().splitlines()) == 9][:1]
    longest.write_text(longest.read_text()[:-20])  # the power failed while a line was written
    assert bench(small, questions=8, results=kept).rows() == whole
    assert bench(small, questions=8, results=kept).rows() == whole


def test_what_was_answered_is_not_asked_again(small: Path, tmp_path: Path) -> None:
    before = bench(small, methods=["bisection"], questions=6, results=tmp_path)[0]
    (path,) = tmp_path.glob("*.jsonl")
    head, *runs = map(json.loads, path.read_text().splitlines())
    assert head["table"] == "small"
    altered = [{**run, "parts": [part / 2 for part in run["parts"]]} for run in runs]
    path.write_text("\n".join(map(json.dumps, [head, *altered])) + "\n")
    again = bench(small, methods=["bisection"], questions=6, results=tmp_path)[0]
    assert again.trainings == before.trainings / 2
    assert len(path.read_text().splitlines()) == 7
    bench(small, methods=["bisection"], questions=8, results=tmp_path)
    assert len(path.read_text().splitlines()) == 9, "more questions are added to those that are there"


def test_another_table_or_plugin_is_asked_anew(small: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "plane.py"
    plugin.write_text(example())
    methods = ["model=plane"]
    bench(small, methods=methods, questions=2, results=tmp_path / "kept", plugin=[plugin])
    plugin.write_text(example() + "\n# edited\n")
    bench(small, methods=methods, questions=2, results=tmp_path / "kept", plugin=[plugin])
    small.write_text(small.read_text().replace("10,1,0,", "10,1,0,1"))
    small.write_text(re.sub(r"^10,1,0,1\d\d", "10,1,0,50", small.read_text(), flags=re.MULTILINE))
    bench(small, methods=methods, questions=2, results=tmp_path / "kept", plugin=[plugin])
    assert len(list((tmp_path / "kept").iterdir())) == 3


@pytest.mark.parametrize(
    ("name", "decides"),
    [
        ("search/contest.py", True), ("builtin/accuracy_models/grid.py", True), ("kinds/choosing.py", True),
        ("assembly/modelling.py", True), ("constraints.py", True), ("quality.py", True), ("plugins/checked.py", True),
        ("benchmarking/problems.py", True), ("report/page.py", False),
    ],
)  # fmt: skip
def test_a_change_of_code_that_decides_begins_anew(
    name: str, decides: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(Path(shape_dnn.__file__).parent, tmp_path / "shape_dnn")
    monkeypatch.setattr(results.shape_dnn, "__file__", str(copy / "__init__.py"))
    before = results._code.__wrapped__()
    with (copy / name).open("a") as file:
        file.write("# changed\n")
    assert (results._code.__wrapped__() != before) is decides


# Judging


def test_one_that_knows_the_truth_is_right_and_others_are_wrong(small: Path) -> None:
    right, useless, wasteful = (asked(small, Clairvoyant(small, returns)) for returns in ("best", "least", "most"))
    assert all(outcome.within and not outcome.violates and outcome.answered for outcome in right)
    assert all(not outcome.points and not outcome.percent for outcome in right)
    assert not any(outcome.within for outcome in useless), "not even where it is the smallest"
    assert any(outcome.points for outcome in useless)
    assert any(outcome.violates for outcome in useless)
    assert sum(outcome.within for outcome in wasteful) < 5
    assert any(outcome.percent for outcome in wasteful)


def test_regret_has_no_percent_where_the_best_shape_has_none_of_the_goal() -> None:
    shapes = [Shape(depth, Fraction(1)) for depth in (10, 16)]
    columns = {"latency": np.array([0.0, 2.0])}
    table = RecordedTable("none", shapes, np.array([[90.0], [95.0]]), None, columns, np.ones(2), 0.1)
    question = Question(np.arange(2), Weighted({"latency": 1.0}), 80.0, 0)
    best, other = (judge(table, question, Run([place], [1.0], place)) for place in (0, 1))
    assert (best.within, best.percent) == (True, None)
    assert (other.within, other.percent) == (False, None)


def test_sets_are_judged_by_recall_and_precision(small: Path) -> None:
    right = asked(small, Clairvoyant(small), what="sets")
    wrong = asked(small, Clairvoyant(small, "least"), what="sets")
    assert all((o.recall, o.precision, o.within) == (1.0, 1.0, True) for o in right)
    assert not any(outcome.within for outcome in wrong if outcome.recall == 0)
    assert any(outcome.recall == 0 and outcome.precision == 0 for outcome in wrong)


def test_who_has_found_the_best_has_missed_nothing_whatever_counts_as_equal(small: Path) -> None:
    table = RecordedTable.read(TableFile(small))
    for question in draw(table, 20, seed=0):
        left = question.candidates[question.complies(table.truth[question.candidates])]
        order = left[np.argsort(question.scores(table, table.truth)[left], kind="stable")].tolist()
        decisions = [Decision(0.1, place, 0.0) for place in (order[0], order[-1])]
        found = judge(table, question, Run([0], [1.0], order[0], decisions=decisions)).doubts
        assert found == [(0.1, False), (0.1, len(order) > 1)]


def test_the_doubt_of_a_shape_is_not_compared_with_what_came_of_its_set(small: Path) -> None:
    (found,) = bench(small, methods=["default"], questions=6, ask="sets").rows()
    assert found["doubt_error"] is None


def test_a_search_is_asked_for_sets(small: Path, shape_dnn: Callable[..., Any]) -> None:
    rows = shape_dnn("bench", small, "--ask", "sets", "--questions", 6, "--method", "exhaustive", "--method", "default",
                     "--format", "json").json  # fmt: skip
    for row in rows:
        assert 0 < row["recall"] <= 1
        assert 0 < row["precision"] <= 1
        assert row["regret_points"] is None
        assert row["regret_percent"] is None


def test_whatever_is_looked_at_is_paid_for(small: Path) -> None:
    for outcome in asked(small, Greedy()):
        assert outcome.trainings == outcome.candidates
        assert outcome.seconds == pytest.approx(1)


def test_parts_of_trainings_count_as_such(small: Path) -> None:
    for outcome in asked(small, "top-k:2"):
        assert outcome.trainings == pytest.approx(2 + (outcome.candidates - 2) / EPOCHS)
    for outcome in asked(small, "successive-halving"):
        left = -(-outcome.candidates // 3)
        last = -(-left // 3)
        epochs = outcome.candidates - left + 3 * (left - last) + 9 * last
        assert outcome.trainings == pytest.approx(epochs / EPOCHS)


def test_a_terminator_spares_epochs(small: Path) -> None:
    settings = "sampler=random,strategy=exhaustive,confidence=none"
    stopped, whole = (asked(small, f"{settings},terminator={name}") for name in ("asha", "none"))
    assert sum(o.trainings for o in stopped) < sum(o.trainings for o in whole)
    assert all(o.trainings == o.candidates for o in whole)


def test_the_doubt_that_a_search_states_is_held_against_what_came_of_it(small: Path) -> None:
    decisions = [doubt for outcome in asked(small, "default") for doubt in outcome.doubts]
    assert {missed for _, missed in decisions} == {True, False}
    assert all(0 <= doubt <= 1 for doubt, _ in decisions)
    assert not any(outcome.doubts for outcome in asked(small, "paper"))


@pytest.mark.parametrize("name", [n for n in methods.NAMES if n not in methods.PEERS or not methods.PEERS[n].package])
def test_every_method_of_this_package_finds_what_is_there_on_a_table_without_noise(name: str, table: Path) -> None:
    found = [] if parse(name, Registry([])).needs_curves else asked(add_noise(table), name, number=10)
    assert all(outcome.trainings <= outcome.candidates for outcome in found)
    if name in ("default", "exhaustive"):
        assert all(outcome.within for outcome in found)


def add_noise(table: Path) -> Path:
    table.write_text("# noise: 0.05 points\n" + table.read_text())
    return table


@pytest.mark.parametrize(
    ("spec", "package"), [("optuna-tpe:6", "optuna"), ("optuna-tpe-log:6", "optuna"), ("optuna-gp:6", "optuna"),
                          ("botorch:6", "botorch"), ("ax:6", "ax"), ("syne-tune:6", "syne_tune")]
)  # fmt: skip
def test_a_tuner_trains_as_often_as_it_may_and_no_shape_twice(spec: str, package: str, small: Path) -> None:
    pytest.importorskip(package)
    table = RecordedTable.read(TableFile(small))
    method = parse(spec, Registry([]))
    assert method.never_stops
    for i, question in enumerate(draw(table, 4, seed=0)):
        run = ask(table, question, method, i)
        assert len(set(run.trained)) == len(run.trained) == min(6, len(question.candidates))
        assert set(run.trained) <= set(question.candidates.tolist())
        assert ask(table, question, method, i) == run, "the seed decides"


@pytest.mark.parametrize(("spec", "package"), [("optuna-tpe", "optuna"), ("optuna-tpe-log", "optuna"), ("ax", "ax")])
def test_a_tuner_goes_on_until_everything_was_trained_though_there_is_one_depth(
    spec: str, package: str, own_directory: Path
) -> None:
    pytest.importorskip(package)
    path = own_directory / "one.csv"
    path.write_text("depth,width,accuracy\n" + "".join(f"10,{width},{95 - 4 / width}\n" for width in range(1, 10)))
    assert [outcome.trainings for outcome in asked(path, f"{spec}:15", number=1)] == [9]


# Tables


def test_noise_is_that_of_repeated_trainings_or_what_the_table_says_or_what_the_user_says(
    small: Path, bare: Path
) -> None:
    pairs = np.array([[accuracy(d, w, seed) for seed in (0, 1)] for d in DEPTHS for w in WIDTHS])
    assert RecordedTable.read(TableFile(small), noise=9.0).noise == pytest.approx(np.sqrt(pairs.var(1, ddof=1).mean()))
    assert RecordedTable.read(TableFile(bare), noise=9.0).noise == 0.15
    bare.write_text(bare.read_text().replace("# noise: 0.15 points\n", ""))
    assert RecordedTable.read(TableFile(bare), noise=9.0).noise == 9.0
    assumed = RecordedTable.read(TableFile(bare))
    assert assumed.noise == 0.2
    assert any("0.2 points are assumed" in note for note in assumed.notes)


@pytest.mark.parametrize("seconds", ["0", ""])
def test_seconds_that_are_not_there_for_every_shape_are_those_of_a_closed_form(bare: Path, seconds: str) -> None:
    head, columns, *rows = bare.read_text().splitlines()
    told = [f"{row},{seconds if i == 0 or seconds else 7}" for i, row in enumerate(rows)]
    bare.write_text("\n".join([head, f"{columns},seconds", *told]) + "\n")
    table = RecordedTable.read(TableFile(bare))
    assert table.seconds.tolist() == [float(shape.depth * shape.width**2) for shape in table.shapes]
    assert any("has no seconds" in note for note in table.notes)


def test_questions_are_about_the_metrics_that_a_table_has(small: Path, bare: Path) -> None:
    assert list(RecordedTable.read(TableFile(small)).metrics) == ["size"]
    assert list(RecordedTable.read(TableFile(small), metrics=["seconds", "size"]).metrics) == ["seconds", "size"]
    assert list(RecordedTable.read(TableFile(bare)).metrics) == ["size"]
    assert RecordedTable.read(TableFile(bare)).metrics["size"][-1] == 28 * 9


def test_curves_among_the_tables_belong_to_theirs(small: Path) -> None:
    found = bench([small, small.with_name("small-curves.csv")], methods=["top-k"], questions=2)
    assert [row.table for row in found] == ["small"]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--method", "magic"], 2, "there is no method 'magic'"),
        (["--method", "topk"], 2, "did you mean top-k?"),
        (["--method", "top-k:none"], 2, "a whole number from 1"),
        (["--method", "bisection:3"], 2, "takes no setting"),
        (["--method", "default:3"], 2, "takes no setting"),
        (["--method", "model=magic"], 2, "no accuracy model is called 'magic'"),
        (["--method", "model=ridge,model=paper"], 2, "model is given twice"),
        (["--method", "depth=3"], 2, "settings are sampler"),
        (["--method", "model=ridge,sampler.magic=3"], 2, "sampler.magic is not an option"),
        (["--method", "confidence=2"], 2, "not a probability"),
        (["--method", "paper:magic"], 2, "no strategy is called 'magic'"),
        (["--method", "top-k"], 2, "table bare has none beside it"),
        (["--method", "terminator=asha"], 2, "terminator 'asha' needs learning curves"),
        (["--method", "bisection", "--ask", "sets"], 2, "not all that comply"),
        (["--metrics", "energy"], 2, "--metrics: "),
        (["--noise", "-1"], 2, "--noise: -1.0 is not a standard deviation"),
        (["--questions", "0"], 2, "should be a whole number from 1"),
        (["--results", "bare.csv"], 2, "--results: cannot use"),
        (["--report", "bare.csv/report.html", "--method", "random"], 2, "cannot write"),
        (["bare.csv"], 2, "two tables are called bare"),
        (["missing.csv"], 2, "TABLE: there is no file 'missing.csv'"),
        (["--plugin", "missing.py"], 2, "--plugin: cannot read"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(
    arguments: list[str], status: int, said: str, bare: Path, shape_dnn: Callable[..., Any]
) -> None:
    ran = shape_dnn("bench", bare, "--questions", 2, *arguments)
    assert ran.status == status, ran.err
    assert said in ran.error


def test_a_method_that_is_not_installed_says_how_it_is(
    bare: Path, shape_dnn: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = methods.Peer("nowhere:Nothing", "", "no-such-package")
    monkeypatch.setattr(methods, "PEERS", {**methods.PEERS, "nothing": peer})
    ran = shape_dnn("bench", bare, "--method", "nothing")
    assert ran.status == 4
    assert "pip install 'no-such-package'" in ran.error
    assert "nothing" not in methods.installed()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# noise: much\ndepth,width,accuracy\n1,1,50\n", ":1: noise 'much' is not understood"),
        ("depth,width,accuracy\n" + "".join(f"{d},1,50\n" for d in range(1, 6)), "a question takes at least 8"),
        ("depth,width,accuracy,size\n" + "".join(f"{d},1,50,\n" for d in range(1, 10)), "has no size of shape"),
    ],
)
def test_a_table_that_cannot_be_asked_about_is_refused(text: str, said: str) -> None:
    Path("odd.csv").write_text(text)
    with pytest.raises(UsageError, match=re.escape(said)):
        bench("odd.csv", methods=["random"])


def test_curves_that_lack_a_training_are_refused(small: Path) -> None:
    curves = small.with_name("small-curves.csv")
    whole = curves.read_text()
    curves.write_text("\n".join(line for line in whole.splitlines() if not line.startswith("10,2,1,")) + "\n")
    with pytest.raises(UsageError, match=re.escape("no curve of shape (10, 2), seed 1")):
        bench(small, methods=["random"])
    curves.write_text(whole + "10,1,0,10,50\n")
    with pytest.raises(UsageError, match="some curves are shorter"):
        bench(small, methods=["random"])
    curves.write_text(whole + "10,1,0,10,high\n")
    with pytest.raises(UsageError, match="accuracy 'high' is not a number"):
        bench(small, methods=["random"])


# Plugins


def example() -> str:
    """The plugin file of the documentation."""
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(code)


def test_the_model_of_the_documentation_is_compared_by_its_command(small: Path, shape_dnn: Callable[..., Any]) -> None:
    Path("plane.py").write_text(example())
    (command,) = re.findall(r"^shape-dnn (bench .*--plugin .*)$", PAGE, re.MULTILINE)
    ran = shape_dnn(*command.replace("TABLE.csv", str(small)).split(), "--questions", 6, "--format", "json")
    assert ran.status == 0, ran.err
    ours, plane = ran.json
    assert (ours["method"], plane["method"]) == ("default", "model=plane")
    assert 0 <= plane["coverage"] <= 1
    assert "model=plane" in Path("plane.html").read_text()


def test_a_plugin_that_fails_is_blamed(small: Path, shape_dnn: Callable[..., Any]) -> None:
    broken = example().replace("self.regression.fit(", "raise RuntimeError('no idea')\n        (")
    Path("plane.py").write_text(broken)
    ran = shape_dnn("bench", small, "--plugin", "plane.py", "--method", "model=plane", "--questions", 2)
    assert ran.status == 4
    assert "'plane'" in ran.error
    assert "no idea" in ran.error


# The page


@pytest.mark.filterwarnings("ignore:bare has no")
def test_the_page_has_every_figure_and_loads_nothing(small: Path, bare: Path) -> None:
    found = bench([small, bare], methods=["default", "random"], questions=6, report="page.html")
    page = Path("page.html").read_text()
    cells = re.findall(r"<td>(.*?)</td>", page)
    for row in found:
        for name in ("seconds_percent", "unanswered_percent"):
            assert f"{getattr(row, name):.3g}" in cells
        assert f"{row.trainings:.3g} ({row.trainings_low:.3g} to {row.trainings_high:.3g})" in cells
        assert f"{row.within_percent:.3g} ({row.within_low:.3g} to {row.within_high:.3g})" in cells
        assert f"{row.violations_percent:.3g} ({row.violations_low:.3g} to {row.violations_high:.3g})" in cells
        for value in (row.doubt_error, row.coverage, row.regret_points, row.regret_percent, row.p_within):
            assert ("–" if value is None else f"{value:.3g}") in cells
    assert "default-src 'none'" in html.unescape(page)
    markup = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"<(?:link|img|iframe)|src=", markup)
    data = re.findall(r'id="data">(.*?)</script>', page)[0]
    charts = [chart["id"] for chart in json.loads(data)]
    assert charts == ["cost-0", "cost-1", "reliability-0", "coverage-0"]
    assert all(f'id="{chart}"' in page for chart in charts)


def test_a_table_cannot_put_markup_into_the_page(small: Path) -> None:
    odd = small.with_name("<b>x.csv")
    small.rename(odd)
    bench(odd, methods=["random"], questions=2, report="page.html")
    assert "<b>x" not in Path("page.html").read_text()


# Statistics


def test_intervals_hold_the_mean_and_shrink_with_the_number_of_questions() -> None:
    few, many = np.random.default_rng(1).random(20), np.random.default_rng(1).random(2000)
    for values in (few, many):
        low, high = statistics.interval(values.tolist())
        assert low < values.mean() < high
    (a, b), (c, d) = (statistics.interval(values.tolist()) for values in (few, many))
    assert d - c < (b - a) / 5
    assert statistics.interval([5.0] * 4) == (5.0, 5.0)


def test_that_all_answers_were_right_is_not_certainty(bare: Path, shape_dnn: Callable[..., Any]) -> None:
    ran = shape_dnn("bench", bare, "--questions", 20, "--method", "exhaustive", "--format", "json")
    (row,) = ran.json
    assert (row["within_percent"], row["violations_percent"]) == (100, 0)
    rest = 100 * 1.96**2 / (20 + 1.96**2)
    assert (row["within_low"], row["within_high"]) == pytest.approx((100 - rest, 100), abs=0.01)
    assert (row["violations_low"], row["violations_high"]) == pytest.approx((0, rest), abs=0.01)


def test_differences_are_tested_question_by_question() -> None:
    assert statistics.p_of_parts([True] * 10, [True] * 10) == 1.0
    assert statistics.p_of_parts([True] * 10, [False] * 10) == pytest.approx(2 * 0.5**10)
    assert statistics.p_of_parts([True, False] * 5, [False, True] * 5) == 1.0
    assert statistics.p_of_costs([3.0] * 8, [3.0] * 8) == 1.0
    assert statistics.p_of_costs([3.0] * 12, list(range(4, 16))) < 0.01


def test_questions_that_cost_both_the_same_do_not_make_few_differences_significant() -> None:
    """By the exact distribution of the signs: of four that differ, all go one way by chance in 2 of 16 cases."""
    for alike in (0, 16, 196):
        assert statistics.p_of_costs([6.0] * 4 + [5.0] * alike, [5.0] * (4 + alike)) == pytest.approx(2 / 16)


def test_trainings_that_are_as_good_have_an_interval_by_the_questions() -> None:
    ours = [i % 10 > 0 for i in range(100)]
    steps = [[i >= wrong for i in range(100)] for wrong in (100, 30, 24, 20, 10, 2, 0)]
    found = statistics.crossing(ours, steps)
    assert (found.after, found.low, found.high, found.most) == (5, 4, 6, 7)
    assert statistics.p_of_parts(ours, steps[2]) < 0.05 < statistics.p_of_parts(ours, steps[3])
    assert statistics.p_of_parts(ours, steps[4]) == 1
    assert statistics.p_of_parts(ours, steps[5]) < 0.05, "after 6 it is surely right more often, and from then on"


@pytest.mark.parametrize(
    ("wrong", "after", "low", "high"),
    [((12, 6, 5, 0), 4, 3, None), ((12, 6), None, None, None), ((12, 5), None, 2, None), ((0, 6), 1, 1, None)],
)
def test_nobody_is_surely_as_good_as_one_that_is_always_right(
    wrong: tuple[int, ...], after: int | None, low: int | None, high: int | None
) -> None:
    steps = [[i >= number for i in range(20)] for number in wrong]
    assert statistics.crossing([True] * 20, steps) == statistics.Crossing(after, low, high, len(wrong))


@pytest.mark.parametrize("rate", [0.8, 0.96, 1.0])
@pytest.mark.parametrize("questions", [20, 200])
def test_the_interval_of_trainings_that_are_as_good_holds_them_in_19_of_20_comparisons(
    rate: float, questions: int
) -> None:
    """Also where ours is always right, and where the other comes near to it and never reaches it."""
    generator, rates = np.random.default_rng(0), 1 - 0.4 * 0.8 ** np.arange(30)
    truth = next((n for n, own in enumerate(rates, 1) if own >= rate), math.inf)
    held = []
    for _ in range(100):
        ours, hard = generator.random(questions) < rate, generator.random(questions)
        found = statistics.crossing(ours.tolist(), [(hard < own).tolist() for own in rates])
        low, high = (math.inf if end is None else end for end in (found.low, found.high))
        held.append(low <= truth <= high)
    assert sum(held) >= 92


def test_calibrated_doubt_has_no_error_and_certainty_that_is_wrong_the_whole_one() -> None:
    calibrated = [(0.25, i % 4 == 0) for i in range(40)]
    assert statistics.doubt_error(statistics.reliability(calibrated)) == pytest.approx(0)
    assert statistics.doubt_error(statistics.reliability([(0.0, True)] * 5)) == pytest.approx(1)
    assert statistics.doubt_error([]) is None
    bins = statistics.reliability([(0.0, False), (0.05, True), (1.0, True)])
    assert [(b.low, b.high, b.decisions, b.missed) for b in bins] == [(0.0, 0.1, 2, 1), (0.9, 1.0, 1, 1)]
    low, high = bins[0].interval
    assert 0 < low < 0.5 < high < 1
