"""Finding plugins: installed distributions and files are read, and a broken one becomes an entry that says why."""

from __future__ import annotations

import hashlib
import multiprocessing
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pluggy

from shape_dnn import hookspecs
from shape_dnn.errors import PluginError, UsageError, describe
from shape_dnn.kinds import Plugin
from shape_dnn.plugins import options
from shape_dnn.plugins.sources import Entry, EntryState, Source
from shape_dnn.plugins.table_of_kinds import KINDS, Kind
from shape_dnn.system.spelling import suggest

GROUP = "shape_dnn"
"""Entry-point group of plugin packages, and the name of the pluggy project."""
ALLOW_LIST = "SHAPE_DNN_PLUGINS"
"""Environment variable with the third-party distributions to allow, separated by commas; all if it is not set."""
OWN_DISTRIBUTION = "shape-dnn"
SLOW = 1.0
"""Seconds that loading a plugin may take before the user is told."""


def discover(files: Iterable[Path], environ: Mapping[str, str]) -> list[Entry]:
    """Read every plugin.

    Args:
        files: plugin files given by path, beside the installed distributions.
        environ: read for the allow-list.

    Raises:
        PluginError: a plugin file cannot be loaded. An installed distribution that cannot be is listed as failed.
    """
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    entries = _read_distributions(manager, environ)
    for path in files:
        entries += _read_file(manager, path)
    return _with_collisions(entries)


def _read_distributions(manager: pluggy.PluginManager, environ: Mapping[str, str]) -> list[Entry]:
    entries: list[Entry] = []
    allowed = environ.get(ALLOW_LIST)
    allow = None if allowed is None else {normalise(name) for name in allowed.split(",") if name.strip()}
    known = set()
    # Not pluggy's load_setuptools_entrypoints: it drops a second distribution with the same entry-point name.
    for point in metadata.entry_points(group=GROUP):
        distribution, version = ("unknown", "") if point.dist is None else (point.dist.name, point.dist.version)
        source = Source(distribution, version)
        names = {normalise(distribution), normalise(point.name)}
        known |= names
        own = normalise(distribution) == OWN_DISTRIBUTION
        if not own and allow is not None and not names & allow:
            reason = f"{ALLOW_LIST} does not name it"
            entries.append(Entry(point.name, None, source, EntryState.BLOCKED, reason))
        else:
            entries += _read(manager, point.name, source, point.load)
    for name in sorted((allow or set()) - known):
        warnings.warn(f"{ALLOW_LIST} names {name!r}, and no such plugin package is installed", stacklevel=2)
    return entries


def _read_file(manager: pluggy.PluginManager, path: Path) -> list[Entry]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror}", setting="plugin") from None
    digest = hashlib.sha256(content).hexdigest()[:12]
    source = Source(str(path), digest, is_file=True)
    entries = _read(manager, path.stem, source, lambda: _import_file(path, content, digest))
    failed = next((entry for entry in entries if entry.state == EntryState.FAILED), None)
    if failed is not None:
        raise PluginError(f"plugin file {path} failed to load: {failed.reason}")
    if not entries:
        raise PluginError(f"plugin file {path} declares no plugin; is @hookimpl missing above its hook?")
    return entries


def _read(manager: pluggy.PluginManager, name: str, source: Source, load: Callable[[], object]) -> list[Entry]:
    """Import a plugin module and collect its declarations; a failure becomes an entry instead of an exception."""
    entries: list[Entry] = []
    started = time.perf_counter()
    try:
        module = load()
        manager.register(module, name=f"{source.distribution}:{name}")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a stranger's import raises
        entries.append(Entry(name, None, source, EntryState.FAILED, describe(error)))
    else:
        try:
            manager.check_pending()
        except pluggy.PluginValidationError as error:
            manager.unregister(module)
            entries.append(Entry(name, None, source, EntryState.FAILED, _misspelt(error)))
        else:
            for kind in KINDS.values():
                entries += _collect(manager, name, kind, source, module)
    seconds = time.perf_counter() - started
    if seconds > SLOW and multiprocessing.parent_process() is None:  # once, and not by every worker
        remedy = "" if source.is_file else f"; {ALLOW_LIST} can leave it out"
        warnings.warn(f"loading {source} took {seconds:.1f} s of every start{remedy}", stacklevel=2)
    return entries


