"""The plugins of a search: looked up by name, with the options that are meant for them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from shape_dnn.constraints import base_of
from shape_dnn.errors import PluginError, UsageError
from shape_dnn.kinds import Formula, Meter, Option
from shape_dnn.plugins import checked_meters, options
from shape_dnn.plugins.registry import Registry
from shape_dnn.plugins.sources import Loaded
from shape_dnn.plugins.table_of_kinds import KINDS
from shape_dnn.settings import Settings
from shape_dnn.system import operating

SHARED_OPTIONS = ("seed", "data_dir", "batch_size")
"""Plugin options that take the setting of the same name unless they are given themselves."""
OTHERS = ("recipe", "target")
"""What has options and is no kind of plugin."""
SEVERAL = ("meter", "observer")
"""Kinds of which a search uses several plugins: an option goes to all that have it, or as NAME.OPTION to one."""


class Selection:
    """Which plugins a search uses, and with which options.

    Args:
        settings: what the user wants.
        registry: plugins that were found.

    Raises:
        UsageError: an option is not of the form KIND.OPTION=VALUE, or of no plugin.
        UnavailableError: this is no system that searches run on.
    """

    def __init__(self, settings: Settings, registry: Registry) -> None:
        operating.check()  # here, since nothing is searched, asked or compared without one
        self.settings, self.registry = settings, registry
        self._options = split_options(settings.option, registry)
        self.meters_by_metric = dict(split_pair("meter", text) for text in settings.meter)
        self._loaded: list[Loaded[Any]] = []

    @property
    def plugins(self) -> list[dict[str, str]]:
        """Name, distribution and version of every plugin used so far, sorted."""
        records = {tuple(loaded.provenance.items()) for loaded in self._loaded}
        return [dict(record) for record in sorted(records)]

    def options(self, flag: str) -> dict[str, str]:
        """Return the options that were given for a kind, by the flag that selects it, or for the recipe."""
        return self._options.get(flag, {})

    def check(self, passed_over: Collection[str] = ()) -> None:
        """Look up every plugin that the settings name and check every option, whether the search needs them or not.

        Args:
            passed_over: flags whose setting is no name of a plugin.

        Raises:
            UsageError: a name or an option is not known.
            PluginError: a plugin cannot be used.
        """
        for kind in KINDS.values():
            if kind.flag in SEVERAL or kind.flag in passed_over:
                continue
            name, options = getattr(self.settings, kind.flag), self.options(kind.flag)
            if name is not None:
                self.registry.check_options(kind.name, name, options)
            elif options:
                message = f"{kind.flag}.{next(iter(options))} is given without --{kind.flag}"
                raise UsageError(message, setting="option")
        for name in self.settings.observer:
            self.registry.declaration("observer", name)
        for name in self.meters_by_metric.values():
            self.registry.declaration("meter", name)

    def load(self, kind: str, name: str, given: Mapping[str, str] | None = None) -> Loaded[Any]:
        """Create the plugin of a kind of which a search uses one, with the options given for that kind or others."""
        return self._load(kind, name, self.options(KINDS[kind].flag) if given is None else given)

    def load_one_of_several(self, kind: str, name: str) -> Loaded[Any]:
        """Create one of several plugins of a kind with those options that are meant for it."""
        plugin = self.registry.declaration(kind, name)
        options = self.options(KINDS[kind].flag)
        given = {option: text for option, text in options.items() if option in plugin.options}
        # What is said of one counts more than what is said of all.
        given |= {rest: text for option, text in options.items() if (rest := option.removeprefix(f"{name}.")) != option}
        if (kind, name) == ("meter", "size") and self.settings.trainer != "classifier":
            given = {"counted": "true", **given}  # there is no closed form for what somebody's function builds
        if kind == "meter" and self.settings.deploy == "torch":  # which meters run as they always did
            own = self.options("deploy").items()
            given = {**{option: text for option, text in own if option in plugin.options}, **given}
        return self._load(kind, name, given)

    def load_meter(self, metric: str) -> Loaded[Meter]:
        """Create the meter of a metric: the one that was chosen for it, or else the one of its name.

        Raises:
            UsageError: it measures another metric.
            PluginError: there is none, or it breaks the rules of its kind.
        """
        metric = base_of(metric)
        name = self.meter_of(metric)
        meter: Loaded[Meter] = self.load_one_of_several("meter", name)
        measured = checked_meters.metric(meter.instance)
        if measured != metric:
            remedy = f"; to use it write --meter {measured}={name}, and {measured} for {name}" if name == metric else ""
            raise UsageError(f"meter {name!r} measures {measured}, not {metric}{remedy}", setting="meter")
        checked_meters.check_unit(meter.instance)
        return meter

    def meter_of(self, metric: str) -> str:
        """Return the name of the meter of a metric."""
        metric = base_of(metric)
        return self.meters_by_metric.get(metric, metric)

    def _load(self, kind: str, name: str, given: Mapping[str, str]) -> Loaded[Any]:
        declared = self.registry.declaration(kind, name).options
        shared = {
            option: value
            for option in SHARED_OPTIONS
            if option in declared and (value := getattr(self.settings, option)) is not None
        }
        return self.note(self.registry.load(kind, name, {**shared, **given}))

    def note(self, loaded: Loaded[Any]) -> Loaded[Any]:
        """Count something among the plugins that were used."""
        self._loaded.append(loaded)
        return loaded


def is_formula(meter: Loaded[Meter]) -> bool:
    """Tell whether a meter computes rather than measures."""
    return isinstance(meter.instance, Formula)


def split_pair(setting: str, text: str) -> tuple[str, str]:
    """Split ``METRIC=VALUE``, or ``METRIC=NAME`` for a meter.

    Raises:
        UsageError: it is not of this form.
    """
    name, equals, value = text.partition("=")
    if not (name.strip() and equals and value.strip()):
        form = "METRIC=NAME" if setting == "meter" else "METRIC=VALUE"
        raise UsageError(f"{text!r} is not of the form {form}", setting=setting)
    return name.strip(), value.strip()


def split_options(texts: Iterable[str], registry: Registry) -> dict[str, dict[str, str]]:
    """Read ``KIND.OPTION=VALUE`` texts: options by name, for each kind by its flag and for the recipe.

    Raises:
        UsageError: one is not of this form, or of no kind, or given twice.
    """
    flags = [kind.flag for kind in KINDS.values()]
    options: dict[str, dict[str, str]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        flag, dot, option = name.strip().partition(".")
        if not (equals and dot and option):
            raise UsageError(f"{text!r} is not of the form KIND.OPTION=VALUE", setting="option")
        if flag not in {*flags, *OTHERS}:
            accepted = ", ".join([*flags, *OTHERS])
            raise UsageError(f"{text!r}: {flag!r} is not a kind; known are {accepted}", setting="option")
        if flag in SEVERAL:
            _check_declared(registry, flag, option, value)
        if option in options.setdefault(flag, {}):
            raise UsageError(f"{flag}.{option} is given twice", setting="option")
        options[flag][option] = value
    return options


def _check_declared(registry: Registry, kind: str, option: str, value: str) -> None:
    """Refuse an option that no installed plugin of the kind has or accepts, whether it is in use or not.

    Raises:
        UsageError: there is no such option, or the value is none of it.
        PluginError: it may be one of a plugin that does not start.
    """
    accepted: dict[str, list[Option]] = {}
    broken: list[PluginError] = []
    for name in registry.names(kind):
        try:
            found = registry.options(kind, name)
        except PluginError as error:  # which is no matter as long as nobody asks for it
            broken.append(error)
            continue
        for own, declared in found.items():
            accepted.setdefault(own, []).append(declared)
            accepted[f"{name}.{own}"] = [declared]
    if option not in accepted and broken:
        raise broken[0]
    if option not in accepted:
        known = ", ".join(f"{kind}.{label}" for label in sorted(accepted)) or "none"
        raise UsageError(f"{kind}.{option} is not an option of any {kind}; accepted: {known}", setting="option")
    refusals = []
    for declared in accepted[option]:
        try:
            options.parse(f"{kind}.{option}", declared, value)
        except UsageError as error:
            refusals.append(error)
    if len(refusals) == len(accepted[option]):
        raise refusals[0]
