"""The contract of the command: what it prints, and the status it ends with."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from shape_dnn import __version__
from shape_dnn.api.new_plugin import example
from shape_dnn.cli import output

Run = Callable[..., object]


def test_help_version_and_plugins_import_nothing_heavy() -> None:
    for arguments in (["--help"], ["--version"], ["plugins"], ["plugins", "--format", "json"], ["tune", "--help"]):
        code = (
            "import sys\nfrom shape_dnn.cli import main\n"
            f"try: main({arguments!r})\nexcept SystemExit as end: assert not end.code, end.code\n"
            "heavy = {'torch', 'torchvision', 'numpy', 'pandas', 'scipy', 'sklearn', 'statsmodels'} & set(sys.modules)\n"
            "sys.exit(f'imported {heavy}' if heavy else 0)"
        )
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr


WINDOWS = """
import os, signal, sys
import {imported}  # which would look for parts of Windows
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None
for module, names in ((os, "O_NOFOLLOW O_NONBLOCK fork getpgid killpg setsid register_at_fork sched_getaffinity"),
                      (signal, "SIGCHLD SIGKILL pthread_sigmask")):
    for name in names.split():
        delattr(module, name)
sys.platform = "win32"
"""


@pytest.mark.parametrize("arguments", [["--help"], ["doctor"]])
def test_who_comes_with_windows_reads_one_line_about_it(arguments: list[str]) -> None:
    code = f"{WINDOWS.format(imported='click, platform')}from shape_dnn.cli import main\nmain({arguments})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, len(ran.stderr.splitlines())) == (4, "", 1)
    assert ran.stderr.startswith("shape-dnn: error: shape_dnn runs on Linux and macOS, not on Windows itself")


def test_functions_say_the_same_on_windows() -> None:
    code = f"""{WINDOWS.format(imported="click, multiprocessing.connection, psutil, scipy, torch")}
import shape_dnn
for act in (shape_dnn.tune, lambda: shape_dnn.measure("size"), lambda: shape_dnn.bench("table.csv")):
    try:
        act()
    except shape_dnn.UnavailableError as error:
        print(error)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.count("runs on Linux and macOS, not on Windows itself") == 3


def test_importing_the_package_imports_no_library() -> None:
    code = "import sys; before = set(sys.modules); import shape_dnn; print(sorted(set(sys.modules) - before))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "pydantic", "pluggy", "click"} & set(ran.stdout.replace("'", " ").split())


def test_every_public_name_can_be_imported() -> None:
    import shape_dnn

    for name in shape_dnn.__all__:
        assert getattr(shape_dnn, name) is not None
    assert set(shape_dnn.__all__) == set(dir(shape_dnn))


def test_version(shape_dnn: Run) -> None:
    assert shape_dnn("--version").out == f"shape-dnn, version {__version__}\n"


def test_space_lists_shapes_with_their_sizes(shape_dnn: Run) -> None:
    ran = shape_dnn(
        "space", "--arch", "wrn", "--dataset", "cifar10", "--depth", "10:60:6", "--width", "1:6:1", "--format", "json"
    )
    assert ran.status == 0
    assert len(ran.json) == 45
    assert all(set(row) == {"depth", "width", "size"} for row in ran.json)
    by_shape = {(row["depth"], row["width"]): row["size"] for row in ran.json}
    assert by_shape[(10, 1.0)] == pytest.approx(0.313896, abs=0.01)
    limited = shape_dnn(
        "space",
        "--dataset",
        "cifar10",
        "--depth",
        "10:60:6",
        "--width",
        "1:6:1",
        "--max-size",
        "2MB",
        "--format",
        "json",
    )
    assert limited.json == [row for row in ran.json if row["size"] <= 2]


def test_a_limit_that_is_not_on_size_is_named_where_it_stands(shape_dnn: Run) -> None:
    Path("search.yaml").write_text("goal: size\nmax_latency: 4ms\n")
    problem = "latency <= 4 ms is not a limit on size; use tune or measure"
    assert f"search.yaml:2:14: {problem}" in shape_dnn("space", "--config", "search.yaml").error
    Path("search.yaml").write_text("max: {latency: 4ms}\n")
    assert f"search.yaml:1:6: {problem}" in shape_dnn("space", "--config", "search.yaml").error


def test_space_in_csv_and_as_a_table(shape_dnn: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(shape_dnn("space", "--format", "csv").out)))
    assert len(rows) == 28
    assert float(rows[0]["width"]) == 0.25
    assert "1/4" in shape_dnn("space").out


