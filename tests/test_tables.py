from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from shape_dnn import MeterError, Shape, UsageError, bench, measure, simulate, tune
from shape_dnn.study.tables import Replay, Table, read_curves


def write(text: str) -> Path:
    Path("t.csv").write_text(text)
    return Path("t.csv")


def test_a_table_with_comments_seeds_and_gaps() -> None:
    table = Table.read(
        write(
            "# made here\nwidth,depth,accuracy,seed,latency\n\n1/2,10,90.5,2,\n0.5,10,90.1,1,3.5\n# more\n2,16,95,1,7\n"
        )
    )
    half, two = Shape(10, Fraction(1, 2)), Shape(16, Fraction(2))
    assert table.shapes == [half, two]
    assert [Replay(table, seed).train([half])[0].quality for seed in range(3)] == [90.1, 90.5, 90.1]
    assert Replay(table, 1).measure("latency", [half, two]) == [None, 7.0]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "holds no table"),
        ("# nothing\n", "holds no table"),
        ("depth,width,accuracy\n", "has no rows"),
        ("depth,width\n10,1\n", "t.csv:1: no column 'accuracy'"),
        ("depth,width,accuracy,accuracy\n10,1,90,90\n", "t.csv:1: a column name occurs twice"),
        ("depth,width,accuracy\n10,1\n", "t.csv:2: 2 values for 3 columns"),
        ("#\ndepth,width,accuracy\n10,1,90\n10,1,91\n", r"t.csv:4: shape \(10, 1\) occurs twice"),
        ("depth,width,accuracy\nten,1,90\n", "t.csv:2: depth 'ten'"),
        ("depth,width,accuracy\n0,1,90\n", "t.csv:2: depth 0"),
        ("depth,width,accuracy\n10.5,1,90\n", "t.csv:2: depth 21/2"),
        ("depth,width,accuracy\n10,1/0,90\n", "t.csv:2"),
        ("depth,width,accuracy\n10,1,high\n", "t.csv:2: accuracy 'high' is not a number"),
        ("depth,width,accuracy\n10,1,nan\n", "t.csv:2: accuracy 'nan' is not finite"),
        ("depth,width,accuracy,size\n10,1,90,-5\n", "t.csv:2: size '-5' is below 0"),
        ("depth,width,accuracy\n1e99999999,1,90\n", "t.csv:2: depth '1e99999999'"),
        ('depth,width,accuracy\n10,1,"9\n0"\n', "t.csv:2: not a line of CSV"),
        ("depth,width,accuracy\n10,1,101\n", "t.csv:2: accuracy '101' is not a percentage"),
        *(
            (f"depth,width,accuracy,{name}\n10,1,90,3\n16,1,90,much\n", f"t.csv:3: {name} 'much' is not a number")
            for name in ("seed", "size", "latency", "energy", "memory", "seconds")
        ),
        ("depth,width,accuracy,heat\n10,1,90,nan\n", "t.csv:2: heat 'nan' is not finite"),
        *(
            (f"depth,width,accuracy\n#\n# noise: {text}\n10,1,90\n", "t.csv:3: noise '.*' is not understood")
            for text in ("", "low", "-1", "nan points", "inf", "0.12points", "points 0.12")
        ),
        ("# noise: 1\n# noise: 1\ndepth,width,accuracy\n10,1,90\n", "t.csv:2: the noise is told twice"),
    ],
)
def test_faults_are_named_with_file_and_line(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        Table.read(write(text))


@pytest.mark.parametrize(
    ("comment", "noise"),
    [
        ("# noise: 0.12 points", 0.12),
        ("# noise: 0", 0.0),
        ("# noise:1e-1, by a shape that was trained twice", 0.1),
        ("# noise: 0.5 from the last epochs", 0.5),
        ("# the noise: 0.12 points", None),
        ("#noise: 0.12 points", None),
    ],
)
def test_a_comment_tells_the_noise(comment: str, noise: float | None) -> None:
    assert Table.read(write(f"depth,width,accuracy\n{comment}\n10,1,90\n")).noise == noise


TEXT = "depth,width,accuracy,machine,heat,notes\n10,1,90,7,5,\n16,1,92,laptop,6,a b\n22,1,93,7,7,-1\n"


def test_a_column_that_holds_text_is_ignored_with_a_note(shape_dnn: Callable[..., Any]) -> None:
    table = Table.read(write(TEXT))
    assert table.ignored == ("machine", "notes")
    assert table.metrics == ("accuracy", "heat")
    assert not {"machine", "notes"} & set(table.rows[table.shapes[0]][0])
    note = "warning: columns 'machine', 'notes' of 't.csv' hold text and are ignored"
    for arguments in (
        ["--replay"],
        ["--dry-run", "--replay"],
        ["simulate", "--model", "ridge", "--sampler", "interval"],
    ):
        ran = shape_dnn(*arguments, "t.csv")
        assert ran.status == 0
        assert ran.err.count(note) == 1
    write(TEXT.replace("a b", "1").replace("-1", "2"))
    assert "warning: column 'machine' of 't.csv' holds text and is ignored" in shape_dnn("--replay", "t.csv").err


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--max", "notes=3"),
        ("--min", "notes=3"),
        ("--goal", "notes"),
        ("--goal", "heat + notes"),
        ("--pareto", "notes,heat"),
    ],
)
def test_nothing_is_asked_of_a_column_that_holds_text(shape_dnn: Callable[..., Any], flag: str, value: str) -> None:
    ran = shape_dnn("--replay", write(TEXT), flag, value)
    assert ran.status == 2
    assert ran.error == f"shape-dnn: error: {flag}: column 'notes' of 't.csv' holds text"


