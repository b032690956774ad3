"""What every recorded table must keep to."""

from __future__ import annotations

import warnings

import pytest

from shape_dnn.api.tune import tune
from shape_dnn.kinds import TableFile
from shape_dnn.study.tables import Table, read_curves
from shape_dnn.testing.contract import Contract


class TableContract(Contract):
    """What every recorded table must keep to."""

    kind = "table"

    def test_has_shapes_to_choose_from(self, plugin: TableFile) -> None:
        """It can be read, and has accuracies of two shapes or more."""
        rows = Table.read(plugin.path).rows.values()
        assert sum(any(row["accuracy"] is not None for row in repetitions) for repetitions in rows) > 1

    def test_can_be_searched(self, plugin: TableFile) -> None:
        """A search on it comes to an answer."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as that a column is ignored
            assert tune(replay=plugin.path, goal="accuracy").verified

    def test_curves_are_those_of_its_trainings(self, plugin: TableFile) -> None:
        """Each belongs to a row by its shape and seed, and its epochs follow each other."""
        if plugin.curves is None:
            pytest.skip("it has none")
        rows = Table.read(plugin.path).rows
        recorded = {(shape, int(row.get("seed") or 0)) for shape, repetitions in rows.items() for row in repetitions}
        assert read_curves(plugin.curves).keys() <= recorded
