"""Declares the observer ``mlflow`` to shape_dnn."""

from __future__ import annotations

from collections.abc import Iterable

from shape_dnn import Option, Plugin, hookimpl


@hookimpl
def shape_dnn_observers() -> Iterable[Plugin]:
    """Declare the observer; its code, which needs MLflow, is imported when it is selected."""
    yield Plugin(
        "mlflow",
        "records searches and their trainings in MLflow",
        "shape_dnn_mlflow.observer:MLflow",
        {
            "tracking_uri": Option(help="server or file; empty for that of MLFLOW_TRACKING_URI"),
            "experiment": Option(help="name of the experiment, made if there is none"),
        },
    )