def _collect(manager: pluggy.PluginManager, name: str, kind: Kind, source: Source, module: object) -> list[Entry]:
    caller = getattr(manager.hook, kind.hook)
    entries: list[Entry] = []
    for implementation in caller.get_hookimpls():
        if implementation.plugin is not module:
            continue
        try:
            _refuse_wrapper(implementation)
            plugins = [_check_declaration(record) for record in implementation.function()]
        except (Exception, SystemExit) as error:  # noqa: BLE001
            entries.append(Entry(name, kind.name, source, EntryState.FAILED, f"{kind.hook}: {describe(error)}"))
        else:
            entries += [Entry(plugin.name, kind.name, source, EntryState.OK, plugin=plugin) for plugin in plugins]
    return entries


def _with_collisions(entries: Iterable[Entry]) -> list[Entry]:
    entries = list(entries)
    sources: dict[tuple[str | None, str], list[Source]] = {}
    for entry in entries:
        if entry.plugin is not None:
            sources.setdefault((entry.kind, entry.name), []).append(entry.source)
    for i, entry in enumerate(entries):
        rivals = sources.get((entry.kind, entry.name), [])
        if entry.plugin is not None and len(rivals) > 1:
            both = " and ".join(sorted(str(source) for source in rivals))
            reason = f"{both} both declare {entry.kind} {entry.name!r}"
            entries[i] = Entry(entry.name, entry.kind, entry.source, EntryState.COLLISION, reason, entry.plugin)
    return entries


def _refuse_wrapper(implementation: pluggy.HookImpl) -> None:
    if implementation.wrapper or implementation.hookwrapper:
        raise TypeError("hook wrappers are not accepted")


def _check_declaration(record: object) -> Plugin:
    if not isinstance(record, Plugin):
        raise TypeError(f"yielded {record!r:.60}, which is not a shape_dnn.Plugin")
    if not (isinstance(record.name, str) and is_name(record.name)):
        raise ValueError(f"plugin name {record.name!r} is not made of lower-case letters, digits and hyphens")
    if not (callable(record.factory) or isinstance(record.factory, str)):
        raise TypeError(f"the factory of {record.name!r} is neither callable nor an import path")
    if not (isinstance(record.summary, str) and "\n" not in record.summary):
        raise TypeError(f"the summary of {record.name!r} is {record.summary!r:.40} instead of a line of text")
    if isinstance(record.factory, str) and not re.fullmatch(r"[\w.]+:\w+", record.factory):
        raise ValueError(f"the factory of {record.name!r} is {record.factory!r}; expected 'package.module:name'")
    for name, option in dict(record.options).items():
        wrong = options.fault_of(name, option)
        if wrong:
            raise TypeError(f"option {name!r} of {record.name!r} {wrong}")
    return record


def _import_file(path: Path, content: bytes, digest: str) -> ModuleType:
    # The digest in the name keeps files of one name apart, and a changed file from its former self.
    name = f"shape_dnn_plugin_{re.sub(r'[^0-9A-Za-z]', '_', path.stem)}_{digest}"
    place = str(path.absolute())
    if name in sys.modules and sys.modules[name].__file__ == place:  # a copy may find other files beside it
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = place
    sys.modules[name] = module
    try:
        # Not Python's importer: it may run bytecode of a former content, and the digest would name what was not run.
        exec(compile(content, path, "exec"), vars(module))  # noqa: S102 - a plugin is code that the user chose to run
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _misspelt(error: pluggy.PluginValidationError) -> str:
    match = re.search(r"unknown hook '(\w+)'", str(error))
    if match is None:
        return describe(error)
    hooks = [kind.hook for kind in KINDS.values()]
    return f"unknown hook {match[1]!r} ({suggest(match[1], hooks)})"


def is_name(text: str) -> bool:
    """Tell whether a plugin can be called so."""
    return re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", text) is not None


def normalise(name: str) -> str:
    """Write the name of a distribution as it is compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
