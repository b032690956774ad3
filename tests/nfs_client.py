"""What a machine with NFS remembers: that there is no file of a name, until it lists the directory."""

from __future__ import annotations

import builtins
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def remembering_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process find no file of a name that it looked for in vain, until it lists the directory.

    A client of NFS does so for up to a minute, which here never ends. What it makes itself it knows of, and so do other
    processes, who are the other machines.
    """
    absent: set[Path] = set()

    def remembered(act: Callable[..., Any], *, makes: Callable[..., bool]) -> Callable[..., Any]:
        def look(path: Any, *arguments: Any, **named: Any) -> Any:
            if isinstance(path, int):
                return act(path, *arguments, **named)
            place = _place(path)
            if makes(*arguments, **named):
                absent.discard(place)
            elif place in absent:
                raise FileNotFoundError(2, "No such file or directory (remembered)", str(path))
            try:
                return act(path, *arguments, **named)
            except FileNotFoundError:
                absent.add(place)
                raise

        return look

    def listing(act: Callable[..., Any]) -> Callable[..., Any]:
        def list_(path: Any = ".") -> Any:
            if not isinstance(path, int):
                absent.difference_update([place for place in absent if place.parent == _place(path)])
            return act(path)

        return list_

    writes = lambda mode="r", *_, **__: any(letter in mode for letter in "wxa")  # noqa: E731
    for module, name in ((builtins, "open"), (io, "open")):
        monkeypatch.setattr(module, name, remembered(getattr(module, name), makes=writes))
    monkeypatch.setattr(os, "open", remembered(os.open, makes=lambda flags, *_, **__: bool(flags & os.O_CREAT)))
    monkeypatch.setattr(os, "stat", remembered(os.stat, makes=lambda *_, **__: False))
    for name in ("listdir", "scandir"):
        monkeypatch.setattr(os, name, listing(getattr(os, name)))


def _place(path: Any) -> Path:
    return Path(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100 - links are as they are
