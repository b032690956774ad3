"""Plugins by name. Built-in ones come in by the same entry point as those of other packages."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shape_dnn.errors import PluginError, ShapeDnnError, UsageError, describe
from shape_dnn.kinds import Plugin
from shape_dnn.plugins import options
from shape_dnn.plugins.discovery import ALLOW_LIST, OWN_DISTRIBUTION, discover, is_name, normalise
from shape_dnn.plugins.sources import Choice, Entry, EntryState, Loaded
from shape_dnn.plugins.table_of_kinds import IN_REPOSITORY, KINDS, words
from shape_dnn.system.spelling import closest

if TYPE_CHECKING:
    from shape_dnn.kinds import Option, OptionValue


class Registry:
    """All plugins that were found.

    Args:
        files: plugin files given by path, beside the installed distributions.
        environ: read for the allow-list; ``os.environ`` by default.

    Raises:
        PluginError: a plugin file cannot be loaded. An installed distribution that cannot be is listed as failed.
    """

    def __init__(self, files: Iterable[Path] = (), environ: Mapping[str, str] | None = None) -> None:
        self.files = tuple({path.absolute(): path for path in files}.values())
        self._entries = discover(self.files, os.environ if environ is None else environ)

    def entries(self) -> list[Entry]:
        """List every plugin, sorted by kind, name and distribution, whatever the order of discovery."""
        return sorted(self._entries, key=lambda e: (e.kind or "", e.name, e.source.distribution, e.reason))

    def names(self, kind: str) -> list[str]:
        """List the names of the usable plugins of a kind, sorted."""
        return sorted({entry.name for entry in self._entries if entry.kind == kind and entry.state == EntryState.OK})

    def is_declared(self, kind: str, name: str) -> bool:
        """Tell whether a plugin of a kind is called so, whether it can be used or not."""
        return any(entry.kind == kind and entry.name == name for entry in self._entries)

    def load(self, kind: str, name: str, given: Mapping[str, object] | None = None) -> Loaded[Any]:
        """Create the object of a plugin.

        Args:
            kind: one of :data:`KINDS`.
            name: of the plugin.
            given: options by name; text is converted to the type of the option.

        Raises:
            UsageError: no such plugin or option, or not a value of the option.
            PluginError: the plugin failed to load, collides with another, or is not installed.
        """
        entry = self._find(kind, name)
        values = self.check_options(kind, name, given or {})
        with self._starting(entry):
            instance = _resolve(self.declaration(kind, name).factory)(**values)
        if not isinstance(instance, KINDS[kind].base):
            made, wanted = type(instance).__name__, KINDS[kind].base.__name__
            raise PluginError(f"{kind} {name!r} of {entry.source} made a {made}, which is not a shape_dnn.{wanted}")
        with contextlib.suppress(AttributeError):  # an object with slots is blamed by its class
            object.__setattr__(instance, "_plugin_label", f"{words(kind)} {name!r} of {entry.source}")
        content = "" if entry.source.is_file else _edited(entry.source.distribution, type(instance).__module__)
        paths = frozenset(option for option, each in self.declaration(kind, name).options.items() if each.is_path)
        return Loaded(Choice(kind, name, values, entry.source.version), entry.source, instance, content, paths)

    def options(self, kind: str, name: str) -> Mapping[str, Option]:
        """Return the options of a plugin, each with its default.

        Raises:
            UsageError: no such plugin.
            PluginError: the plugin cannot be used.
        """
        plugin = self.declaration(kind, name)
        if all(option.default is not None for option in plugin.options.values()):
            return plugin.options
        with self._starting(self._find(kind, name)):
            return options.complete(plugin.options, _resolve(plugin.factory))

    @contextlib.contextmanager
    def _starting(self, entry: Entry) -> Iterator[None]:
        """Lay what goes wrong at the door of a plugin."""
        try:
            yield
        except ShapeDnnError:
            raise
        except Exception as error:
            who = f"{entry.kind} {entry.name!r} of {entry.source}"
            raise PluginError(f"{who} failed to start: {describe(error)}") from error

    def load_again(self, choice: Choice) -> Any:
        """Create the object of a plugin that was chosen in another process.

        Raises:
            PluginError: the plugin is of another version here, or cannot be used.
        """
        loaded = self.load(choice.kind, choice.name, choice.options)
        if choice.version not in ("", loaded.source.version):
            raise PluginError(
                f"{words(choice.kind)} {choice.name!r} was {choice.version} when the search started and is "
                f"{loaded.source.version} in {loaded.source.distribution} where it is to be used; start again"
            )
        return loaded.instance

    def declaration(self, kind: str, name: str) -> Plugin:
        """Return what a plugin declared.

        Raises:
            UsageError: no such plugin.
            PluginError: the plugin cannot be used.
        """
        plugin = self._find(kind, name).plugin
        assert plugin is not None  # noqa: S101 - every entry of a kind has its declaration
        return plugin

    # Look-up

    def _find(self, kind: str, name: str) -> Entry:
        matches = [e for e in self._entries if e.kind == kind and e.name == name and e.plugin is not None]
        if not matches:
            raise self._unknown(kind, name)
        entry = matches[0]
        if entry.state == EntryState.COLLISION:
            in_file = any(e.source.is_file for e in matches)
            remedy = "rename the one in the file" if in_file else f"uninstall one, or name the other in {ALLOW_LIST}"
            raise PluginError(f"{entry.reason}; {remedy}")
        return entry

    def _unknown(self, kind: str, name: str) -> ShapeDnnError:
        flag = KINDS[kind].flag
        in_repository = {known: folder for (of_kind, known), folder in IN_REPOSITORY.items() if of_kind == kind}
        if name in in_repository:
            return PluginError(f"{words(kind)} {name!r} {_remedy(in_repository[name])}")
        for entry in self._entries:
            if entry.state == EntryState.BLOCKED and name in {entry.name, entry.source.distribution}:
                return PluginError(f"{kind} {name!r} of {entry.source} is blocked: {entry.reason}")
        known = self.names(kind)
        close = closest(name, {*known, *in_repository})
        remedy = "" if close in {*known, ""} else f" That {_remedy(in_repository[close])}"
        hint = f" (did you mean {close}?{remedy})" if close else ""
        message = f"no {words(kind)} is called {name!r}{hint}; known are: {', '.join(known) or 'none'}"
        failed = next((e for e in self._entries if e.state == EntryState.FAILED and e.kind in {kind, None}), None)
        if failed is not None and not close and is_name(name):
            return PluginError(f"{message}; it may be one of {failed.source}, which failed to load: {failed.reason}")
        blocked = sorted({str(e.source) for e in self._entries if e.state == EntryState.BLOCKED})
        if blocked:
            message += f"; {ALLOW_LIST} blocks {', '.join(blocked)}"
        return UsageError(message, setting=flag)

    def check_options(self, kind: str, name: str, given: Mapping[str, object]) -> dict[str, OptionValue]:
        """Return the value of every option of a plugin, the default for those that are not given.

        Raises:
            UsageError: no such plugin or option, or not a value of the option.
            PluginError: the plugin cannot be used.
        """
        declared, flag = self.options(kind, name), KINDS[kind].flag
        values = {option: each.default for option, each in declared.items() if each.default is not None}
        for option, value in given.items():
            if option not in declared:
                accepted = ", ".join(f"{flag}.{known}" for known in sorted(declared)) or "none"
                message = f"{flag}.{option} is not an option of {words(kind)} {name!r}; its options: {accepted}"
                raise UsageError(message, setting="option")
            values[option] = options.parse(f"{flag}.{option}", declared[option], value)
        return values


def _remedy(folder: str) -> str:
    return f"is not installed; from a checkout: pip install ./{folder}"


def _resolve(factory: Any) -> Any:
    if not isinstance(factory, str):
        return factory
    module, _, attribute = factory.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _edited(distribution: str, module: str) -> str:
    """Digest the package of a module if its distribution is installed for editing (PEP 610); nothing if it is not."""
    if normalise(distribution) == OWN_DISTRIBUTION:
        return ""
    try:
        record = json.loads(metadata.distribution(distribution).read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return ""
    file = getattr(sys.modules.get(module.partition(".")[0]), "__file__", None)
    if not record.get("dir_info", {}).get("editable") or file is None:
        return ""
    is_package = Path(file).name == "__init__.py"
    digest = hashlib.sha256()
    for path in sorted(Path(file).parent.rglob("*.py")) if is_package else [Path(file)]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]
