import http.server
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from shape_dnn import Quality, Shape, UsageError, tune
from shape_dnn.cli import main
from shape_dnn.errors import UnavailableError
from shape_dnn.events import EpochFinished, Event, SearchFinished, SearchStarted, StageFinished, TrainingFinished
from shape_dnn.plugins.registry import Registry
from shape_dnn.records import Epoch, Stop, Training
from shape_dnn.testing import ObserverContract
from shape_dnn_mlflow.observer import MLflow

ONE: dict[str, Any] = {
    "depth": "10:11:6", "width": "1/4:1/2:1/4", "epochs": 1, "device": "cpu", "option": {"dataset.limit": 400},
}  # fmt: skip
SHAPE = Shape(10, Fraction(1, 4))


@pytest.fixture(autouse=True)
def own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def without_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that holds nothing yet; MLflow takes seconds to make one."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def database(own_directory: None, without_runs: Path) -> None:
    shutil.copy(without_runs, "mlflow.db")


@pytest.mark.usefixtures("database")
class TestMLflow(ObserverContract):
    name = "mlflow"


def local() -> MlflowClient:
    return MlflowClient(f"sqlite:///{Path('mlflow.db').absolute()}")


def recorded() -> tuple[Run, dict[str, Run]]:
    """Return the run of the only search, and those nested in it, by name."""
    client = local()
    experiment = client.get_experiment_by_name("shape_dnn")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (search,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    nested = [run for run in runs if run is not search]
    assert {run.data.tags["mlflow.parentRunId"] for run in nested} <= {search.info.run_id}
    return search, {str(run.info.run_name): run for run in nested}


def artifact(run: Run, name: str) -> Any:
    path = local().download_artifacts(run.info.run_id, name)
    return json.loads(Path(path).read_text())


def curve(run: Run, metric: str) -> list[tuple[int, float]]:
    history = local().get_metric_history(run.info.run_id, metric)
    return [(point.step, point.value) for point in history]


def test_it_is_declared() -> None:
    loaded = Registry().load("observer", "mlflow", {"tracking_uri": "sqlite:///here/mlflow.db"})
    assert isinstance(loaded.instance, MLflow)
    assert loaded.source.distribution == "shape-dnn-mlflow"


@pytest.mark.usefixtures("database")
def test_a_search_is_a_run_and_its_training_one_nested_in_it() -> None:
    events: list[Event] = []
    result = tune(**ONE, study="digits study", goal="size", observer="mlflow", notify=events.append)
    (epoch,) = [event.epoch for event in events if isinstance(event, EpochFinished)]
    (row,) = result.rows()
    search, trainings = recorded()
    assert (search.info.run_name, search.info.status) == ("digits study", "FINISHED")
    given = {"goal": "size", "epochs": "1", "depth": "10:11:6", "option": '["dataset.limit=400"]', "shapes": "1"}
    assert search.data.params.items() >= given.items()
    assert "max_size" not in search.data.params
    assert search.data.metrics["cost_trained"] == search.data.metrics["cost_new_trainings"] == 1
    assert search.data.metrics["best_depth"] == 10
    assert search.data.metrics["best_size"] == row["size"]
    assert search.data.metrics["best_test_accuracy"] == result.answer.test_quality
    assert search.data.tags["verified"] == "true"
    assert "architecture wrn" in search.data.tags["plugins"]
    assert artifact(search, "result.json") == result.to_dict()
    assert artifact(search, "settings.json")["max_size"] is None
    kept = local().list_artifacts(search.info.run_id)
    assert "10-1_4.safetensors" in {file.path for file in kept}

    assert set(trainings) == {"10-0.25"}
    training = trainings["10-0.25"]
    assert training.info.status == "FINISHED"
    assert training.data.params == {"depth": "10", "width": "0.25"}
    assert training.data.metrics["final_accuracy"] == row["accuracy"]
    assert training.data.metrics["size"] == row["size"]
    assert curve(training, "loss") == [(1, epoch.loss)]
    assert curve(training, "accuracy") == [(1, epoch.quality)]


@pytest.mark.usefixtures("database")
def test_a_replay_is_recorded_too_whatever_its_columns_are_called() -> None:
    rows = [f"{depth},{width},{95 - 9 / width - 40 / depth},{depth * width}" for depth in (10, 16) for width in (1, 2)]
    Path("table.csv").write_text("\n".join(["depth,width,accuracy,cost (in $)", *rows]))
    result = tune(replay="table.csv", goal="accuracy", max={"cost (in $)": 25}, observer="mlflow")
    search, trainings = recorded()
    assert search.data.metrics["best_cost__in___"] == 20
    assert {name: run.data.metrics["final_accuracy"] for name, run in trainings.items()} == {
        f"{t.shape.depth}-{t.shape.width}": t.quality for t in result.answer.trainings
    }


@pytest.mark.usefixtures("database")
def test_another_quality_than_accuracy_is_recorded_under_its_name() -> None:
    observer = MLflow()
    place = {"depth": SHAPE.depth, "width": float(SHAPE.width)}
    row = {**place, "perplexity": 31.2, "predicted_perplexity": 31.5, "predicted_std": 0.3, "size": 1.2}
    cost = {"trained": 1, "candidates": 1, "new_trainings": 1}
    result = {
        "trained": [row],
        "failed": [],
        "shapes": [row],
        "best": row,
        "verified": True,
        "cost": cost,
        "plugins": [],
    }
    observer.notify(SearchStarted({"study": "study"}, 1, Quality("perplexity", better="lower")))
    observer.notify(EpochFinished(SHAPE, Epoch(1, None, 60.0, {"learning_rate": 0.1}), None))
    observer.notify(EpochFinished(SHAPE, Epoch(2, 3.5, 31.2), None))
    observer.notify(TrainingFinished(Training(SHAPE, 31.2), 1, 1))
    observer.notify(SearchFinished(result, ()))
    observer.close()
    search, trainings = recorded()
    training = trainings["10-0.25"]
    assert curve(training, "perplexity") == [(1, 60.0), (2, 31.2)]
    assert (curve(training, "loss"), curve(training, "learning_rate")) == ([(2, 3.5)], [(1, 0.1)])
    assert set(training.data.metrics) == {"perplexity", "loss", "learning_rate", "final_perplexity", "size"}
    assert search.data.metrics["best_perplexity"] == 31.2


@pytest.mark.usefixtures("database")
def test_what_did_not_come_to_its_end_is_marked() -> None:
    observer = MLflow()
    observer.notify(SearchStarted({"study": "study"}, 4))
    for depth, reason, stop in (
        (16, "the loss became nan", None),
        (22, "stopped by median after epoch 1", Stop("median")),
    ):
        observer.notify(TrainingFinished(Training(Shape(depth, SHAPE.width), None, reason, stop=stop), 1, 3))
    observer.notify(EpochFinished(SHAPE, Epoch(1, 2.0, 50.0), 2))
    observer.close()
    search, trainings = recorded()
    assert search.info.status == "KILLED"
    assert {name: (run.info.status, run.data.tags["reason"]) for name, run in trainings.items()} == {
        "16-0.25": ("FAILED", "the loss became nan"),
        "22-0.25": ("KILLED", "stopped by median after epoch 1"),
        "10-0.25": ("KILLED", "the search ended before the training did"),
    }


@pytest.mark.usefixtures("database")
def test_an_interrupted_search_is_marked_as_killed() -> None:
    Path("table.csv").write_text("depth,width,accuracy\n10,1,90\n16,1,91\n")

    def interrupt(event: Event) -> None:
        if isinstance(event, StageFinished):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(replay="table.csv", min_accuracy=1, observer="mlflow", notify=interrupt)
    search, _ = recorded()
    assert search.info.status == "KILLED"


@pytest.mark.usefixtures("database")
def test_a_training_that_is_tried_again_has_two_runs() -> None:
    observer = MLflow()
    for number in (1, 2, 1):
        observer.notify(EpochFinished(SHAPE, Epoch(number, 2.0, 50.0), 2))
    observer.notify(TrainingFinished(Training(SHAPE, 60.0), 1, 1))
    observer.close()
    client = local()
    runs = client.search_runs(["1"], "params.depth = '10'")
    assert {(run.info.status, run.data.tags.get("reason", "")) for run in runs} == {
        ("FAILED", "it was tried again"),
        ("FINISHED", ""),
    }


@pytest.mark.usefixtures("database")
def test_each_seed_has_a_run_though_their_trainings_run_side_by_side() -> None:
    observer, shape = MLflow(), Shape(10, Fraction(1, 2))
    observer.notify(SearchStarted({"study": "study"}, 1))
    for number in (1, 2):
        for seed in (7, 8):
            observer.notify(EpochFinished(shape, Epoch(number, 2.0, 10.0 * seed + number), 2, seed))
    for seed in (7, 8):
        observer.notify(TrainingFinished(Training(shape, 90.0 + seed), 1, 2, "", seed))
    observer.close()
    runs = local().search_runs(["1"], "params.depth = '10'")
    found = sorted((r.data.metrics["accuracy"], r.data.metrics["final_accuracy"], r.info.status) for r in runs)
    assert found == [(72.0, 97.0, "FINISHED"), (82.0, 98.0, "FINISHED")]


@pytest.mark.usefixtures("database")
def test_a_long_setting_is_shortened_and_whole_in_an_artifact() -> None:
    observer = MLflow()
    settings = {"study": "study", "plugin": ["file.py"] * 200}
    observer.notify(SearchStarted(settings, 4))
    observer.close()
    search, _ = recorded()
    assert len(search.data.params["plugin"]) == 500
    assert artifact(search, "settings.json")["plugin"] == settings["plugin"]


def test_an_empty_address_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other.db")
    MLflow(tracking_uri="").close()
    assert Path("other.db").is_file()
    assert not Path("mlflow.db").exists()


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes requests, and never answers one."""

    class Silent(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            over.wait(600)

    over = threading.Event()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        over.set()
        server.shutdown()
        thread.join()


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_a_server_that_does_not_answer_is_an_error_soon(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with pytest.raises(UnavailableError, match=r"MLflow at http://127.0.0.1.*imed out"):
        MLflow(silent)


def test_a_server_that_is_not_there_is_an_error_of_one_line_without_its_password(
    capfd: pytest.CaptureFixture[str],
) -> None:
    Path("table.csv").write_text("depth,width,accuracy\n10,1,90\n")
    address = "observer.tracking_uri=http://me:secret@127.0.0.1:9"
    with pytest.raises(SystemExit) as ended:
        main(["--replay", "table.csv", "--observer", "mlflow", "-o", address])
    said = capfd.readouterr().err
    assert ended.value.code == 4, said
    (line,) = [line for line in said.splitlines() if "error:" in line]
    assert "MLflow at http://127.0.0.1:9: API request" in line
    assert "secret" not in said
    assert "Traceback" not in said


def break_parent() -> str:
    Path("file").write_text("no directory")
    return "sqlite:///file/mlflow.db"


def break_file() -> str:
    Path("mlflow.db").write_text("no database, but a text of some length" * 100)
    return "sqlite:///mlflow.db"


@pytest.mark.parametrize("make", [break_parent, break_file])
def test_a_file_that_cannot_be_written_is_an_error_at_once(make: Callable[[], str]) -> None:
    with pytest.raises(UsageError, match=r"observer.tracking_uri=sqlite:///.*cannot be written: "):
        MLflow(make())


@pytest.mark.usefixtures("database")
def test_an_experiment_that_was_deleted_is_not_written_to() -> None:
    MLflow(experiment="old").close()
    client = local()
    experiment = client.get_experiment_by_name("old")
    assert experiment is not None
    client.delete_experiment(experiment.experiment_id)
    with pytest.raises(UsageError, match=r"observer.experiment=old: was deleted in MLflow"):
        MLflow(experiment="old")
