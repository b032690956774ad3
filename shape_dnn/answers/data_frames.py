"""What is found, as data frames of pandas."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from pandas import DataFrame

Record = TypeVar("Record", bound="DataclassInstance")


def data_frame(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> DataFrame:
    """Make a pandas data frame of flat records; a value that is not known is NaN.

    Raises:
        ImportError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError("a data frame needs pandas: pip install 'shape-dnn[pandas]'") from error
    known = [{name: math.nan if value is None else value for name, value in row.items()} for row in rows]
    return pandas.DataFrame(known, columns=list(columns))


class Records(list[Record]):
    """Records of one kind: a list that is also a table.

    Attributes:
        columns: names of the entries of each record.
    """

    columns: ClassVar[tuple[str, ...]]

    def rows(self) -> list[dict[str, Any]]:
        """Return the records as dictionaries."""
        return list(map(dataclasses.asdict, self))

    def to_pandas(self) -> DataFrame:
        """Return the records as a data frame; what is not known, or does not apply, is NaN.

        Raises:
            ImportError: pandas is not installed.
        """
        return data_frame(self.rows(), self.columns)
