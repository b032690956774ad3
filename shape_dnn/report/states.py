"""What is known of the quality of a shape."""

from __future__ import annotations

from enum import StrEnum


class ShapeState(StrEnum):
    """What is known of the quality of a shape."""

    VERIFIED = "verified"
    """Trained, and read on the test set."""
    TRAINED = "trained"
    PREDICTED = "predicted"
    STOPPED = "stopped"
    """Its training was stopped early."""
    FAILED = "failed"
    UNKNOWN = "unknown"
