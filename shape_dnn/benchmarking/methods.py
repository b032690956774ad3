"""Ways of searching, and how they are named: ``default``, ``paper:thorough``, ``top-k:5``, ``model=ridge,train=12``."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import util
from typing import TYPE_CHECKING

from shape_dnn.benchmarking.method import Method
from shape_dnn.benchmarking.own import Own
from shape_dnn.errors import UnavailableError, UsageError
from shape_dnn.system.spelling import suggest

if TYPE_CHECKING:
    from shape_dnn.plugins.registry import Registry


@dataclass(frozen=True)
class Peer:
    """A method that is not a search of this project.

    Attributes:
        home: import path of its class, ``module:Class``, called with the setting if there is one.
        setting: what may follow the colon; empty if nothing may.
        package: what must be importable, and is installed by ``pip install``; empty if nothing.
        module: its name where it is imported, if that is another.
    """

    home: str
    setting: str = ""
    package: str = ""
    module: str = ""

    @property
    def installed(self) -> bool:
        """Whether it can be used."""
        return not self.package or util.find_spec(self.module or self.package.replace("-", "_")) is not None


def _peer(home: str, setting: str = "", package: str = "", module: str = "") -> Peer:
    return Peer(f"shape_dnn.benchmarking.peers.{home}", setting, package, module)


PEERS: Mapping[str, Peer] = {
    "random": _peer("baselines:Random", "the most trainings, 40"),
    "exhaustive": _peer("baselines:Exhaustive"),
    "largest-first": _peer("baselines:LargestFirst"),
    "bisection": _peer("baselines:Bisection"),
    "top-k": _peer("epochs:TopAfterOneEpoch", "how many are kept, 5"),
    "successive-halving": _peer("epochs:SuccessiveHalving", "one of how many goes on, 3"),
    "freeze-thaw": _peer("freeze_thaw:FreezeThaw", "percent of the epochs after which it looks, 1 and 50"),
    "expected-improvement": _peer("expected_improvement:ExpectedImprovement"),
    "optuna-tpe": _peer("optuna:Tpe", "the most trainings, 25", "optuna"),
    "optuna-tpe-log": _peer("optuna:TpeOfLogarithms", "the most trainings, 25", "optuna"),
    "optuna-gp": _peer("optuna:GaussianProcess", "the most trainings, 18", "optuna"),
    "botorch": _peer("botorch:BoTorch", "the most trainings, 18", "botorch"),
    "ax": _peer("ax:Ax", "the most trainings, 15", "ax-platform", "ax"),
    "syne-tune": _peer("syne_tune:Bore", "the most trainings, 15", "syne-tune"),
}
"""By name."""
DEFAULTS = ("default", "paper", "random")
"""What is compared unless something else is named."""
NAMES = ("default", "paper", *PEERS)


def installed() -> list[str]:
    """Return the names of all methods that can be used."""
    return [name for name in NAMES if name not in PEERS or PEERS[name].installed]


def parse(spec: str, registry: Registry) -> Method:
    """Make a method by its name on the command line.

    Args:
        spec: a name with an optional setting after a colon, or settings of a search of this project.
        registry: knows the plugins.

    Raises:
        UsageError: there is no such method or setting.
        UnavailableError: it is not installed; says how it is.
    """
    name, colon, setting = spec.partition(":")
    if "=" in name:
        return Own.parse(spec, registry)
    if name == "default" and not colon:
        return Own(spec, {}, registry)
    if name == "paper":
        return Own.parse(f"sampler=interval,model=paper,strategy={setting if colon else 'standard'}", registry, spec)
    if name not in PEERS:
        if name == "default":
            raise UsageError("'default' takes no setting; write them out, such as model=ridge", setting="method")
        message = f"there is no method {name!r}; {suggest(name, NAMES)}, and settings of a search such as model=ridge"
        raise UsageError(message, setting="method")
    peer = PEERS[name]
    if colon and not peer.setting:
        raise UsageError(f"{spec!r}: {name} takes no setting", setting="method")
    if not peer.installed:
        raise UnavailableError(f"method {name!r} needs {peer.package}: pip install '{peer.package}'")
    module, _, attribute = peer.home.partition(":")
    kind = getattr(importlib.import_module(module), attribute)
    method: Method = kind(_whole(spec, setting, peer)) if colon else kind()
    method.spec = spec
    return method


def _whole(spec: str, text: str, peer: Peer) -> int:
    """Read the setting of a peer."""
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise UsageError(f"{spec!r}: the setting is {peer.setting} by default, a whole number from 1", setting="method")
    return int(text)