def test_without_a_goal_it_is_said_how_surely_each_shape_complies(shape_dnn: Run, table: Path) -> None:
    ran = shape_dnn("--replay", table, "--min-accuracy", "92%", "--format", "json")
    listed = ran.json["shapes"]
    probabilities = [row["probability"] for row in listed]
    assert 0 < sum(probability < 1 for probability in probabilities) < len(listed)
    assert all((row["accuracy"] is None) or row["probability"] == 1 for row in listed)
    ran = shape_dnn("--replay", table, "--min-accuracy", "92%")
    sure = sum(row["probability"] >= 0.95 and row["accuracy"] is None for row in listed)
    likely = sum(probability < 0.95 for probability in probabilities)
    trained = len(listed) - sure - likely
    counts = ", ".join(f"{n} {name}" for n, name in ((trained, "trained"), (sure, "surely"), (likely, "likely")) if n)
    assert f"{len(listed)} of 45 shapes comply" + (f": {counts}" if likely else "") in ran.out
    assert "the least certain shape is on the other side of the limit with a probability of" in ran.out


def test_the_json_of_a_search_has_the_form_of_the_contract(shape_dnn: Run, table: Path) -> None:
    ran = shape_dnn("--replay", table, "--max-size", "2", "--goal", "size", "--min-accuracy", "90%", "--format", "json")
    assert ran.status == 0
    answer = ran.json
    assert set(answer["space"]) == {"arch", "shapes"}
    assert answer["stages"][0] == {
        "metric": "size",
        "limit": "<= 2",
        "before": 45,
        "after": answer["stages"][1]["before"],
    }
    assert answer["stages"][1]["limit"] == ">= 90"
    assert all({"depth", "width", "accuracy"} == set(row) for row in answer["trained"])
    columns = {"depth", "width", "size", "latency", "energy", "accuracy", "predicted_accuracy", "predicted_std"}
    assert all({*columns, "score", "probability"} == set(row) for row in answer["shapes"])
    assert all(0.5 <= row["probability"] <= 1 for row in answer["shapes"])
    assert all(row["score"] == row["size"] for row in answer["shapes"])
    assert all(row["energy"] is None for row in answer["shapes"]), "what nobody measured is null"
    assert answer["verified"] is True
    assert answer["best"]["test_accuracy"] is None
    cost = answer["cost"]
    assert cost["candidates"] == answer["stages"][0]["after"]
    assert cost["trained"] == len(answer["trained"])
    assert cost["speedup"] == cost["candidates"] / cost["trained"]
    assert cost["percent_of_space"] == pytest.approx(100 * cost["trained"] / 45)
    assert set(answer["certificate"]) == {"confidence", "doubt", "tolerance"}
    assert {"kind": "sampler", "name": "active", "distribution": "shape-dnn", "version": __version__} in answer[
        "plugins"
    ]


def test_without_a_goal_there_is_no_best(shape_dnn: Run, table: Path) -> None:
    answer = shape_dnn("--replay", table, "--format", "json").json
    assert (answer["best"], answer["verified"]) == (None, False)
    assert "recipe" not in answer, "a table trains nothing"
    assert not any("score" in row for row in answer["shapes"])


def test_the_score_by_the_goal_is_shown(shape_dnn: Run, table: Path) -> None:
    arguments = ["--replay", table, "--max-size", "1", "--goal", "latency + size*10"]
    answer = shape_dnn(*arguments, "--format", "json").json
    for row in (*answer["shapes"], answer["best"]):
        assert row["score"] == pytest.approx(row["latency"] + 10 * row["size"])
    assert answer["best"]["score"] == min(row["score"] for row in answer["shapes"])
    rows = list(csv.DictReader(io.StringIO(shape_dnn(*arguments, "--format", "csv").out)))
    assert [float(row["score"]) for row in rows] == [row["score"] for row in answer["shapes"]]
    header = next(line for line in shape_dnn(*arguments).out.splitlines() if "depth" in line and "latency" in line)
    assert header.split()[-1] == "score"


@pytest.mark.parametrize("goal", ["size", "accuracy"])
def test_a_table_does_not_repeat_a_metric_as_a_score(shape_dnn: Run, table: Path, goal: str) -> None:
    assert "score" not in shape_dnn("--replay", table, "--max-size", "1", "--goal", goal).out


def test_a_score_that_cannot_be_computed_is_null(shape_dnn: Run) -> None:
    Path("gap.csv").write_text("depth,width,accuracy,size,latency\n10,1,90,1,\n16,1,91,2,5\n22,1,92,3,6\n")
    answer = shape_dnn("--replay", "gap.csv", "--goal", "latency/size", "--format", "json").json
    assert [row["score"] for row in answer["shapes"]] == [None, 2.5, 2.0]


def test_a_search_in_csv_and_as_a_table(shape_dnn: Run, table: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(shape_dnn("--replay", table, "--max-size", "1", "--format", "csv").out)))
    assert rows
    assert all(float(row["size"]) <= 1 for row in rows)
    ran = shape_dnn("--replay", table, "--max-size", "1", "--goal", "accuracy")
    assert "size <= 1 MB: 45 -> " in ran.out
    assert "best: depth" in ran.out


