"""Searches and their trainings as runs in MLflow."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from shape_dnn import Observer
from shape_dnn.errors import UnavailableError, UsageError
from shape_dnn.events import Converted, EpochFinished, Event, Measured, SearchFinished, SearchStarted, TrainingFinished
from shape_dnn.quality import ACCURACY

Place = tuple[int, float]
"""Depth and width of a shape."""
LONGEST = 500
"""Characters of a value that servers of any version take."""
SQLITE = "sqlite:///"
IMPATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
"""By itself MLflow tries for minutes, and up to twenty of them."""
NO_METRICS = ("depth", "width", "predicted_std", "score", "estimated")
"""Parts of a row of a result that are no metrics, beside those that the quality is a part of."""


@dataclass
class _Run:
    """The run of a training; ``epochs`` is how many it shows."""

    id: str
    epochs: int = 0
    ended: bool = False


class MLflow(Observer):
    """Records a search as a run, and each of its trainings as a run nested in it.

    The run of a search has the settings as parameters, the cost of the search and the values of the best shape as
    metrics, and ``settings.json``, ``result.json`` and the weights of the best shape as artifacts. The run of a
    training has depth and width as parameters; its metrics are ``loss`` and ``accuracy`` by epoch, ``final_accuracy``,
    and those known of the shape, such as ``latency``, or ``latency_estimated`` where it was predicted. Another quality
    stands under its own name, and beside it whatever else a training reports. Where networks are converted, the last
    ``final_accuracy`` is that of what ships, and ``float_accuracy`` what it was before.

    Args:
        tracking_uri: server or file; empty to leave it to MLflow.
        experiment: its name.
    """

    def __init__(self, tracking_uri: str = "sqlite:///mlflow.db", experiment: str = "shape_dnn") -> None:
        self._where = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI", "its default store")
        self._search = ""
        self._quality = ACCURACY
        self._ended = False
        self._runs: defaultdict[Place, dict[int, _Run]] = defaultdict(dict)  # of a shape by the seed
        self._metrics: dict[Place, dict[str, float]] = {}
        address = _check_file(tracking_uri)
        with self._asking(), _impatient(), warnings.catch_warnings():
            # How MLflow uses SQLAlchemy is nothing that users could change.
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            self._client = MlflowClient(address or None)
            self._experiment = self._find(experiment)

    def notify(self, event: Event) -> None:
        """Record what concerns a training or the whole search."""
        with self._asking():
            match event:
                case SearchStarted(settings, shapes, quality):
                    self._quality = quality
                    self._begin_search({**settings, "shapes": shapes})
                case Measured(metric, _, shape, measurement):
                    if measurement.value is not None:
                        self._learn((shape.depth, float(shape.width)), metric, measurement.value)
                case EpochFinished(shape, epoch, seed=seed):
                    place = shape.depth, float(shape.width)
                    run = self._runs[place].get(seed)
                    if run is None or run.ended or epoch.number <= run.epochs:
                        run = self._begin(place, seed)
                    run.epochs = epoch.number
                    self._log(run, epoch.numbers(self._quality))
                case TrainingFinished(training, seed=seed):
                    place = training.shape.depth, float(training.shape.width)
                    self._finish(place, seed, training.quality, training.reason, stopped=training.stopped)
                case Converted(shape, quality, before, seed=seed):
                    self._convert((shape.depth, float(shape.width)), seed, quality, before)
                case SearchFinished(result, files):
                    self._answer(cast("Mapping[str, Any]", result), files)

    def close(self) -> None:
        """Mark as killed what did not come to its end."""
        with self._asking(), _impatient():
            for run in (run for runs in self._runs.values() for run in runs.values()):
                self._end(run, "KILLED", "the search ended before the training did")
            if self._search and not self._ended:
                self._client.set_terminated(self._search, "KILLED")

    # The search

    def _find(self, name: str) -> str:
        """Return the experiment of a name."""
        found = self._client.get_experiment_by_name(name)
        if found is None:
            return str(self._client.create_experiment(name))
        if found.lifecycle_stage == "deleted":
            message = f"observer.experiment={name}: was deleted in MLflow; restore it, or give another name"
            raise UsageError(message, setting="option")
        return str(found.experiment_id)

    def _begin_search(self, settings: Mapping[str, object]) -> None:
        given = {name: value for name, value in settings.items() if value not in (None, [])}
        parameters = [Param(name, _short(value)) for name, value in given.items()]
        name = Path(str(settings["study"])).name
        self._client.log_batch(self._search_run(), params=parameters, tags=[RunTag("mlflow.runName", _short(name))])
        self._client.log_dict(self._search_run(), dict(settings), "settings.json")

    def _search_run(self) -> str:
        """Return the run of the search, begun the first time."""
        if not self._search:
            self._search = self._client.create_run(self._experiment, run_name="search").info.run_id
        return self._search

    def _answer(self, result: Mapping[str, Any], files: tuple[Path, ...]) -> None:
        """Record the answer, and of each trained shape what no event told: what was known before, and sizes."""
        quality = self._quality.name
        for row in (*result["trained"], *result["failed"]):
            place = row["depth"], row["width"]
            if not self._runs[place]:
                self._finish(place, 0, row.get(quality), row.get("reason", ""))
        for row in result["shapes"]:
            for name in row.keys() - {*NO_METRICS, quality, f"predicted_{quality}"}:
                if row[name] is not None:
                    estimated = "_estimated" if name in row.get("estimated", ()) else ""
                    self._learn((row["depth"], row["width"]), name + estimated, row[name])
        numbers = {f"cost_{name}": value for name, value in result["cost"].items()}
        numbers |= {f"best_{name}": value for name, value in (result["best"] or {}).items() if name != "estimated"}
        plugins = ", ".join(f"{plugin['kind']} {plugin['name']} {plugin['version']}" for plugin in result["plugins"])
        tags = {"verified": json.dumps(result["verified"]), "plugins": plugins}
        run = self._search_run()
        metrics = _metrics({name: value for name, value in numbers.items() if value is not None})
        self._client.log_batch(run, metrics, tags=[RunTag(name, _short(value)) for name, value in tags.items()])
        self._client.log_dict(run, dict(result), "result.json")
        for file in files:
            self._client.log_artifact(run, str(file))
        self._client.set_terminated(run)
        self._ended = True

    # Trainings

    def _begin(self, place: Place, seed: int) -> _Run:
        """Begin a run of a shape, with what is known of it."""
        if seed in self._runs[place]:
            self._end(self._runs[place][seed], "FAILED", "it was tried again")
        depth, width = place
        tags = {"mlflow.parentRunId": self._search_run()}
        run = self._client.create_run(self._experiment, tags=tags, run_name=f"{depth}-{width:g}")
        self._runs[place][seed] = _Run(run.info.run_id)
        parameters = [Param("depth", str(depth)), Param("width", str(width))]
        self._client.log_batch(run.info.run_id, _metrics(self._metrics.get(place, {})), parameters)
        return self._runs[place][seed]

    def _finish(self, place: Place, seed: int, quality: float | None, reason: str, *, stopped: bool = False) -> None:
        """Record what a training came to."""
        run = self._runs[place].get(seed)
        if run is None or run.ended:
            run = self._begin(place, seed)
        if quality is not None:
            self._log(run, {f"final_{self._quality.name}": quality})
        status = "FINISHED" if quality is not None else "KILLED" if stopped else "FAILED"
        self._end(run, status, reason)

    def _convert(self, place: Place, seed: int, quality: float, before: float) -> None:
        """Record what a training comes to once its network is what ships, and what it came to before."""
        name = self._quality.name
        if seed in self._runs[place]:
            self._log(self._runs[place][seed], {f"final_{name}": quality})
        else:
            self._finish(place, seed, quality, "")
        self._metrics.setdefault(place, {})[f"float_{name}"] = before
        self._log(self._runs[place][seed], {f"float_{name}": before})

    def _learn(self, place: Place, metric: str, value: float) -> None:
        """Take note of a metric of a shape, and record it in the runs that the shape has."""
        known = self._metrics.setdefault(place, {})
        if metric not in known:
            known[metric] = value
            for run in self._runs[place].values():
                self._log(run, {metric: value})

    def _log(self, run: _Run, values: Mapping[str, float]) -> None:
        self._client.log_batch(run.id, _metrics(values, run.epochs))

    def _end(self, run: _Run, status: str, reason: str) -> None:
        if not run.ended:
            run.ended = True
            if reason:
                self._client.set_tag(run.id, "reason", _short(reason))
            self._client.set_terminated(run.id, status)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Say in one line that MLflow did not do what it was asked."""
        try:
            yield
        except MlflowException as error:
            text = re.sub(r"//[^/@\s]*@", "//", f"MLflow at {self._where}: {error}")  # no password is shown
            raise UnavailableError(" ".join(text.split())) from error


def _check_file(uri: str) -> str:
    """Refuse a file that cannot be written, which MLflow would try for minutes; return its full address.

    MLflow keeps stores by their address, and a relative one is another file in another working directory.
    """
    if not uri.startswith(SQLITE):
        return uri
    path = Path(uri.removeprefix(SQLITE)).absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"observer.tracking_uri={uri}: cannot be written: {reason}", setting="option") from None
    return f"{SQLITE}{path}"


@contextmanager
def _impatient() -> Iterator[None]:
    """Give up soon on a server that does not answer, unless the user chose how long to wait."""
    added = {name: value for name, value in IMPATIENCE.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def _metrics(values: Mapping[str, float], step: int = 0) -> list[Metric]:
    """Return metrics under names that MLflow takes."""
    now = int(time.time() * 1000)
    return [Metric(re.sub(r"[^A-Za-z0-9_-]", "_", name)[:250], value, now, step) for name, value in values.items()]


def _short(value: object) -> str:
    """Return a text that MLflow takes as a value; in whole it stands in an artifact."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
