"""The examples in the docstrings of the hook specs, as source code."""

from __future__ import annotations

import inspect

from shape_dnn import hookspecs


def example(hook: str) -> str:
    text = inspect.getdoc(getattr(hookspecs, hook)) or ""
    return "\n".join(line[4:] for line in text.split("Example::\n", 1)[1].splitlines()) + "\n"
