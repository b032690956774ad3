"""Former place of what lies in ``shape_dnn.api.simulation`` now."""

from __future__ import annotations

from shape_dnn.api.simulation import Comparison, Comparisons

__all__ = ["Comparison", "Comparisons"]
