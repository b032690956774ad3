"""Measurements of every shape of a space, as users see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shape_dnn.answers.data_frames import data_frame
from shape_dnn.answers.summary import Shown, Summary
from shape_dnn.answers.words import number
from shape_dnn.records import Measurement
from shape_dnn.shape import Shape
from shape_dnn.system.text import counted

if TYPE_CHECKING:
    from pandas import DataFrame


class Measurements(Shown, dict[Shape, dict[str, Measurement]]):
    """For each shape its measurements by metric: a dictionary that is also a table."""

    @property
    def metrics(self) -> list[str]:
        """The metrics that were measured."""
        return list(next(iter(self.values()), {}))

    def rows(self) -> list[dict[str, Any]]:
        """Return flat records with four entries for each metric: value, interval and status."""
        rows = []
        for shape, measurements in self.items():
            row: dict[str, Any] = {"depth": shape.depth, "width": float(shape.width)}
            for name, m in measurements.items():
                row |= {name: m.value, f"{name}_low": m.low, f"{name}_high": m.high, f"{name}_status": m.status}
            rows.append(row)
        return rows

    @property
    def columns(self) -> list[str]:
        """Names of the entries of :meth:`rows`."""
        parts = ("", "_low", "_high", "_status")
        return ["depth", "width", *(f"{name}{part}" for name in self.metrics for part in parts)]

    def to_pandas(self) -> DataFrame:
        """Return the rows as a data frame; what could not be measured is NaN.

        Raises:
            ImportError: pandas is not installed.
        """
        return data_frame(self.rows(), self.columns)

    @property
    def summaries(self) -> list[Summary]:
        """The table for people."""
        cells = [
            [str(shape.depth), str(shape.width), *(map(_cell, measurements.values()))]
            for shape, measurements in self.items()
        ]
        return [Summary(counted(len(self), "shape"), ["depth", "width", *self.metrics], cells)]


def _cell(measurement: Measurement) -> str:
    """Write a value with its interval, if it has one, or why there is none."""
    if measurement.value is None:
        return measurement.status
    value, low, high = number(measurement.value), number(measurement.low), number(measurement.high)
    interval = "" if low == high else f" ({low} to {high})"
    return value + interval + ("" if measurement.status == "ok" else f", {measurement.status}")
