"""The environment variables of this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


def forbid_telemetry() -> None:
    """Have libraries that are imported later report to nobody, unless the user wants it: ONNX Runtime would at import."""
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
