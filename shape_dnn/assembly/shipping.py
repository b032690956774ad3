"""What ships and where it runs, from the settings."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from shape_dnn.assembly.own_trainer import Own
from shape_dnn.assembly.selection import Selection
from shape_dnn.errors import UsageError
from shape_dnn.kinds import Deployment, Instrument, Meter, Shipping, Target
from shape_dnn.measuring.forward_pass import Numerics
from shape_dnn.plugins.sources import Loaded
from shape_dnn.system.spelling import suggest
from shape_dnn.training import functions

HERE = "local"
MOST_TARGETS = 8
PORTS = range(1, 65536)


def targets(selection: Selection) -> dict[str, Target]:
    """Return the targets by name, this machine alone if none is named.

    Raises:
        UsageError: one cannot be read, two have the same name, or an option is of none.
    """
    named = [_split(text) for text in selection.settings.target or (HERE,)]
    names = [name for name, _ in named]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"two targets are called {twice!r}; write NAME=ssh://HOST to tell them apart", "target")
    if len(named) > MOST_TARGETS:
        raise UsageError(f"{len(named)} targets are too many; accepted are up to {MOST_TARGETS}", "target")
    given: dict[str, dict[str, str]] = {name: {} for name in names}
    for option, text in selection.options("target").items():
        owner, dot, rest = option.rpartition(".")
        if dot and owner not in given:
            raise UsageError(f"target.{option}: there is no target {owner!r}; {suggest(owner, names)}", "option")
        for name in [owner] if dot else names:
            if dot or rest not in given[name]:  # what is said of one counts more than what is said of all
                given[name][rest] = text
    return {name: _target(name, address, given[name]) for name, address in named}


def judge(selection: Selection, targets: Mapping[str, Target]) -> Target:
    """Return where qualities are judged: here, unless the user names a target, or says that the first one judges."""
    given = selection.options("target")
    named = [name for name in targets if _truth(given.get(f"{name}.judge", "false"))]
    willing = [name for name in targets if _truth(given.get(f"{name}.judge", given.get("judge", "false")))]
    return next((targets[name] for name in [*named, *willing]), Target())


def deployment(selection: Selection, targets: Mapping[str, Target]) -> Loaded[Deployment] | None:
    """Return what ships; None for networks as torch runs them here, with nothing more said.

    Raises:
        UsageError: there is no such deployment.
        PluginError: its plugin cannot be used.
    """
    settings = selection.settings
    if settings.deploy == "torch" and not selection.options("deploy") and all(t.is_here for t in targets.values()):
        return None
    return selection.load("deployment", settings.deploy)


def check(deployment: Loaded[Deployment] | None, own: Own | None, options: Iterable[str]) -> None:
    """See that there is something to ship, and that it can be judged where it may be worse.

    Args:
        deployment: what ships.
        own: the trainer, if it is the user's own.
        options: what is said of targets.

    Raises:
        UsageError: there is not, or it cannot; or something is said of targets and nothing ships.
    """
    for option in options if deployment is None else ():
        raise UsageError(f"target.{option} says something of a target, and nothing ships: give --deploy", "option")
    if deployment is None or own is None:
        return
    instance, trainer = deployment.instance, own.loaded.instance
    for function in ("build", "example"):
        if not instance.in_process and not functions.has(trainer, function):
            usage = ", ".join(functions.GIVEN[function])
            raise UsageError(f"{own.title} has no {function}({usage}), without which nothing ships", setting="trainer")
    needed = (["calibration"] if instance.calibration else []) + (["judge"] if instance.precision != "float32" else [])
    for function in needed:
        if not functions.has(trainer, function):
            usage = ", ".join(functions.GIVEN[function])
            problem = f"{own.title} has no {function}({usage}), without which nothing ships as {instance.precision}"
            raise UsageError(problem, setting="trainer")


def check_meters(
    deployment: Loaded[Deployment] | None,
    targets: Mapping[str, Target],
    meters: Mapping[str, Loaded[Meter]],
    options: Collection[str],
) -> None:
    """See that every meter measures what ships.

    Args:
        deployment: what ships; None for networks as torch runs them here.
        targets: where it runs, by name.
        meters: by metric.
        options: those that the user gives to meters, as ``threads`` or ``latency.threads``.

    Raises:
        UsageError: one would measure networks as torch runs them here, a metric names no target where it must, or a
            meter is told of what runs artifacts.
    """
    ships = deployment is not None and not all(
        Shipping(deployment.instance, target, Path()).in_process for target in targets.values()
    )
    for option in options if ships else ():
        owner, _, name = option.rpartition(".")
        if name in Numerics.OPTIONS and owner in ("", *(meter.choice.name for meter in meters.values())):
            remedy = f"write deploy.{name}" if name in ("precision", "threads") else "leave it out"
            message = f"meter.{option} is of networks as torch runs them here, and artifacts are measured; {remedy}"
            raise UsageError(message, setting="option")
    for metric, meter in meters.items():
        instance = meter.instance
        check_place(metric, instance, targets, "metrics")
        is_counted = metric == "size"  # whoever counts values goes by the precision that ships, and runs nothing
        if ships and isinstance(instance, Instrument) and not (instance.measures_artifacts or is_counted):
            message = f"{meter.choice.name!r} measures {metric} of networks as torch runs them here, not what ships"
            raise UsageError(message, setting="meter" if selected(meter, metric) else "deploy")


def check_place(metric: str, meter: Meter, targets: Collection[str], setting: str) -> None:
    """See that a metric names a target, as in ``latency@pi``, where there are several and it matters which.

    Args:
        metric: as the user wrote it.
        meter: what measures it.
        targets: their names.
        setting: that asks for it.

    Raises:
        UsageError: it names none, or one that there is not, or one though its value is the same everywhere.
    """
    base, at, target = metric.partition("@")
    matters = isinstance(meter, Instrument) and meter.measures_artifacts and meter.depends_on_device
    if at and target not in targets:
        raise UsageError(f"{metric}: there is no target {target!r}; here are: {', '.join(targets)}", setting)
    if at and not matters:
        raise UsageError(f"{metric}: {base} is the same wherever it runs; write {base}", setting)
    if matters and not at and len(targets) > 1:
        flag, value = ("--max ", "=VALUE") if setting.startswith("max") else ("", "")
        places = " or ".join(f"{flag}{base}@{name}{value}" for name in targets)
        raise UsageError(f"there are {len(targets)} targets, so say where: {places}", setting)


def selected(meter: Loaded[Meter], metric: str) -> bool:
    """Tell whether a meter was chosen for its metric, rather than called like it."""
    return meter.choice.name != metric.partition("@")[0]


def _split(text: str) -> tuple[str, str]:
    """Split ``NAME=ADDRESS``; a target without a name is called like its host."""
    name, equals, address = text.partition("=")
    if not equals:
        name, address = "", text
    address = address.strip()
    if not name.strip():
        match = _ADDRESS.fullmatch(address)
        name = HERE if address == HERE else (match["host"] if match else address)
    name = name.strip()
    if equals and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise UsageError(f"{name!r} cannot be the name of a target; use letters, digits, '.', '_' and '-'", "target")
    return name, address


_ADDRESS = re.compile(
    r"ssh://(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]*)@)?(?P<host>[A-Za-z0-9][A-Za-z0-9._:%-]*?|\[[0-9A-Fa-f:.%]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)


def _target(name: str, address: str, given: Mapping[str, str]) -> Target:
    unknown = next((option for option in given if option not in _OPTIONS), None)
    if unknown is not None:
        accepted = ", ".join(f"target.{option}" for option in _OPTIONS)
        raise UsageError(f"target.{unknown} is not an option of a target; accepted: {accepted}", setting="option")
    options: dict[str, Any] = {}
    for option, text in given.items():
        try:
            options[option] = _OPTIONS[option](text)
        except ValueError as error:
            message = f"target.{option}={text} is not accepted: it should be {error}"
            raise UsageError(message, setting="option") from None
    options.pop("judge", None)
    if address == HERE:
        if "ssh_config" in options:
            raise UsageError("target.ssh_config is for targets by ssh, and this one is local", setting="option")
        return Target(name, **options)
    match = _ADDRESS.fullmatch(address)
    if match is None or (match["port"] and int(match["port"]) not in PORTS):
        raise UsageError(f"{address!r} is not a target; accepted are local and ssh://[USER@]HOST[:PORT]", "target")
    port = int(match["port"]) if match["port"] else None
    return Target(name, match["host"].strip("[]"), match["user"] or "", port, **options)


def _cores(text: str) -> tuple[int, ...]:
    """Read numbers and ranges of processors, ``0,2-3``."""
    if not re.fullmatch(r"[0-9]{1,4}(-[0-9]{1,4})?(,[0-9]{1,4}(-[0-9]{1,4})?)*", text):
        raise ValueError("numbers of processors, such as 0,2-3")
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        cores = range(int(first), int(last or first) + 1)
        if not cores:
            raise ValueError("numbers of processors, in ranges from the lower one, such as 0,2-3")
        found += cores
    if len(set(found)) < len(found):
        raise ValueError("numbers of processors, each once, such as 0,2-3")
    return tuple(found)


def _celsius(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 20 <= value <= 150:
        raise ValueError("degrees Celsius from 20 to 150")
    return value


def _path(text: str) -> str:
    if not text.strip() or any(character in text for character in "\0\n\r"):
        raise ValueError("the path of a file, in one line")
    return text


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("true or false")
    return text.lower() == "true"


_OPTIONS: Mapping[str, Callable[[str], Any]] = {
    "python": _path,
    "ssh_config": _path,
    "cores": _cores,
    "hottest": _celsius,
    "judge": _truth,
}
"""What can be said of a target, and how it is read."""
