"""What is to be known of a target before anything is measured there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from shape_dnn.deploying.session import Session
from shape_dnn.kinds import Deployment, Shipping, Target, Workload

WAITING = 30.0
"""Seconds for another study, or a former runner of this one, to leave the target."""


@dataclass(frozen=True)
class Acquaintance:
    """What a target says of itself.

    Attributes:
        fingerprint: what determines measurements there.
        warnings: what makes them worse than they need be, with the remedy.
    """

    fingerprint: Mapping[str, object]
    warnings: tuple[str, ...]


_met: WeakKeyDictionary[Deployment, dict[Target, Acquaintance]] = WeakKeyDictionary()


def session(shipping: Shipping) -> Session:
    """Return the way to the target, to be entered."""
    return Session(shipping.deployment, shipping.target, WAITING)


def meet(shipping: Shipping) -> Acquaintance:
    """Ask a target, once for all metrics of a search: as long as there is its deployment.

    Raises:
        TargetError: it cannot be reached or used; the message says the remedy.
    """
    try:
        known = _met.setdefault(shipping.deployment, {})
    except TypeError:  # a dataclass that can be changed has no hash
        known = {}
    if shipping.target not in known:
        with session(shipping) as there:
            known[shipping.target] = Acquaintance(dict(there.fingerprint), tuple(there.warnings))
    return known[shipping.target]


def target_identity(workload: Workload) -> dict[str, object]:
    """Return what a meter of artifacts states of the target of a workload that ships.

    Raises:
        TargetError: it cannot be reached or used; the message says the remedy.
    """
    assert workload.shipping is not None  # noqa: S101 - it ships
    return {"target": dict(meet(workload.shipping).fingerprint)}


def target_remarks(workload: Workload) -> tuple[str, ...]:
    """Return what makes measurements on the target worse than they need be; nothing where nothing ships."""
    return meet(workload.shipping).warnings if workload.ships and workload.shipping is not None else ()
