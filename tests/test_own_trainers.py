"""Any network, any training: functions of one's own are searched like everything else, and whatever they do is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from own import BUILD, EXAMPLE, SINE, TRAIN, write

from shape_dnn import PluginError, Shape, TrainingError, UsageError
from shape_dnn.records import Epoch, Training
from shape_dnn.training.functions import Functions
from shape_dnn.training.reading import digest, read
from shape_dnn.training.sources import OwnTrainer
from shape_dnn.training.task import EvaluationTask, TrainingTask

SHAPE = Shape(2, Fraction(3, 2))
FILE = ("--trainer", "my_training.py")


def task(path: Path, attempt: str = "first", **options: Any) -> TrainingTask:
    defaults = {name: option.default for name, option in read(path).options.items()}
    source = OwnTrainer(path, digest(path), "train", {**defaults, **options})
    return TrainingTask(source, SHAPE, 3, Path("weights.safetensors"), Path("checkpoints"), 0.0, attempt)


def go_on(_what: object) -> bool:
    return True


def trained(code: str) -> Training:
    return task(write(code)).run(go_on)


# What a training comes to


@pytest.mark.parametrize(
    ("code", "quality"),
    [
        ("return 0.25", 0.25),
        ("run.report(1, 3.0); run.report(5, 0.5)", 0.5),
        ("run.report(1, 3.0)\n    return torch.tensor([0.75])", 0.75),
        ("import numpy as np\n    run.report(np.int64(1), np.float32(0.5), rate=np.float64(1))", 0.5),
    ],
)
def test_the_quality_is_what_is_returned_or_else_what_was_reported_last(code: str, quality: float) -> None:
    assert trained(f"def train(shape, run):\n    {code}\n").quality == quality


def test_a_training_is_told_where_and_from_which_seed_it_is_made() -> None:
    training = trained(
        "import random\nimport numpy as np\n"
        "def train(shape, run):\n"
        "    assert (shape.depth, str(shape.width)) == (2, '3/2')\n"
        "    assert (run.seed, run.device, run.directory.is_dir(), run.stopped) == (3, 'cpu', True, False)\n"
        "    drawn = random.random(), np.random.rand(), torch.rand(1).item()\n"
        "    random.seed(3); np.random.seed(3); torch.manual_seed(3)\n"
        "    assert drawn == (random.random(), np.random.rand(), torch.rand(1).item())\n"
        "    run.report(2, 1.5, loss=0.5, rate=0.1)\n"
    )
    assert training.curve == (Epoch(2, 0.5, 1.5, {"rate": 0.1}),)


def test_the_weights_are_those_that_were_saved_last_and_the_test_is_given_them() -> None:
    path = write(
        "def train(shape, run):\n"
        "    for value in (1.0, 2.0):\n"
        "        run.save({'weight': torch.full((2,), value)})\n"
        "    return 0.5\n"
        "def test(shape, run):\n    return run.load()['weight'].sum()\n"
    )
    training = task(path)
    assert training.run(go_on).quality == 0.5
    assert EvaluationTask(training.trainer, SHAPE, 3, training.weights).run(go_on) == 4.0


def test_a_trainer_that_changes_the_working_directory_leaves_everything_where_it_belongs() -> None:
    """Libraries for experiments change it. What was saved then lay beside it, and the study had no weights."""
    path = write(
        "import os, tempfile\n"
        "def train(shape, run):\n"
        "    os.chdir(tempfile.mkdtemp(dir='.'))\n"
        "    (run.directory / 'notes.txt').write_text('here')\n"
        "    run.save({'weight': torch.ones(2)})\n"
        "    return 0.5\n"
        "def test(shape, run):\n    os.chdir(tempfile.mkdtemp(dir='.'))\n    return run.load()['weight'].sum()\n"
    )
    training, here = task(path), Path.cwd()
    assert training.run(go_on).quality == 0.5
    os.chdir(here)
    assert training.weights.is_file()
    assert (training.checkpoints / "first" / "files" / "notes.txt").read_text() == "here"
    assert EvaluationTask(training.trainer, SHAPE, 3, training.weights).run(go_on) == 2.0


def test_a_training_that_had_ended_when_it_was_killed_keeps_its_weights() -> None:
    """It finds everything done, and saves nothing any more."""
    path = write(
        "def train(shape, run):\n"
        "    saved = run.load()\n"
        "    if saved is None:\n"
        "        run.report(1, 0.5)\n"
        "        run.save({'weight': torch.ones(2)})\n"
        "        raise RuntimeError('killed')\n"
    )
    with pytest.raises(TrainingError, match="killed"):
        task(path).run(go_on)
    again = task(path, "second")
    assert again.run(go_on).quality == 0.5
    assert again.weights.is_file()


def test_a_training_goes_on_from_what_it_saved_and_so_does_its_curve() -> None:
    reported: list[object] = []

    def until_the_fifth(what: object) -> bool:
        reported.append(what)
        return len(reported) < 5

    path = write(BUILD, SINE)
    stopped = task(path).run(until_the_fifth)
    assert (stopped.quality, len(stopped.curve)) == (None, 5)
    reported.clear()
    went_on = task(path, "second").run(lambda what: not reported.append(what))
    assert [epoch.number for epoch in reported if isinstance(epoch, Epoch)] == list(range(1, 13))
    assert went_on.curve == tuple(reported)
    undisturbed = TrainingTask(task(path).trainer, SHAPE, 3, Path("other.safetensors"), Path("others"), 0.0).run(go_on)
    assert went_on.curve == undisturbed.curve
    assert went_on.quality == undisturbed.quality


# What goes wrong in a training

WRONG = {
    "pass": "train() returned nothing and reported nothing; return the loss or report it",
    "return float('nan')": "train() gave nan, which is no finite number",
    "return 'good'": "train() gave 'good', which is no number",
    "return (1, 2)": "train() gave (1, 2), which is no number",
    "return True": "train() gave True, which is no number",
    "return torch.zeros(2)": "train() gave tensor([0., 0.]), which is no number",
    "return -3": "train() gave -3 as loss; accepted are numbers from 0",
    "run.report(1, float('inf'))": "train(): run.report() at step 1 gave inf, which is no finite number",
    "run.report(7, -3.0)": "train(): run.report() at step 7 gave -3 as loss; accepted are numbers from 0",
    "assert shape.depth > 9": "train() failed: AssertionError: in line 9 of my_training.py, assert shape.depth > 9",
    "run.report(1, 1.0, phase='a')": "train(): run.report() at step 1, phase, gave 'a', which is no number",
    "run.report(0, 1.0)": "train(): run.report() was given step 0 at first; accepted are whole numbers that rise",
    "run.report(1.5, 1.0)": "train(): run.report() was given step 1.5 at first; accepted are whole numbers that rise",
    "run.report(2, 1.0); run.report(2, 1.0)": "train(): run.report() was given step 2 after 2; accepted are whole ",
    "raise ValueError('bad\\nluck')": "train() failed: ValueError: bad luck",
    "import sys; sys.exit(3)": "train() failed: SystemExit: 3",
    "run.save(None)": "train(): run.save() was given None, which is no module and no state of one",
    "run.save({'rate': 0.1})": "train(): run.save() was given 'rate', which is no tensor with a name; give what else ",
    "run.save({1: torch.zeros(1)})": "train(): run.save() was given 1, which is no tensor with a name; give what else",
    "run.save({}, step=1, best=object())": "train(): run.save() was given best, which cannot be read back; accepted ",
    "run.stopped = True": "train() set run.stopped, but was not asked to stop; set it only if run.interrupted is true",
    "run.report(1, 1.0); run.load()": "train(): run.load() was called after run.report(), or twice; begin with it",
}


@pytest.mark.parametrize("code", WRONG)
def test_what_goes_wrong_is_one_line_with_file_and_function(code: str) -> None:
    with pytest.raises(TrainingError) as caught:
        trained(f"def train(shape, run):\n    {code}\n")
    assert str(caught.value).startswith(f"my_training.py: {WRONG[code]}")
    assert "\n" not in str(caught.value)


def test_a_copy_of_the_process_that_comes_out_of_a_training_ends_there() -> None:
    reported: list[object] = []
    training = task(
        write(
            "import os\n"
            "def train(shape, run):\n"
            "    child = os.fork()\n"
            "    if child == 0:\n"
            "        run.alive()\n"
            "        return 2.0\n"
            "    assert os.waitpid(child, 0)[1] != 0\n"
            "    return 1.0\n"
        )
    ).run(lambda what: not reported.append(what))
    assert training.quality == 1.0
    assert reported == []


# What is wrong with a file

REFUSED = {
    "def train(shape, run) return 1": "cannot be read: SyntaxError: expected ':' (my_training.py, line 8)",
    "1 / 0": "cannot be imported: ZeroDivisionError: division by zero",
    "import sys; sys.exit(0)": "cannot be imported: SystemExit: 0",
    "import nonexistent_module": "cannot be imported: ModuleNotFoundError: No module named 'nonexistent_module'",
    "def trains(shape, run): return 1": "has no function train(shape, run); its functions are: trains",
    "train = 3": "has a train that is 3, not a function",
    "def train(shape): return 1": "has a train that takes too little; it is called as train(shape, run)",
    "def train(shape, run, data): return 1": "has a train that needs 'data', which nobody gives; it is called as",
    "async def train(shape, run): return 1": "has a train that is no plain function, since it awaits or yields",
    "def train(shape, run): yield 1": "has a train that is no plain function, since it awaits or yields",
    f"{TRAIN}{TRAIN}": "defines train() twice, in lines 9 and 13; keep one",
    f"{TRAIN}build = 3": "has a build that is 3, not a function",
    f"{TRAIN}def build(shape, lr=2.0): pass": "has different defaults of 'lr' in its functions: 0.5 and 2.0",
    f"{TRAIN}QUALITY = 'loss'": "has a QUALITY that is 'loss', not a shape_dnn.Quality",
    f"{TRAIN}QUALITY = Quality('latency')": "cannot be imported: ValueError: name is 'latency', which means something",
    f"{TRAIN}QUALITY = Quality('loss', minimum=None)": "cannot be imported: ValueError: minimum is None, maximum inf; acc",
    f"{TRAIN}RESOURCES = 'many'": "has a RESOURCES that is 'many', not a shape_dnn.Resources",
    f"{TRAIN}RESOURCES = Resources(cores=0)": "cannot be imported: ValueError: cores is 0; accepted are whole numbers",
    f"{TRAIN}del QUALITY; quality = Quality('loss')": "has no QUALITY, and a shape_dnn.Quality called quality; call it",
    f"{TRAIN}TAKES = Resources(2)": "has no RESOURCES, and a shape_dnn.Resources called TAKES; call it",
    f"{TRAIN}EXAMPLE = 'x'": "has an EXAMPLE with no tensor; accepted is a batch of inputs, or example(batch_size)",
    f"{TRAIN}EXAMPLE = {{'a': [torch.zeros(0, 2)]}}": "has an EXAMPLE with an empty tensor; accepted is a batch of",
    f"{TRAIN}DEPTH = (1, 4)": "has a DEPTH that is (1, 4), not 'MIN:MAX:STEP'",
}


@pytest.mark.parametrize("code", REFUSED)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(code: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(write(code))
    assert caught.value.setting == "trainer"
    assert caught.value.message.startswith(f"my_training.py {REFUSED[code]}")
    assert "\n" not in str(caught.value)


def test_a_quality_that_is_chosen_among_others_is_used() -> None:
    path = write("def train(shape, run): return 1", "\nrmse, mae = Quality('rmse'), Quality('mae')\nQUALITY = mae\n")
    assert read(path).quality.name == "mae"


def test_what_is_no_file_is_refused() -> None:
    for path, why in (("missing.py", "No such file or directory"), (".", "Is a directory")):
        with pytest.raises(UsageError, match=f"cannot read '{path}': {why}"):
            read(Path(path))


def test_a_file_that_changes_while_the_search_runs_stops_it() -> None:
    own = task(write(TRAIN))
    write(TRAIN.replace("/ epoch", ""))
    with pytest.raises(PluginError, match=r"my_training.py' has changed since the search started; start again"):
        own.run(go_on)
    Path("my_training.py").unlink()
    with pytest.raises(UsageError, match=r"cannot read 'my_training.py'"):
        own.run(go_on)


def test_a_constant_example_is_made_as_large_as_is_asked_for() -> None:
    path = write(TRAIN, "EXAMPLE = {'tokens': torch.arange(6).reshape(2, 3), 'scale': torch.tensor(2.0), 'last': True}")
    made = read(path).trainer({}).example(5)
    assert made["tokens"].tolist() == [[0, 1, 2], [3, 4, 5]] * 2 + [[0, 1, 2]]
    assert (made["scale"], made["last"]) == (2.0, True)


def test_what_a_file_makes_when_it_is_read_is_there_for_everything_that_comes_later(
    shape_dnn: Callable[..., Any],
) -> None:
    """Although the first to need the file may count sizes, where tensors have no values."""
    path = write(BUILD, TRAIN, "EXAMPLE = torch.zeros(1, 1)")
    ran = shape_dnn("measure", "--trainer", path, "--depth", "1:2:1", "--width", "1:2:1", "--device", "cpu",
                    "--metrics", "size,latency", "--format", "json")  # fmt: skip
    assert ran.status == 0, ran.err
    assert ran.json[0]["latency"] > 0


def test_options_are_parameters_with_defaults_and_go_to_each_function_that_has_them() -> None:
    path = write("def train(shape, run, lr=0.1, sizes=(1, 2), *, steps=4): return lr\n"
                 "def build(shape, dropout=0.5, **more): return nn.Dropout(dropout)\n")  # fmt: skip
    functions = read(path)
    assert set(functions.options) == {"lr", "steps", "dropout"}
    trainer = functions.trainer({"lr": 0.1, "steps": 4, "dropout": 0.25})
    assert trainer.steps == 4
    assert repr(trainer.build(SHAPE)) == "Dropout(p=0.25, inplace=False)"


def test_functions_that_are_no_functions_are_known_by_their_class() -> None:
    class Training:
        def __call__(self, shape: Shape, run: Any, lr: float = 0.1) -> float:
            return lr

    assert set(Functions("Training", Training()).options) == {"lr"}


# Through the command


def test_a_file_is_searched_under_limits_and_the_best_shape_has_its_quality_under_its_name(
    shape_dnn: Callable[..., Any],
) -> None:
    write(BUILD, EXAMPLE, TRAIN)
    ran = shape_dnn(*FILE, "--max-size", "0.0005MB", "--goal", "loss", "--format", "json")
    assert ran.status == 0, ran.err
    assert ran.json["quality"] == {"name": "loss", "unit": "", "better": "lower"}
    best = ran.json["best"]
    assert (best["depth"], best["width"]) == (3, 1.0), "the larger width is above the limit from depth 2 on"
    assert best["loss"] == pytest.approx(0.5 / 4 / 3)
    again = shape_dnn(*FILE, "--max-size", "0.0005MB", "--goal", "loss", "--format", "json")
    assert again.json["best"] == best
    assert "training" not in again.err, "the same question again trains nothing"


def test_where_a_training_saves_no_weights_it_is_said_that_nothing_can_be_tested(
    shape_dnn: Callable[..., Any],
) -> None:
    write("def train(shape, run):\n    return 50 + shape.depth\n", "def test(shape, run):\n    return 50.0\n")
    ran = shape_dnn(*FILE, "--depth", "1:3:1", "--width", "1:2:1", "--goal", "loss", "--format", "json")
    assert ran.status == 0, ran.err
    assert "the test set could not be read for (1, 1): there are no weights" in ran.err
    assert "run.save()" in ran.err
    assert ran.json["best"]["test_loss"] is None


def test_whatever_the_code_prints_standard_output_is_the_result() -> None:
    shout = "import os\n{0}print('said')\n{0}os.write(1, b'written')\n{0}os.system('echo echoed')\n"
    write(
        shout.format(""),
        BUILD.replace("    hidden", shout.format("    ").replace("import", "    import", 1) + "    hidden"),
        TRAIN.replace("    for", shout.format("    ").replace("import", "    import", 1) + "    for"),
    )
    command = [sys.executable, "-m", "shape_dnn", *FILE, "--train", "2", "--max-size", "1MB", "--format", "json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout)["trained"]
    assert min(ran.stderr.count(word) for word in ("said", "written", "echoed")) > 2


def test_a_training_that_fails_costs_the_search_no_other(shape_dnn: Callable[..., Any]) -> None:
    write(
        "import os, time\n"
        "def train(shape, run):\n"
        "    if shape == (1, 1): raise ValueError('bad luck')\n"
        "    if shape == (1, 2): raise ValueError(os.fsdecode(b'\\xff.png'))\n"
        "    if shape == (2, 1): os._exit(3)\n"
        "    if shape == (3, 1):\n"
        "        if os.fork() == 0: time.sleep(600)\n"  # lives on, with all that it has inherited
        "        os._exit(4)\n"
        "    return 1 / shape.depth\n"
    )
    ran = shape_dnn(*FILE, "--strategy", "exhaustive", "--sampler", "random", "--format", "json", "--debug")
    assert ran.status == 0, ran.err
    assert [row["loss"] for row in ran.json["trained"] if row["width"] == 2] == pytest.approx([1 / 2, 1 / 3])
    reasons = ("my_training.py: train() failed: ValueError: bad luck", r"ValueError: \udcff.png",
               "its process ended with exit status 3", "its process ended with exit status 4")  # fmt: skip
    for reason in reasons:
        assert f"failed: {reason}" in ran.err
    assert ", in train" in ran.err, "--debug shows where it failed"
    assert "if shape == (1, 1): raise ValueError('bad luck')" in ran.err
    again = shape_dnn(*FILE, "--strategy", "exhaustive", "--sampler", "random").err
    assert "training 0 shapes; 6 known from before, of which 4 failed" in again


def test_accuracies_that_look_like_fractions_are_pointed_out_once(shape_dnn: Callable[..., Any]) -> None:
    code = "from shape_dnn import Quality\nQUALITY = Quality('accuracy', '%', 'higher', 0, 100)\ndef train(shape, run):\n    return 0.9 + shape.depth / 100\n"
    write(code)
    ran = shape_dnn(*FILE, "--train", "2", "--workers", "1")
    assert ran.status == 0, ran.err
    assert ran.err.count("accuracy is in percent, and 0.9") == 1, ran.err
    assert ran.err.count("give 100 times as much") == 1, ran.err
    write(code.replace("0.9 +", "90 +"))
    assert "in percent" not in shape_dnn(*FILE, "--train", "2").err


def test_failed_trainings_are_made_again_if_that_is_wanted(shape_dnn: Callable[..., Any]) -> None:
    write("import os\ndef train(shape, run):\n    assert os.path.exists('there')\n    return 1.0\n")
    assert shape_dnn(*FILE, "--train", "2").status == 3
    Path("there").touch()
    assert shape_dnn(*FILE, "--train", "2").status == 3
    ran = shape_dnn(*FILE, "--train", "2", "--retry-failed", "--format", "json")
    assert [row["loss"] for row in ran.json["trained"]] == [1.0, 1.0]


def test_a_training_may_have_processes_that_load_its_data(shape_dnn: Callable[..., Any]) -> None:
    write(
        "from torch.utils.data import DataLoader, Dataset\n"
        "class Numbers(Dataset):\n"
        "    def __len__(self): return 8\n"
        "    def __getitem__(self, i): return float(i)\n"
        "def train(shape, run):\n"
        "    return sum(batch.sum().item() for batch in DataLoader(Numbers(), batch_size=2, num_workers=2))\n"
    )
    ran = shape_dnn(*FILE, "--train", "2", "--format", "json")
    assert [row["loss"] for row in ran.json["trained"]] == [28.0, 28.0], ran.err


def test_functions_that_travel_by_file_need_no_more_than_train(shape_dnn: Callable[..., Any]) -> None:
    write(TRAIN)
    ran = shape_dnn(*FILE, "--goal", "loss", "--format", "json")
    assert ran.status == 0, ran.err
    assert ran.json["best"]["size"] is None


@pytest.mark.parametrize(
    ("parts", "flags", "message"),
    [
        ([TRAIN], ["--max-size", "1"], "--trainer: my_training.py has no build(shape), without which no size is known"),
        ([TRAIN], ["--goal", "size"], "--trainer: my_training.py has no build(shape), without which no size is known"),
        ([TRAIN], ["--goal", "los"], "the quality here is loss instead of accuracy"),
        ([TRAIN], ["--goal", "latency"], "my_training.py has no build(shape), without which no latency is known"),
        ([TRAIN, BUILD], ["--max-latency", "1"], "my_training.py has no example(batch_size), without which no latency"),
        ([TRAIN, "def build(shape): return 3"], ["--max-size", "1"], "build() returned 3, not a torch.nn.Module"),
        ([TRAIN, "def build(shape): 1 / 0"], ["--max-size", "1"], "my_training.py failed to build shape (1, 1): Zero"),
        ([TRAIN, "import sys\ndef build(shape): sys.exit()"], ["--max-size", "1"], "build() failed: SystemExit"),
        ([TRAIN, "import random\ndef build(shape): return nn.Linear(1, random.randint(1, 10**9))"],
         ["--max-size", "1"], "my_training.py builds networks of shape (1, 1) that store "),
        ([TRAIN, BUILD, "def example(n): return torch.zeros(n, 7)"], ["--max-latency", "1"], "in the forward pass of"),
        ([TRAIN, "def resources(shape): return 3"], [], "my_training.py: resources() returned 3 instead of shape_dnn."),
        ([TRAIN, "def resources(shape): 1 / 0"], [], "my_training.py: resources() failed: ZeroDivisionError"),
        ([TRAIN], ["--dataset", "digits"], "--dataset: is for the trainer classifier, and 'my_training.py' has its own"),
        ([TRAIN], ["--arch", "wrn"], "--arch: is for the trainer classifier, and 'my_training.py' has its own; leave"),
        ([TRAIN], ["--recipe", "paper"], "--recipe: is for the trainer classifier"),
        ([TRAIN], ["--protocol", "paper"], "--protocol: is for the trainer classifier"),
        ([TRAIN], ["--transfer", "1/2"], "--transfer: is for the trainer classifier"),
        ([TRAIN], ["-o", "arch.stem=16"], "-o: arch.stem is for the trainer classifier, and this is 'my_training.py'"),
        ([TRAIN], ["-o", "recipe.crop=0"], "-o: recipe.crop is for the trainer classifier"),
        ([TRAIN], ["-o", "trainer.x=1"], "-o: trainer.x is not an option of my_training.py; its options: "
         "trainer.epochs, trainer.lr"),
        ([TRAIN], ["-o", "trainer.epochs=many"], "-o: trainer.epochs=many: expected a whole number"),
        ([TRAIN], ["-o", "trainer.lr=1", "--lr", "2"], "-o: trainer.lr contradicts --lr; give one of them"),
        (["def train(shape, run): return 1"], ["--lr", "2"], "--lr: my_training.py takes no lr; train(shape, run, lr=…)"),
        (["def train(shape, run): return 1"], ["--terminator", "median"], "--terminator: nobody knows how long "
         "my_training.py trains; give its train() a parameter epochs or steps, with a default"),
        ([TRAIN], ["--depth", "0:2:1"], "--depth: 0:2:1 contains 0, a depth that my_training.py cannot have"),
        ([TRAIN, "DEPTH = None"], [], "--depth: my_training.py declares no range; give --depth MIN:MAX:STEP"),
        ([TRAIN], [*FILE[:1], "my_training.py:fit"], "--trainer: my_training.py has no function fit(shape, run); its "
         "functions are: train"),
        ([TRAIN], [*FILE[:1], "my_training.py:1x"], "--trainer: my_training.py has no function 1x(shape, run)"),
        ([TRAIN], [*FILE[:1], "other.py"], "--trainer: cannot read 'other.py': No such file or directory"),
        ([TRAIN], [*FILE[:1], "nosuch"], "--trainer: no trainer is called 'nosuch'; known are: classifier"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_one_line_before_anything_is_trained(
    parts: list[str], flags: list[str], message: str, shape_dnn: Callable[..., Any]
) -> None:
    write(*parts)
    ran = shape_dnn(*FILE, *flags)
    assert ran.status in (1, 2, 4)
    assert ran.status == 2 or "--" not in message, "what a flag can mend is wrong usage"
    assert message in ran.error
    assert "trained" not in ran.err


def test_sizes_that_nobody_asked_for_cost_nobody_the_result(shape_dnn: Callable[..., Any]) -> None:
    write(TRAIN, "def build(shape): 1 / 0")
    ran = shape_dnn(*FILE, "--train", "2", "--format", "json")
    assert ran.status == 0
    assert "warning: not all sizes are known: measuring size: my_training.py failed to build shape" in ran.err
    assert len(ran.json["trained"]) == 2


def test_trainings_whose_length_is_known_can_be_stopped_early(shape_dnn: Callable[..., Any]) -> None:
    write(
        "def train(shape, run, epochs=20):\n"
        "    for epoch in range(1, epochs + 1):\n"
        "        if not run.report(epoch, 1 / shape.depth + 1 / epoch): return\n"
    )
    ran = shape_dnn(*FILE, "--terminator", "median", "--strategy", "exhaustive", "--sampler", "random", "--workers", "1",
                    "--format", "json")  # fmt: skip
    assert ran.status == 0, ran.err
    assert "stopped by median" in ran.err