def test_a_metric_that_there_is_not_is_told_from_text(shape_dnn: Callable[..., Any]) -> None:
    known = "known are accuracy, energy, file-size, graph-latency, heat, latency, memory, size"
    assert known in shape_dnn("--replay", write(TEXT), "--max", "weight=1").error


def test_learning_curves_are_read_by_shape_and_seed() -> None:
    path = write(
        "# made here\ndepth,width,seed,epoch,loss,accuracy\n10,1/2,0,1,2,50\n10,0.5,1,1,2,40\n10,1/2,0,2,1,60\n"
    )
    half = Shape(10, Fraction(1, 2))
    assert read_curves(path) == {(half, 0): (50.0, 60.0), (half, 1): (40.0,)}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "depth,width,epoch,accuracy\n10,1,1,90\n10,1,3,91\n",
            r"t.csv:3: not the accuracy of \(10, 1\) .* after epoch 2",
        ),
        ("depth,width,epoch,accuracy\n10,1,1,\n", "t.csv:2: not the accuracy of"),
        ("depth,width,epoch,accuracy\n10,1,1,high\n", "t.csv:2: accuracy 'high' is not a number"),
    ],
)
def test_faults_of_learning_curves_are_named_with_file_and_line(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        read_curves(write(text))


def test_files_that_are_no_text_are_refused() -> None:
    Path("t.csv").write_bytes(b"\xff\xfe\0\0")
    with pytest.raises(UsageError, match="not a text file"):
        Table.read(Path("t.csv"))
    with pytest.raises(UsageError, match=r"cannot read 'none\.csv'"):
        Table.read(Path("none.csv"))


def test_a_replay_finds_what_the_table_holds(table: Path) -> None:
    result = tune(replay=table, max_size="2", min_accuracy="90%", goal="latency", model="paper", sampler="interval")
    facts = Table.read(table)
    rows = {shape: rows[0] for shape, rows in facts.rows.items()}
    expected = {s for s, row in rows.items() if row["size"] <= 2 and row["accuracy"] >= 90}  # type: ignore[operator]
    assert set(result.shapes) == expected
    assert result.best == min(expected, key=lambda s: (rows[s]["latency"], s.width))
    assert result.verified
    printed = result.to_dict()
    assert printed["space"]["shapes"] == 45
    looked_up = [(t["depth"], t["width"]) for t in printed["trained"]]
    assert len(looked_up) == len(set(looked_up)) == printed["cost"]["trained"]
    assert (printed["best"]["depth"], printed["best"]["width"]) in looked_up


@pytest.mark.parametrize("name", ["score", "probability", "estimated"])
def test_a_column_that_is_called_like_an_entry_of_results_cannot_be_asked_for(name: str) -> None:
    path = write(f"depth,width,accuracy,size,{name}\n10,1,90,1,2\n16,1,91,2,3\n")
    with pytest.raises(UsageError, match=f"column '{name}' of .* is called like an entry of results; rename it"):
        tune(replay=path, goal="size", max=[f"{name}=5"])
    assert tune(replay=path, goal="size").rows()[0].keys() >= {"size", "accuracy"}


def test_strategies_and_a_number_of_trainings_are_not_compared_together() -> None:
    path = write("depth,width,accuracy\n" + "".join(f"{d},{w},{90 + d / w}\n" for d in (1, 2, 3) for w in (1, 2)))
    with pytest.raises(UsageError, match="train: contradicts several strategies"):
        simulate(path, strategies=["optimistic", "thorough"], train=3)


def test_no_number_is_invented_for_a_metric_the_table_lacks(table: Path) -> None:
    with pytest.raises(MeterError, match=r"table\.csv has no column 'energy', and a replay measures nothing$"):
        tune(replay=table, max_energy="3J")
    text = Path(table).read_text().replace(",size,", ",volume,")
    with pytest.raises(MeterError, match="no column 'size'.*give --arch and --dataset"):
        tune(replay=write(text), max_size="2")
    computed = tune(replay=write(text), max_size="2", arch="wrn", dataset="cifar10")
    assert all(row["size"] <= 2 for row in computed.rows())
    assert all(row["size"] is None for row in tune(replay=write(text)).rows())


def test_any_column_is_a_metric(table: Path) -> None:
    text = Path(table).read_text().replace(",size,", ",volume,")
    result = tune(replay=write(text), max={"volume": 2})
    assert result.to_dict()["stages"] == [
        {"metric": "volume", "limit": "<= 2", "before": 45, "after": len(result.shapes)}
    ]


def test_where_nothing_complies_what_is_not_known_of_the_closest_shape_is_null(shape_dnn: Callable[..., Any]) -> None:
    path = write("depth,width,accuracy,latency\n10,1,90,1\n16,1,93,2\n22,1,95,\n")
    ran = shape_dnn("--replay", path, "--min-accuracy", "99%", "--goal", "latency", "--format", "json")
    assert ran.status == 3, ran.err
    assert "the closest is (22, 1) with a trained accuracy of 95.00 %" in ran.error
    assert (ran.json["closest"]["depth"], ran.json["closest"]["latency"]) == (22, None)


def test_the_space_of_a_replay_is_the_table(table: Path) -> None:
    with pytest.raises(UsageError, match="depth: contradicts --replay"):
        tune(replay=table, depth="10:60:6")


RECORDED = """# validation accuracy in percent; --dataset digits --device cpu --batch-size 8 -o dataset.limit=400
# recipe: epochs 3, batch_size 32, lr 0.2, milestones (0.3, 0.6), momentum 0.9
# another recording: --epochs 5
depth,width,accuracy,size
10,1,90,1
16,1,92,2
"""


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--epochs", "4"], "--epochs: 4 is not what 't.csv' was recorded with, which is 3; leave it out"),
        (["--lr", "0.1"], "--lr: 0.1 is not what 't.csv' was recorded with, which is 0.2; leave it out"),
        (["--recipe", "paper"], "--recipe: a replay looks trainings up as they were recorded; leave it out"),
        (["--protocol", "paper"], "--protocol: a replay looks trainings up"),
        (["--retry-failed"], "--retry-failed: a replay looks trainings up"),
        (["--transfer", "1/2"], "--transfer: a recorded table has no weights to start from"),
        (["--terminator", "asha"], "--terminator: a recorded table trains nothing"),
        (["--dataset", "mnist"], "--dataset: mnist is not what 't.csv' was recorded with, which is digits"),
        (["--batch-size", "1"], "--batch-size: 1 is not what 't.csv' was recorded with, which is 8"),
        (["--fit-depths", "3"], "--fit-depths: a replay looks metrics up as they were recorded"),
        (["--remeasure"], "--remeasure: a replay looks metrics up"),
        (["--meter", "size=size"], "--meter: 't.csv' has a column 'size', which counts"),
        (["--deploy", "onnxruntime"], "--deploy: nothing ships where a recorded table is looked up"),
        (["--target", "pi=ssh://pi"], "--target: nothing ships"),
        (["-o", "deploy.precision=float16"], "-o: deploy.precision: nothing ships"),
        (["-o", "target.judge=true"], "-o: target.judge: nothing ships"),
        (["-o", "recipe.momentum=0.8"], "-o: recipe.momentum: 0.8 is not what 't.csv' was recorded with, which is 0.9"),
        (["-o", "recipe.mixup=0.1"], "-o: recipe.mixup: a replay looks trainings up"),
        (["-o", "dataset.limit=300"], "-o: dataset.limit: 300 is not what 't.csv' was recorded with, which is 400"),
        (["-o", "arch.stem=16"], "-o: arch.stem: a replay uses it only to compute"),
        (["-o", "meter.threads=2"], "-o: meter.threads: a replay uses it only to compute"),
        (["--config", "search.yaml"], "search.yaml:1:9: 4 is not what 't.csv' was recorded with"),
    ],
)  # fmt: skip
def test_what_a_replay_cannot_use_is_refused(shape_dnn: Callable[..., Any], flags: list[str], complaint: str) -> None:
    Path("search.yaml").write_text("epochs: 4\n")
    write(RECORDED)
    for also in ([], ["--dry-run"]):
        ran = shape_dnn("--replay", "t.csv", *flags, *also)
        assert ran.status == 2
        assert complaint in ran.error
        assert not ran.out


