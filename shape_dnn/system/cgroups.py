"""Control groups of Linux, by which containers, services and jobs of a cluster have but a part of a machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

PROCESS = Path("/proc/self")
"""Where the system tells in which groups this process is, and where their directories are."""


def processors() -> int | None:
    """Return how many processors the groups of this process let it keep busy; None for as many as there are.

    They grant time, which may be that of 1.5 processors. This is rounded up, since the half would lie idle otherwise:
    what runs on a part of a processor takes longer, and comes to the same.
    """
    granted = []
    for group in _groups("cpu"):
        match _words(group / "cpu.max") or _words(group / "cpu.cfs_quota_us", group / "cpu.cfs_period_us"):
            case [quota, period] if quota.isdigit():  # otherwise it is max or -1
                granted.append(-(-int(quota) // int(period)))
    return min(granted, default=None)


def memory() -> list[tuple[int, int]]:
    """Return the bytes that each group of this process may have, and those that are free of them.

    What the system keeps of files counts as free, as far as it would give that back.
    """
    found = []
    for group in _groups("memory"):
        newer = _words(group / "memory.max", group / "memory.current")
        match newer or _words(group / "memory.limit_in_bytes", group / "memory.usage_in_bytes"):
            case [limit, used] if limit.isdigit():  # otherwise it is max
                told = _words(group / "memory.stat")
                kept = dict(zip(told[::2], told[1::2], strict=False))
                cached = kept.get("total_inactive_file", kept.get("inactive_file", "0"))  # version 1 has both
                found.append((int(limit), max(0, int(limit) - int(used) + int(cached))))
    return found


def _groups(controller: str) -> Iterator[Path]:
    """Yield the directory of each group by which a controller may limit this process: its own, and those around it.

    Version 1 has a hierarchy for each controller, version 2 one for all, and a system may have both.
    """
    own: dict[str, str] = {}
    for line in _lines(PROCESS / "cgroup"):
        _, controllers, group = line.split(":", 2)
        own |= dict.fromkeys(controllers.split(","), group)
    for line in _lines(PROCESS / "mountinfo"):
        mount, _, system = line.partition(" - ")
        kind, *_, options = system.split()
        name = "" if kind == "cgroup2" else controller
        if name not in own or not (kind == "cgroup2" or (kind == "cgroup" and controller in options.split(","))):
            continue
        root, place = (re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), each) for each in mount.split()[3:5])
        # A container may see its own groups alone, and then not be told by which name others know them.
        path = PurePosixPath(own[name])
        below = path.relative_to(root) if path.is_relative_to(root) else PurePosixPath()
        for each in (below, *below.parents):
            yield Path(place) / each


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:  # a system without groups
        return []
    return [line for line in text.split("\n") if line]  # a name may hold what else is taken for the end of a line


def _words(*paths: Path) -> list[str]:
    """Return what stands in files; nothing if one of them is not there, as in groups without that controller."""
    try:
        return [word for path in paths for word in path.read_text(encoding="ascii").split()]
    except OSError:
        return []
