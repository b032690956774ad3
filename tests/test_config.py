"""Where settings come from, and what is said of those that cannot be used."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from shape_dnn import UsageError, tune
from shape_dnn.cli.config import gather
from shape_dnn.settings import SETTINGS, Settings, flag_of

Ran = Callable[..., object]


def write(text: str) -> str:
    Path("conf.yaml").write_text(text)
    return "conf.yaml"


def test_a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() -> None:
    config = write("epochs: 1\nlr: 0.1\nseed: 1\n")
    gathered = gather({"epochs": "3"}, config, {"SHAPE_DNN_EPOCHS": "2", "SHAPE_DNN_LR": "0.2"})
    settings = gathered.settings()
    assert (settings.epochs, settings.lr, settings.seed, settings.batch_size) == (3, 0.2, 1, 1)
    assert gathered.origins == {"epochs": "--epochs", "lr": "SHAPE_DNN_LR", "seed": "conf.yaml:3:7"}


@pytest.mark.parametrize(
    ("file", "variables", "flags", "expected"),
    [
        ("goal: size", {}, {"pareto": "size,accuracy"}, {"goal": None, "pareto": ("size", "accuracy")}),
        ("pareto: [size, accuracy]", {"GOAL": "size"}, {}, {"goal": "size", "pareto": ()}),
        ("option: {recipe.epochs: 2, arch.stem: 8}", {}, {"epochs": "3"}, {"epochs": 3, "option": ("arch.stem=8",)}),
        ("lr: 0.1", {"EPOCHS": "4"}, {"option": ("recipe.lr=0.2",)}, {"lr": None, "epochs": 4}),
        ("epochs: 1", {"OPTION": "trainer.epochs=2"}, {}, {"epochs": None, "option": ("trainer.epochs=2",)}),
        ("max_size: 1MB", {}, {"max": ("size=2MB", "memory=1")}, {"max_size": None, "max": ("size=2MB", "memory=1")}),
        ("max: [size=2MB, memory=1]", {"MAX_SIZE": "1MB"}, {}, {"max_size": "1MB", "max": ("memory=1",)}),
        ("min: accuracy=90", {}, {"min_accuracy": "95"}, {"min_accuracy": "95", "min": ()}),
        ("min_accuracy: 90", {}, {"max": ("accuracy=95",)}, {"min_accuracy": "90", "max": ("accuracy=95",)}),
        ("epochs: 1\noption: [recipe.epochs=2]", {}, {"seed": "1"}, {"epochs": 1, "option": ("recipe.epochs=2",)}),
    ],
)
def test_what_says_the_same_under_another_name_is_replaced_where_it_counts_less(
    file: str, variables: dict[str, str], flags: dict[str, object], expected: dict[str, object]
) -> None:
    environment = {f"SHAPE_DNN_{name}": text for name, text in variables.items()}
    settings = gather(flags, write(file), environment).settings()
    assert {name: getattr(settings, name) for name in expected} == expected


@pytest.mark.parametrize("name", [name for name, declared in SETTINGS.items() if declared.default is False])
def test_what_a_file_switches_on_a_flag_switches_off(shape_dnn: Ran, name: str) -> None:
    config = write(f"{name}: true\n")
    assert f"{name}: true  # {config}" in shape_dnn("--config", config, "--print-config").out
    off = flag_of(f"no_{name}")
    assert f"{name}: false  # {off}" in shape_dnn("--config", config, off, "--print-config").out


def test_print_config_shows_the_outcome_and_can_be_read_again(shape_dnn: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHAPE_DNN_MAX_SIZE", "2MB")
    config = write("depth: 10:30:6\nmax:\n  latency: 4ms\noption: [arch.stem=16]\nreplay: null\n")
    ran = shape_dnn("--config", config, "--goal", "size", "--print-config")
    assert ran.status == 0
    assert "max_size: 2MB  # SHAPE_DNN_MAX_SIZE" in ran.out
    assert "goal: size  # --goal" in ran.out
    assert "depth: '10:30:6'  # conf.yaml:1:8" in ran.out
    assert "sampler: active  # default" in ran.out
    monkeypatch.delenv("SHAPE_DNN_MAX_SIZE")
    again = gather({}, write(ran.out), {}).settings()
    assert again.max == ("latency=4ms",)
    assert again.option == ("arch.stem=16",)
    assert yaml.safe_load(ran.out)["replay"] is None


def test_print_config_of_a_trainer_of_ones_own_can_be_read_again(shape_dnn: Ran) -> None:
    Path("mine.py").write_text("def train(shape, run):\n    return 50.0\n")
    flags = ("--trainer", "mine.py", "--depth", "2:9:2", "--width", "1:5:1", "--goal", "accuracy")
    ran = shape_dnn(*flags, "--print-config")
    assert ran.status == 0
    again = shape_dnn("--config", write(ran.out), "--dry-run", "--format", "json")
    assert (again.status, again.err) == (0, "")
    assert again.json == shape_dnn(*flags, "--dry-run", "--format", "json").json


def test_print_config_of_a_replay_with_a_prior_of_another_architecture_can_be_read_again(
    shape_dnn: Ran, table: Path
) -> None:
    ran = shape_dnn("--replay", table, "--goal", "accuracy", "--print-config")
    assert not {"arch", "trainer"} & gather({}, write(ran.out), {}).settings().given


def test_what_looks_like_a_number_to_the_base_60_is_a_range() -> None:
    assert gather({}, write("depth: 10:30:6\n"), {}).settings().depth == "10:30:6"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("epochs: 3\nepochs: 4\n", r"conf\.yaml:2:1: 'epochs' was set before, at conf\.yaml:1:9"),
        ("detph: 10:30:6\n", r"conf\.yaml:1:1: there is no setting 'detph'; did you mean depth\?"),
        ("arch: wrn\n  dataset: digits\n", r"conf\.yaml:2:10: not valid YAML"),
        ("- arch\n", r"conf\.yaml:1:1: expected settings"),
        ("arch: [a, [b]]\n", r"conf\.yaml:1:7: expected a value"),
        ("max:\n  size: 1\n  size: 2\n", r"conf\.yaml:3:3: 'size' was set before"),
        ("epochs: many\n", r"conf\.yaml:1:9: 'many' is not accepted: it should be a whole number from 1"),
        ("epochs: 0\n", r"conf\.yaml:1:9: '0' is not accepted: it should be a whole number from 1"),
        ("arch: [wrn]\n", r"conf\.yaml:1:7: .*it should be text"),
        ("seed: !!python/object/apply:os.system ['touch exploded']\n", "tag .*python/object.* is not accepted"),
        ("&a [*a]\n", r"conf\.yaml:1:\d+: "),
        ("\x00", "not valid YAML"),
        ("? [a, b]\n: c\n", r"conf\.yaml:1:3: expected the name of a setting"),
        ('study: "a\\0b"\n', r"conf\.yaml:1:8: .*NUL"),
        ('arch: ""\n', r"conf\.yaml:1:7: '' is not accepted"),
    ],
)
def test_faults_in_the_file_are_named_with_line_and_column(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        gather({}, write(text), {}).settings()
    assert not Path("exploded").exists()


def test_files_that_cannot_be_read_are_named(shape_dnn: Ran) -> None:
    for config in ("nowhere.yaml", "."):
        ran = shape_dnn("--config", config)
        assert ran.status == 2
        assert f"--config: cannot read '{config}'" in ran.error


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("SHAPE_DNN_EPOCHS", "x", "SHAPE_DNN_EPOCHS: 'x' is not accepted"),
        ("SHAPE_DNN_DEPTH", "5", "SHAPE_DNN_DEPTH: '5' is not a range"),
    ],
)
def test_faults_in_the_environment_name_the_variable(
    shape_dnn: Ran, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, complaint: str
) -> None:
    monkeypatch.setenv(variable, value)
    ran = shape_dnn("--dry-run")
    assert ran.status == 2
    assert complaint in ran.error


def test_a_variable_that_names_no_setting_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="SHAPE_DNN_EPOHCS is ignored.*did you mean epochs"):
        gather({}, None, {"SHAPE_DNN_EPOHCS": "3"})


def test_lists_in_the_environment_are_separated_by_commas() -> None:
    gathered = gather({}, None, {"SHAPE_DNN_OPTION": "arch.stem=16, sampler.seed=2"})
    assert gathered.settings().option == ("arch.stem=16", "sampler.seed=2")


def test_a_comma_within_an_option_in_the_environment_does_not_end_it() -> None:
    gathered = gather({}, None, {"SHAPE_DNN_OPTION": "recipe.milestones=0.3,0.6, target.pi.cores=0,2-3 ,arch.stem=16"})
    options = ("recipe.milestones=0.3,0.6", "target.pi.cores=0,2-3", "arch.stem=16")
    assert gathered.settings().option == options
    assert gathered.origins["recipe.milestones"] == gathered.origins["arch.stem"] == "SHAPE_DNN_OPTION"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("max_rmse", "a limit on any metric is max with rmse=VALUE; did you mean max_size?"),
        ("min_psnr_y", "a limit on any metric is min with psnr-y=VALUE; "),
        ("detph", "did you mean depth?"),
    ],
)
def test_python_is_told_which_setting_may_be_meant(name: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=re.escape(complaint)):
        tune(**{name: 3})


def test_python_takes_numbers_ranges_and_mappings() -> None:
    from fractions import Fraction

    from shape_dnn import Range

    settings = Settings.create(
        {"depth": Range.parse("10:30:6"), "max_size": 2, "min": {"accuracy": 95}, "train": Fraction(5)}
    )
    assert (settings.depth, settings.max_size, settings.min, settings.train) == ("10:30:6", "2", ("accuracy=95",), "5")


def test_every_setting_has_a_flag_and_a_description(shape_dnn: Ran) -> None:
    text = shape_dnn("tune", "--help").out
    for name, field in SETTINGS.items():
        assert field.description
        assert f"--{name.replace('_', '-')}" in text


def test_an_option_given_by_a_flag_replaces_that_of_the_file_and_no_other() -> None:
    config = write("option: {arch.stem: 16, dataset.limit: 7}\n")
    settings = gather({"option": ("dataset.limit=5",)}, config, {}).settings()
    assert settings.option == ("arch.stem=16", "dataset.limit=5")


def test_options_given_by_flags_are_read_alike_beside_those_of_a_file_and_alone() -> None:
    """One that is given twice, or without a value, is refused by whoever reads it, and so must not be lost here."""
    flags = {"option": ("recipe.lr=0.1", "recipe.lr=0.2", "dataset.limit")}
    config = write("option: {arch.stem: 16, recipe.lr: 1}\n")
    assert gather(flags, None, {}).settings().option == flags["option"]
    assert gather(flags, config, {}).settings().option == ("arch.stem=16", *flags["option"])


def test_file_and_form_of_the_output_can_be_set_in_the_environment_too(
    shape_dnn: Ran, monkeypatch: pytest.MonkeyPatch, table: Path
) -> None:
    monkeypatch.setenv("SHAPE_DNN_CONFIG", write(f"replay: {table}\n"))
    monkeypatch.setenv("SHAPE_DNN_FORMAT", "json")
    assert shape_dnn().json["space"]["shapes"] == 45
    assert shape_dnn("--format", "csv").out.startswith("depth,width")