def test_a_replay_takes_what_its_table_was_recorded_with_and_what_changes_no_answer(
    shape_dnn: Callable[..., Any],
) -> None:
    write(RECORDED)
    plain = shape_dnn("--replay", "t.csv", "--goal", "size").out
    flags = ["--epochs", "3", "--lr", "0.20", "--device", "cpu", "--dataset", "digits", "--batch-size", "8"]
    flags += ["-o", "recipe.milestones=0.3,0.6", "-o", "dataset.limit=400"]
    assert shape_dnn("--replay", "t.csv", "--goal", "size", *flags).out == plain
    incidental = ["--study", "other", "--workers", "2", "--executor", "local", "--device", "cuda", "--data-dir", "x"]
    assert shape_dnn("--replay", "t.csv", "--goal", "size", *incidental).out == plain
    assert not Path("other").exists()


def test_simulations_refuse_what_a_replay_cannot_use() -> None:
    with pytest.raises(UsageError, match="epochs: 4 is not what 't.csv' was recorded with"):
        simulate(write(RECORDED), samplers=["random"], models=["ridge"], epochs=4)


def test_simulations_refuse_to_search_with_no_seed() -> None:
    with pytest.raises(UsageError, match="seeds: 0 is not a whole number from 1"):
        simulate(write(RECORDED), samplers=["random"], models=["ridge"], seeds=0)


