"""How things are written: text of strangers on a terminal, numbers, lists, processes. Standard library only."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable


def visible(text: str) -> str:
    """Write characters that would steer the terminal, or cannot be seen, by their escape sequence."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def encodable(text: str) -> str:
    """Replace what no encoding can write, such as bytes of a file name that are no UTF-8, by question marks."""
    return text.encode(errors="replace").decode()


def one_line(text: str) -> str:
    """Make one visible line of a message."""
    return visible(" ".join(text.split()))


def counted(number: int, one: str, several: str = "") -> str:
    """Write how many there are of something: ``1 shape``, ``1,000 shapes``; the plural has an s unless it is given."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def listed(given: Iterable[str]) -> list[str]:
    """Return names that stand in one text with commas between them, or one by one."""
    parts = given.split(",") if isinstance(given, str) else given
    return [part.strip() for part in parts if part.strip()]


def grouped(text: str) -> str:
    """Put a comma after every three digits before the point of the numbers in a text, such as ``<= 2000000``."""
    return re.sub(r"(?<![\d.])\d{4,}", lambda digits: f"{int(digits[0]):,}", text)


def process_named(pid: int, host: str) -> str:
    """Name a process by its number and its machine; if it is this one, say so, as another thread of it is meant."""
    this = ", which is this one" if (pid, host) == (os.getpid(), socket.gethostname()) else ""
    return f"process {pid} on {host}{this}"
