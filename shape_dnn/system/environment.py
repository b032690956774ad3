"""The environment variables of this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


def forbid_telemetry() -> None:
    """Have libraries report to nobody that would once they are imported, as ONNX Runtime does; the user may want it."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


@contextmanager
def changed(**changes: str) -> Iterator[None]:
    """Change some for a moment, for processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