def test_the_printed_configuration_of_a_replay_can_be_read_again(shape_dnn: Callable[..., Any]) -> None:
    Path("again.yaml").write_text(shape_dnn("--replay", write(RECORDED), "--goal", "size", "--print-config").out)
    ran = shape_dnn("--config", "again.yaml")
    assert ran.status == 0, ran.err
    assert ran.out == shape_dnn("--replay", "t.csv", "--goal", "size").out


def test_a_shape_without_recorded_accuracy_counts_as_failed() -> None:
    result = tune(replay=write("depth,width,accuracy\n10,1,90\n16,1,\n22,1,92\n"))
    assert [f["depth"] for f in result.to_dict()["failed"]] == [16]
    assert len(result.shapes) == 2


def test_simulate_compares_every_combination(table: Path) -> None:
    rows = simulate(
        table, samplers=["interval", "random"], models=["paper", "ridge"], seeds=3, goal="size", min_accuracy="90"
    )
    assert [(r.sampler, r.model) for r in rows] == [
        ("interval", "paper"), ("interval", "ridge"), ("random", "paper"), ("random", "ridge"),
    ]  # fmt: skip
    assert all(r.found == 1.0 for r in rows)
    exact = rows[0]
    assert exact.mean_error is not None
    assert exact.mean_error < 0.01, "the table obeys Equation 2, and 15 trainings determine its ten coefficients"


