"""Former place of what lies in ``shape_dnn.answers.advice`` now."""

from __future__ import annotations

from shape_dnn.answers.advice import Advice

__all__ = ["Advice"]
