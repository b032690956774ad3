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
        """It can be read, and has the qualities of two or more shapes."""
        table = Table.read(plugin.path)
        name = table.quality.name
        assert sum(any(row[name] is not None for row in repetitions) for repetitions in table.rows.values()) > 1

    def test_can_be_searched(self, plugin: TableFile) -> None:
        """A search on it comes to an answer."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as that a column is ignored
            assert tune(replay=plugin.path, goal=Table.read(plugin.path).quality.name).verified

    def test_curves_are_those_of_its_trainings(self, plugin: TableFile) -> None:
        """Each curve belongs to a row, by its shape and seed, and its epochs follow each other."""
        if plugin.curves is None:
            pytest.skip("it has none")
        table = Table.read(plugin.path)
        recorded = {(shape, int(row.get("seed") or 0)) for shape, rows in table.rows.items() for row in rows}
        assert read_curves(plugin.curves, table.quality).keys() <= recorded