def test_simulate_takes_sampler_and_model_as_a_search_does(table: Path) -> None:
    rows = simulate(table, sampler="random", model="ridge", seeds=1)
    assert [(row.sampler, row.model) for row in rows] == [("random", "ridge")]
    with pytest.raises(UsageError, match="seed: combinations are compared by seeds from 0; say by seeds= how many"):
        simulate(table, seed=3)


def test_one_text_is_a_name_or_several_with_commas(table: Path) -> None:
    rows = simulate(table, samplers="interval, random", models="ridge", seeds=1)
    assert [(row.sampler, row.model) for row in rows] == [("interval", "ridge"), ("random", "ridge")]
    (row,) = bench(table, methods="model=ridge,confidence=0.9", questions=1, noise=0.4, workers=1)
    assert row.method == "model=ridge,confidence=0.9"
    space = {"depth": "10:11:6", "width": "1/4:1/2:1/4"}
    assert list(measure("size", **space).values()) == list(measure(["size"], **space).values())


def test_simulate_has_no_error_where_everything_is_trained(table: Path) -> None:
    (row,) = simulate(table, strategies=["exhaustive"], samplers=["wider"], models=["ridge"], seeds=1)
    assert (row.trained, row.percent, row.mean_error) == (45, 100, None)


def test_no_size_is_computed_for_a_shape_the_architecture_does_not_have() -> None:
    path = write("depth,width,accuracy\n10,1,90\n17,1,91\n")
    with pytest.raises(UsageError, match=r"the table has shape \(17, 1\), and Wide ResNet has not: .*6N\+4"):
        tune(replay=path, arch="wrn", dataset="digits", max_size=20)


def test_a_column_without_values_is_no_reason_to_drop_shapes() -> None:
    with pytest.raises(MeterError, match="no value in column 'heat'"):
        tune(replay=write("depth,width,accuracy,heat\n10,1,90,\n16,1,91,\n"), max={"heat": 3})


def test_a_search_goes_on_where_the_first_shapes_that_it_trains_lack_a_value() -> None:
    grid = [(depth, width) for width in range(1, 6) for depth in range(10, 40, 6)]
    rows = [f"{d},{w}/4,{90 + d / 10 + w},{'' if d in (10, 34) else d * w}" for d, w in grid]
    result = tune(replay=write("\n".join(["depth,width,accuracy,latency", *rows])), goal="latency", min_accuracy=93)
    assert result.best == Shape(22, Fraction(1, 4))


def test_where_no_shape_has_the_metric_that_is_asked_for_that_is_said(shape_dnn: Callable[..., Any]) -> None:
    rows = [f"{d},{w}/4,{90 + d / 10 + w},{'' if w < 3 else d * w},{d * w}" for w in range(1, 6) for d in (10, 16, 22)]
    path = write("\n".join(["depth,width,accuracy,latency,size", *rows]))
    ran = shape_dnn("--replay", path, "--goal", "latency", "--max-size", 25)
    assert "no shape is called the best: none that complies has a value of the goal 'latency'" in ran.out
    ran = shape_dnn("--replay", path, "--pareto", "latency,accuracy", "--max-size", 25)
    assert ran.status == 3
    assert "nothing complies: no shape has a value of all that is traded off" in ran.error


def test_simulate_gives_an_option_to_the_plugins_that_have_it(table: Path) -> None:
    rows = simulate(table, samplers=["random", "interval"], models=["ridge"], seeds=1, option={"sampler.seed": 3})
    assert len(rows) == 2
    with pytest.raises(UsageError, match="none of the samplers interval has such an option"):
        simulate(table, samplers=["interval"], seeds=1, option={"sampler.seed": 3})


def test_observers_follow_a_replay_too(table: Path) -> None:
    tune(replay=table, max_size=2, observer="jsonl")
    assert "StageFinished" in Path("shape-dnn-events.jsonl").read_text()
