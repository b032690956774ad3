"""What the contracts of all kinds have in common."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from shape_dnn.plugins.registry import Registry


class Contract:
    """What a plugin of a kind must keep to. Derive a test class, name the plugin, and pytest runs every check on it.

    A plugin that is not installed is made by a fixture ``plugin`` of the derived class instead::

        class TestMine(SamplerContract):
            @pytest.fixture
            def plugin(self):
                return Mine(ends=2)

    Attributes:
        name: name of the plugin, as it is declared.
        options: options with which the plugin is made.
        exceptions: names of checks that do not apply to the plugin, each with the reason, which is shown.
    """

    kind: ClassVar[str]
    name: ClassVar[str] = ""
    options: ClassVar[Mapping[str, Any]] = {}
    exceptions: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **more: object) -> None:
        super().__init_subclass__(**more)
        for attribute in ("options", "exceptions"):
            if not isinstance(getattr(cls, attribute), Mapping):
                raise TypeError(f"{cls.__name__}.{attribute} is not a mapping, such as {{'name': 'value'}}")
        for check, reason in cls.exceptions.items():
            if check not in cls.checks():
                raise TypeError(f"{cls.__name__} excepts {check!r}, which is none of {', '.join(cls.checks())}")
            if not reason.strip():
                raise TypeError(f"{cls.__name__} gives no reason why {check!r} does not apply")

    @classmethod
    def checks(cls) -> tuple[str, ...]:
        """Return the names of all checks."""
        return tuple(sorted(name for name in dir(cls) if name.startswith("test_")))

    @pytest.fixture
    def plugin(self) -> Any:
        """The plugin, made anew for every check."""
        if not self.name:
            pytest.fail(
                f"{type(self).__name__} needs a `name`, or a fixture `plugin` that makes the plugin", pytrace=False
            )
        return Registry().load(self.kind, self.name, self.options).instance

    @pytest.fixture
    def twin(self, plugin: Any) -> Any:
        """Another one like it: made anew, as in another process, or a copy if a fixture makes the plugin."""
        if inspect.getattr_static(self, "plugin") is not vars(Contract)["plugin"]:
            return copy.deepcopy(plugin)
        return Registry().load(self.kind, self.name, self.options).instance

    @pytest.fixture(autouse=True)
    def _counted(self, request: pytest.FixtureRequest) -> None:
        """Skip the checks that are excepted, and keep count of the others."""
        told = tally(request.config)
        reason = self.exceptions.get(getattr(request.function, "__name__", ""))
        if reason is not None:
            told.excepted.append(f"{type(self).__name__}.{request.function.__name__}: {reason}")
            pytest.skip(reason)
        told.ran.append(type(self).__name__)


class _Tally:
    """The checks that ran, and those that were left out; shown at the end of a test session.

    Processes of pytest-xdist hand their tallies over to the process that shows them, if that has a tally.
    """

    NAME = "shape_dnn_contracts"

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.excepted: list[str] = []

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput[self.NAME] = (self.ran, self.excepted)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        ran, excepted = getattr(node, "workeroutput", {}).get(self.NAME, ((), ()))
        self.ran += ran
        self.excepted += excepted

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.ran:
            return
        terminalreporter.write_sep("=", "contracts of shape_dnn")
        terminalreporter.write_line(f"{len(self.ran)} checks of {len(set(self.ran))} plugins ran")
        for line in self.excepted:
            terminalreporter.write_line(f"excepted: {line}")


def tally(config: pytest.Config) -> _Tally:
    """Return the tally of a test session, which is shown at its end."""
    known = config.pluginmanager.get_plugin(_Tally.NAME)
    if known is None:
        known = _Tally()
        config.pluginmanager.register(known, _Tally.NAME)
    assert isinstance(known, _Tally)
    return known
