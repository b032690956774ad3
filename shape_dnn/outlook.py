"""Former place of what lies in ``shape_dnn.search.posterior`` now."""

from __future__ import annotations

from shape_dnn.search.posterior import AnswerPosterior as Outlook

__all__ = ["Outlook"]