def test_nothing_complies(shape_dnn: Run, table: Path) -> None:
    ran = shape_dnn("--replay", table, "--max-size", "0.01", "--format", "json")
    assert ran.status == 3
    assert ran.json["shapes"] == []
    assert "size <= 0.01 MB dropped the last 45 shapes" in ran.error
    ran = shape_dnn("--replay", table, "--min-accuracy", "99.9")
    assert ran.status == 3
    assert "accuracy >= 99.9 %" in ran.error


def test_a_dry_run_says_what_would_be_trained_and_leaves_no_trace(shape_dnn: Run) -> None:
    ran = shape_dnn("--dry-run", "--max-size", "1MB", "--device", "cpu", "--format", "json")
    assert ran.status == 0
    answer = ran.json
    assert answer["trained"]
    assert all(row["accuracy"] is None for row in answer["trained"])
    assert answer["cost"]["trained"] == len(answer["trained"])
    assert not list(Path().iterdir())
    assert answer["recipe"]["crop"] == {"value": 1, "from": "dataset 'digits'"}
    text = shape_dnn("--dry-run", "--max-size", "1MB", "--device", "cpu").out
    assert "recipe of dataset 'digits': epochs 12, batch_size 32, lr 0.2, schedule one-cycle" in text
    assert f"would train {len(answer['trained'])} of" in text
    assert "(10, 1/4)" in text


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (["--max-size", "2ms"], 2, "--max-size: '2ms' is not a limit on size; .* MB"),
        (["--max-size", "nan"], 2, "--max-size"),
        (["--min-accuracy", "120%"], 2, "--min-accuracy: '120%' is not a possible accuracy, .* 0 to 100 %"),
        (["--depth", "60:10:6"], 2, "--depth: 60:10:6: the range holds nothing"),
        (["--depth", "11:30:6"], 2, r"--depth: .*6N\+4 with N from 1, the nearest are 10 and 16"),
        (["--depth", "10"], 2, "--depth: '10' is not a range; write MIN:MAX:STEP"),
        (["--width", "0:1:1/4"], 2, "--width: 0:1:1/4 contains 0"),
        (["--arch", "wnr"], 2, r"--arch: no architecture is called 'wnr' \(did you mean wrn\?\)"),
        (["--dataset", "imagenet"], 2, "--dataset: no dataset is called 'imagenet'.*imagenet32"),
        (["--sampler", "x"], 2, "--sampler: no sampler is called 'x'; known are: active, cheap-d-optimal, d-optimal, interval"),
        (["--strategy", "x"], 2, "--strategy"),
        (["--model", "x"], 2, "--model"),
        (["--goal", "x"], 2, "--goal"),
        (["--executor", "x"], 2, "--executor"),
        (["--terminator", "x"], 2, "--terminator"),
        (["--observer", "x"], 2, "--observer"),
        (["--train", "0"], 2, "--train: '0' is neither a number"),
        (["--epochs", "0"], 2, "--epochs: '0' is not accepted"),
        (["--batch-size", "0"], 2, "--batch-size"),
        (["--lr", "-1"], 2, "--lr"),
        (["--seed", "x"], 2, "--seed"),
        (["--workers", "0"], 2, "--workers"),
        (["--protocol", "x"], 2, "--protocol: 'x' is not accepted: it should be 'validation' or 'paper'"),
        (["--device", "cuda:99"], 2, "--device: 'cuda:99' is not there; here are: cpu"),
        (["--device", "abacus"], 2, "--device: 'abacus' is not a device"),
        (["-o", "stem=16"], 2, "-o: 'stem=16' is not of the form KIND.OPTION=VALUE"),
        (["-o", "arc.stem=16"], 2, "-o: 'arc.stem=16': 'arc' is not a kind"),
        (["-o", "arch.steam=16"], 2, "-o: arch.steam is not an option"),
        (["-o", "recipe.speed=16"], 2, "-o: recipe.speed is not part of a recipe"),
        (["-o", "recipe.momentum=1"], 2, "-o: recipe.momentum=1: accepted are numbers from 0 to 0.9999"),
        (["-o", "recipe.schedule=flat"], 2, "-o: recipe.schedule=flat: accepted are steps, one-cycle, cosine"),
        (["-o", "recipe.optimizer=adam"], 2, "-o: recipe.optimizer=adam: accepted are sgd, adamw"),
        (["-o", "recipe.mixup=-1"], 2, "-o: recipe.mixup=-1: accepted are numbers from 0 to 100"),
        (["-o", "recipe.randaugment=31"], 2, "-o: recipe.randaugment=31: accepted are whole numbers from 0 to 30"),
        (["-o", "recipe.erasing=2"], 2, "-o: recipe.erasing=2: accepted are numbers from 0 to 1"),
        (["-o", "recipe.beta2=0.9"], 2, "-o: recipe.beta2=0.9: it counts with optimizer adamw, and recipe.optimizer is sgd"),
        (["-o", "recipe.gamma=0.1"], 2, "-o: recipe.gamma=0.1: it counts with schedule steps, and recipe.schedule is one-cy"),
        (["-o", "recipe.warmup=0.1", "--recipe", "paper"], 2, "-o: recipe.warmup=0.1: it counts with schedule one-cycle or cosine, and"),
        (["-o", "recipe.epochs=0"], 2, r"-o: recipe.epochs=0: accepted are whole numbers from 1 to 1e\+06"),
        (["-o", "recipe.crop=1.5"], 2, "-o: recipe.crop=1.5: expected a whole number"),
        (["-o", "recipe.flip=maybe"], 2, "-o: recipe.flip=maybe: expected true or false"),
        (["-o", "recipe.precision=fp16"], 2, "-o: recipe.precision=fp16: accepted are auto, float32, bfloat16"),
        (["--epochs", "2000000"], 2, r"--epochs: 2000000 is not accepted: .* whole numbers from 1 to 1e\+06"),
        (["-o", "meter.thread=1"], 2, "-o: meter.thread is not an option of any meter; accepted: .*meter.threads"),
        (["--max", "size"], 2, "--max: 'size' is not of the form METRIC=VALUE"),
        (["--max", "weight=2"], 2, "--max: there is no metric 'weight'; known are accuracy, energy, file-size, graph-latency, latency, memory, size; a meter called otherwise than its metric is chosen by --meter weight=NAME"),
        (["--max-size", "2", "--min", "size=3"], 2, "--min: .* contradict"),
        (["--max-size", "2", "--max", "size=3"], 2, "--max: .* twice"),
        (["--meter", "latency"], 2, "--meter: 'latency' is not of the form"),
        (["--data-dir", "."], 2, "--data-dir: dataset 'digits' reads no files"),
        (["--plugin", "none.py"], 2, "--plugin: cannot read 'none.py'"),
        (["--study", "/proc/nothing"], 2, "--study: cannot write"),
        (["--replay", "none.csv"], 2, "--replay: there is no file 'none.csv', and no table is called 'none.csv'; known are: "),
        (["--replay", "/"], 2, "--replay: there is no file '/', and no table"),
        (["--replay", f"/{'x' * 300}"], 2, "--replay: (cannot read|there is no file) '/x+'"),
        (["--replay", "none.csv", "-o", "replay.x=1"], 2, "--replay: there is no file"),
        (["-o", "replay.x=1"], 2, "-o: replay.x is given without --replay"),
        (["--depth", "10:1000000000000:6"], 2, "--depth: .* holds more than 10,000,000 values"),
        (["--depth", "10:1e999999999:6"], 2, "--depth: .* is not a range"),
        (["--width", "1/4:100:1/1000000"], 2, "--width: .* holds more than 10,000,000 values"),
        (["--depth", "10:60016:6", "--width", "1:1001:1"], 2, "--depth: the space has 10,001,000 shapes"),
        (["--max-size", "٣"], 2, "--max-size"),
        (["-o", "meter.seconds=inf"], 2, "-o: meter.seconds=inf: expected a number"),
        (["-o", "meter.interval=1", "--max", "energy=1"], 2, "-o: meter.interval=1: accepted are numbers from 0.01 to "),
        (["-o", "meter.threads=0"], 2, "-o: meter.threads=0: accepted are numbers from 1"),
        (["-o", "executor.threads=0"], 2, "-o: executor.threads=0: accepted are numbers from 1"),
        (["-o", "dataset.limit=-5"], 2, "-o: dataset.limit=-5: accepted are numbers from 0"),
        (["-o", "arch.stem=16", "-o", "arch.stem=scaled"], 2, "-o: arch.stem is given twice"),
        (["-o", "recipe.epochs=3", "--epochs", "5"], 2, "-o: recipe.epochs contradicts --epochs"),
        (["-o", "recipe.milestones=5,-3"], 2, "-o: recipe.milestones=5,-3: accepted are fractions"),
        (["-o", "goal.x=1"], 2, "-o: goal.x is given without --goal"),
        (["--train", "5", "--strategy", "x"], 2, "--strategy: no strategy is called 'x'"),
        (["--dry-run", "--executor", "x"], 2, "--executor: no executor is called 'x'"),
        (["--dry-run", "--dataset", "cifar10"], 4, "give --data-dir DIR"),
        (["--study", ""], 2, "--study: '' is not accepted: it should be text"),
        (["--meter", "x"], 2, "--meter: 'x' is not of the form METRIC=NAME"),
        (["measure", "--metrics", ","], 2, "--metrics: name at least one metric"),
        (["--dataset", "mnist", "--data-dir", "/proc/x", "-o", "dataset.download=true"], 4, "could not be downloaded"),
        (["space", "--max-size", "0"], 3, "nothing complies"),
        (["--max-sise", "2"], 2, r"--max-sise: there is no such option; did you mean --max-size or --max .*=VALUE\?; 'shape-dnn tune --help'"),
        (["--min-perplexity", "2"], 2, r"--min-perplexity: there is no such option; did you mean .*--min perplexity=VALUE\?"),
        (["space", "--goal", "size"], 2, "--goal: 'shape-dnn space' has no such option, but 'shape-dnn tune' has"),
        (["--min-size", "2"], 2, "--min-size: there is no such option here; write --min size=VALUE"),
        (["--max-accuracy", "90"], 2, "--max-accuracy: there is no such option here; write --max accuracy=VALUE"),
        (["--max-memory", "9"], 2, "--max-memory: there is no such option here; write --max memory=VALUE"),
        (["measure", "--min-size", "2"], 2, "limits are for tune: write --min size=VALUE"),
        (["space", "--max-latency", "2ms"], 2, "--max-latency: 'shape-dnn space' has no such option, but 'shape-dnn tune'"),
        (["--max-size"], 2, "--max-size: a value is missing; write --max-size LIMIT"),
        (["--format", "xml"], 2, "--format: 'xml' is not accepted: it should be 'table' or 'json' or 'csv'"),
        (["ask"], 2, "STUDY is missing; 'shape-dnn ask --help' shows an example"),
        (["record"], 2, "FILE.csv is missing; 'shape-dnn record --help'"),
        (["simulate", "t.csv", "--seeds", "0"], 2, "--seeds: '0' is not accepted: it should be a whole number from 1"),
        (["bench", "t.csv", "--seed", "-1"], 2, "--seed: '-1' is not accepted: it should be a whole number from 0"),
        (["bench", "t.csv", "--ask", "what"], 2, "--ask: 'what' is not accepted: it should be 'best' or 'sets'"),
        (["new-plugin", "x"], 2, "--kind is missing; accepted are accuracy_model, architecture"),
        (["measure", "--metrics", "banana"], 2, "--metrics: no meter is called 'banana'; known are: energy"),
        (["studies", "merge", "nowhere", "into"], 2, "error: there is no study in 'nowhere' .*'shape-dnn studies' lists"),
        (["--goal", ""], 2, "--goal: '' is not accepted: it should be text that is not empty"),
        (["--goal", "size:1"], 2, "--goal: 'size:1' has a step, but no goal follows; write for example accuracy:0.5,size"),
        (["--device", "gpu"], 2, "--device: 'gpu' is not a device; write cpu, cuda or cuda:N; here are: cpu"),
        (["--max-size", "0.001MB"], 3, r"size <= 0.001 MB dropped the last 28 shapes; the closest is \(10, 1/4\) with a size of 0.\d+ MB"),
        (["--bananas"], 2, "--bananas: there is no such option; 'shape-dnn tune --help'"),
        (["tuna"], 2, "there is no command 'tuna'; did you mean tune\\?"),
        (["--dataset", "cifar10"], 4, "dataset 'cifar10' is read from files; give --data-dir DIR"),
        (["--dataset", "mnist", "--data-dir", "nowhere"], 4, "'nowhere' is not a directory"),
        (["--max-energy", "3J"], 4, "energy is measured on NVIDIA GPUs, and the device is cpu"),
        (["--goal", "energy"], 4, "energy is measured on NVIDIA GPUs, and the device is cpu"),
        (["ask", "nowhere"], 2, "STUDY: there is no study in 'nowhere'"),
        (["simulate", "nowhere.csv"], 2, "TABLE: there is no file 'nowhere.csv', and no table is called 'nowhere.csv'"),
        (["measure", "--metrics", "accuracy"], 2, "accuracy is not measured but trained"),
        (["measure", "--metrics", "energy"], 4, "shape-dnn-zeus: pip install"),
        (["plugins", "--kind", "fruit"], 2, "'fruit' is not a kind"),
        (["studies", "nowhere"], 2, "'nowhere' is not a directory"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_line(shape_dnn: Run, arguments: list[str], status: int, complaint: str) -> None:
    import re

    ran = shape_dnn(*arguments)
    assert ran.status == status, ran.err
    assert re.search(complaint, ran.error), ran.error
    assert ran.out == "" or status == 3


def test_debug_shows_the_traceback(shape_dnn: Run) -> None:
    ran = shape_dnn("--replay", "none.csv", "--debug")
    assert ran.status == 2
    assert "Traceback" in ran.err


def test_plugins_lists_what_is_there_and_what_failed(shape_dnn: Run, install: Callable[..., Path]) -> None:
    install("acme-broken", "0.3", {"broken": "acme_broken"}, {"acme_broken": "1 / 0"})
    ran = shape_dnn("plugins", "--format", "json")
    assert ran.status == 0
    columns = {"name", "kind", "distribution", "version", "state", "reason"}
    assert all(set(row) == columns for row in ran.json)
    assert {
        "name": "wrn",
        "kind": "architecture",
        "distribution": "shape-dnn",
        "version": __version__,
        "state": "ok",
        "reason": "",
    } in ran.json
    (broken,) = [row for row in ran.json if row["distribution"] == "acme-broken"]
    assert (broken["state"], broken["kind"]) == ("failed", None)
    assert "ZeroDivisionError" in broken["reason"]
    assert "ZeroDivisionError" in shape_dnn("plugins").out


def test_a_broken_plugin_breaks_no_command_that_does_not_use_it(
    shape_dnn: Run, install: Callable[..., Path], table: Path
) -> None:
    install("acme-broken", "0.3", {"broken": "acme_broken"}, {"acme_broken": "import sys; sys.exit('bye')"})
    assert shape_dnn("--replay", table).status == 0
    assert shape_dnn("space").status == 0
    ran = shape_dnn("--replay", table, "--sampler", "broken-one")
    assert ran.status == 4
    assert "acme-broken 0.3, which failed to load: SystemExit: bye" in ran.error


def test_simulate_prints_a_row_for_each_combination(shape_dnn: Run, table: Path) -> None:
    ran = shape_dnn(
        "simulate",
        table,
        "--sampler",
        "interval",
        "--model",
        "paper",
        "--model",
        "ridge",
        "--seeds",
        "2",
        "--format",
        "json",
    )
    assert [row["model"] for row in ran.json] == ["paper", "ridge"]
    assert shape_dnn("simulate", table, "--seeds", "1").status == 0


def test_text_of_strangers_stays_text(shape_dnn: Run, install: Callable[..., Path]) -> None:
    hostile = "[bold red]</script><img onerror=alert(1)>"
    install("acme-broken", "0.3", {"broken": "acme_broken"}, {"acme_broken": f"raise ValueError({hostile!r})"})
    assert "[bold red]" in shape_dnn("plugins").out
    ran = shape_dnn("plugins", "--format", "json")
    assert hostile in json.loads(ran.out)[0]["reason"] or any(hostile in row["reason"] for row in ran.json)
    steering = "\x1b[2J\x07 title"
    Path(steering).mkdir()
    Path(steering, "study.sqlite").touch()
    for ran in (shape_dnn("studies"), shape_dnn("ask", steering), shape_dnn("--plugin", f"{steering}.py")):
        assert "\\x1b[2J\\x07 title" in ran.out + ran.err
        assert "\x1b" not in ran.out + ran.err
    assert shape_dnn("studies", "--format", "json").json[0]["path"] == steering, "programs get it as it is"


def test_what_plugins_print_does_not_end_up_in_the_result(table: Path) -> None:
    Path("loud.py").write_text(
        "print('at import')\n"
        "from shape_dnn import Plugin, Strategy, hookimpl\n"
        "class Loud(Strategy):\n"
        "    def count(self, candidates):\n"
        "        import os\n"
        "        print('in use')\n"
        "        os.system('echo from a child process')\n"
        "        return 3\n"
        "@hookimpl\n"
        "def shape_dnn_strategies():\n"
        "    yield Plugin('loud', 'prints', Loud)\n"
    )
    arguments = ["--plugin", "loud.py", "--strategy", "loud", "--replay", str(table), "--format", "json"]
    command = [sys.executable, "-m", "shape_dnn", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(json.loads(ran.stdout)["trained"]) == 3
    for text in ("at import", "in use", "from a child process"):
        assert text in ran.stderr


@pytest.mark.parametrize("gone", ["stdout", "stderr"])
def test_a_reader_that_has_seen_enough_is_no_error(table: Path, gone: str) -> None:
    command = [sys.executable, "-m", "shape_dnn", "--replay", str(table), "--max-size", "2", "--goal", "size"]
    reading, writing = os.pipe()
    os.close(reading)  # as `head` does
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, gone: writing}
    ran = subprocess.run(command, text=True, check=False, **streams)
    os.close(writing)
    assert ran.returncode == 0
    if gone == "stdout":
        assert "error" not in ran.stderr
    else:
        assert "best: depth" in ran.stdout, "the search goes on without a reader of its progress"


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_closed_streams_cost_no_result(table: Path, closed: str) -> None:
    """As some schedulers of jobs start programs: what is opened next would have the number of a closed stream."""
    command = [sys.executable, "-m", "shape_dnn", "--replay", str(table), "--goal", "size", "--report", "found.html"]
    ran = subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", *command], capture_output=True, text=True)  # noqa: PLW1510
    assert ran.returncode == 0, ran.stderr
    assert Path("found.html").read_text().lstrip().lower().startswith("<!doctype html>")
    assert "1" in closed or "best: depth" in ran.stdout


BROKEN = {
    "strategy": ("Strategy", "count(self, candidates)", "strategies"),
    "sampler": ("Sampler", "choose(self, shapes, observed, budget)", "samplers"),
    "goal": ("Goal", "score(self, values)", "goals"),
    "model": ("AccuracyModel", "predict(self, shapes)", "accuracy_models"),
}
FLAT, DRAW = "return [Prediction(90.0)] * len(shapes)", "def draw(self, shapes, number, seed)"


@pytest.mark.parametrize(
    ("flag", "body", "complaint"),
    [
        ("strategy", "raise RuntimeError('oh no')", "broken. of broken.py failed: RuntimeError: oh no"),
        ("strategy", "return 2.5", "asks for 2.5 trainings of 45 shapes; accepted are whole numbers from 1 to 45"),
        ("strategy", "return 0", "asks for 0 trainings"),
        ("sampler", "raise RuntimeError('oh no')", "broken. of broken.py failed: RuntimeError: oh no"),
        ("sampler", "return None", "chose none of 45 shapes"),
        ("sampler", "return 5", "broken. of broken.py failed: TypeError"),
        ("sampler", "return [[]] ", " chose "),
        ("sampler", "raise SystemExit(0)", "broken. of broken.py failed: SystemExit: 0"),
        ("sampler", "yield from itertools.cycle(shapes)", "chose .* twice"),
        ("sampler", "shapes.clear(); return []", "has no attribute 'clear'"),
        ("goal", "return float('nan')", "the score of .* is nan, not a number"),
        ("goal", "return None", "broken. of broken.py failed: TypeError"),
        ("goal", "return '0.5'", "the score of .* is '0.5', not a number"),
        ("goal", "raise SystemExit(0)", "broken. of broken.py failed: SystemExit: 0"),
        ("goal", "return 0.5\n    metrics = ()", "has metrics \\(\\), not a tuple of different names"),
        ("goal", "return 0.5\n    stepped = 5", "has stepped 5; accepted are some of its metrics"),
        ("goal", "return 0.5\n    stepped = 'accuracy'", "has stepped 'accuracy'; accepted are some of its metrics"),
        ("goal", "return 0.5\n    stepped = ('size',)", "has stepped .'size',.; accepted are some of its metrics"),
        ("goal", "return values['heat']", "KeyError: 'heat'"),
        ("model", "return []", "made 0 predictions for 45 shapes"),
        ("model", "return [50.0] * len(shapes)", "predict returned float objects instead of shape_dnn.Prediction"),
        ("model", "return [Prediction(float('inf'))] * len(shapes)", "it predicted Prediction"),
        ("model", "return [Prediction(90.0, -1.0)] * len(shapes)", "it predicted Prediction"),
        ("model", "while True: yield Prediction(90.0)", "made more than 45 predictions for 45 shapes"),
        (
            "model",
            "return [Prediction(90.0)] * len(shapes)\n    initial = 2.5",
            "begin with 2.5 trainings; accepted are whole",
        ),
        ("model", f"{FLAT}\n    {DRAW}: return [[90.0]] * number", r"returned draws of shape \(512, 1\) instead of"),
        (
            "model",
            f"{FLAT}\n    {DRAW}: return [[1e999] * 45] * number",
            "returned draws with values that are not finite",
        ),
        ("model", "shapes.clear(); return []", "has no attribute 'clear'"),
    ],
)
def test_a_plugin_that_misbehaves_is_named(shape_dnn: Run, table: Path, flag: str, body: str, complaint: str) -> None:
    import re

    base, signature, hook = BROKEN[flag]
    fit = "    def fit(self, shapes, accuracies): pass\n" if flag == "model" else ""
    Path("broken.py").write_text(
        f"import itertools\nfrom shape_dnn import Plugin, Prediction, {base}, hookimpl\n"
        f"class Broken({base}):\n    metrics = ('accuracy',)\n{fit}    def {signature}:\n        {body}\n"
        f"@hookimpl\ndef shape_dnn_{hook}():\n    yield Plugin('broken', 'is', Broken)\n"
    )
    ran = shape_dnn("--plugin", "broken.py", f"--{flag}", "broken", "--replay", table)
    assert ran.status == 4, ran.err
    assert re.search(complaint, ran.error), ran.error
    assert ran.out == ""


METER = """
from shape_dnn import Formula, Instrument, Measurement, Plugin, hookimpl

class Odd(BASE):
    metric, unit, cost = "METRIC", "u", 0.5
    def identity(self, workload): return {}
    def compute(self, workload, shapes): BODY
    def measure(self, workload, shapes): BODY

@hookimpl
def shape_dnn_meters():
    yield Plugin("odd", "is", Odd)
"""


@pytest.mark.parametrize(
    ("base", "metric", "body", "complaint"),
    [
        (
            "Formula",
            "odd",
            "return [float('nan') for s in shapes]",
            r"meter 'odd' of odd\.py returned nan for shape \(10",
        ),
        ("Formula", "odd", "return [-1.0 for s in shapes]", "returned -1.0 for shape"),
        ("Formula", "odd", "return [1.0]", "returned 1 values for 2 shapes"),
        ("Formula", "depth", "return [1.0 for s in shapes]", "a metric called 'depth', a word that is taken"),
        (
            "Instrument",
            "odd",
            "yield from ((s._replace(depth=99), Measurement(1.0)) for s in shapes)",
            "it was not asked for",
        ),
        (
            "Instrument",
            "odd",
            "yield from ((s, Measurement(1.0)) for s in [*shapes, *shapes])",
            r"measured shape \(\d+, 1/4\) twice",
        ),
        ("Instrument", "odd", "yield shapes[0], Measurement(1.0)", r"did not measure shape \(16"),
        (
            "Instrument",
            "odd",
            "yield from ((s, Measurement(float('nan'))) for s in shapes)",
            "nan, which is not a number",
        ),
        ("Instrument", "odd", "yield from ((s, Measurement(None)) for s in shapes)", "no value, and the status ok"),
        (
            "Instrument",
            "odd",
            "raise ValueError('no sensor'); yield",
            "measuring odd by odd of odd.py failed: ValueError: no sensor",
        ),
    ],
)
def test_a_meter_that_misbehaves_is_named_and_nothing_is_recorded(
    shape_dnn: Run, base: str, metric: str, body: str, complaint: str
) -> None:
    import re

    Path("odd.py").write_text(METER.replace("BASE", base).replace("METRIC", metric).replace("BODY", body))
    arguments = [
        "--metrics",
        metric,
        "--meter",
        f"{metric}=odd",
        "--plugin",
        "odd.py",
        "--depth",
        "10:17:6",
        "--width",
        "1/4:1/2:1/4",
    ]
    ran = shape_dnn("measure", *arguments, "--device", "cpu")
    assert ran.status == 4, ran.err
    assert re.search(complaint, ran.error), ran.error
    assert all(row["measured"] <= 2 for row in shape_dnn("studies", "--format", "json").json)


def test_images_that_are_not_what_their_dataset_says_are_refused(shape_dnn: Run) -> None:
    code = example("shape_dnn_datasets")
    for wrong, complaint in (
        (code.replace("input_shape = (1, 8, 8)", "input_shape = (3, 8, 8)"), "its train images are uint8"),
        (code.replace("classes = 2", "classes = 1"), "labels run from 0 to 1, with 1 classes"),
        (code.replace("LabelledImages(images, labels)", "LabelledImages(images, labels[1:])"), "200 train images"),
    ):
        Path("wrong.py").write_text(wrong)
        ran = shape_dnn("--plugin", "wrong.py", "--dataset", "stripes", "--device", "cpu")
        assert ran.status == 4
        assert "dataset 'stripes' of wrong.py" in ran.error
        assert complaint in ran.error


@pytest.mark.parametrize("width", range(40, 180, 7))
def test_every_word_and_number_of_a_table_is_printed_whole(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = ["depth", "width", "size [MB]", "latency [ms]", "file-size [MB]", "latency@board [ms]", "predicted [mIoU]",
               "+/-", "trained [mIoU]", "in float32 [mIoU]", "complies"]  # fmt: skip
    row = [
        "1",
        "1/4",
        "0.000902",
        "0.2172",
        "0.01053",
        "0.2172",
        "0.7961",
        "0.0068",
        "0.8003",
        "0.8004",
        "likely, 50.1 %",
    ]
    printed = io.StringIO()
    monkeypatch.setattr(output, "console", lambda: Console(file=printed, width=width, highlight=False))
    output.print_table([row], columns)
    words = printed.getvalue().split()
    assert all(len(line) <= width for line in printed.getvalue().splitlines())
    assert {word for cell in (*columns, *row) for word in cell.split()} <= {word.rstrip(";") for word in words}


@pytest.mark.parametrize("longest", range(10, 60, 7))
def test_a_table_is_set_closer_before_anything_of_it_is_cut_off(
    longest: int, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = ["method", *(f"figure {i}" for i in range(9))]
    row = ["m" * longest, *(f"{i}.2345678" for i in range(9))]
    output.print_table([row], columns)
    shown = capsys.readouterr().out
    assert all(len(line) <= 120 for line in shown.splitlines())
    assert [word for word in shown.replace(";", " ").split() if word in row] == row


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_an_answer_is_printed_whatever_the_locale_can_write(table: Path, encoding: str) -> None:
    text = table.read_text().replace("latency", "größe→")
    table.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "shape_dnn", "--replay", str(table), "--sampler", "interval", "--max", "größe→=9"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    ran = subprocess.run(command, capture_output=True, check=False, env=environment)
    out = ran.stdout.decode(encoding)
    assert ran.returncode == 0, ran.stderr
    assert "without --goal (size, latency, energy, accuracy, " in out
    assert r"\u2192 <= 9" in out, "a letter that there is not is written as Python writes it"
