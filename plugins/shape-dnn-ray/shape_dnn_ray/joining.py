"""How a search becomes part of a cluster of Ray, or starts one."""

from __future__ import annotations

import logging
import os
import socket

from shape_dnn import devices
from shape_dnn.errors import UnavailableError, describe

CONNECT_SECONDS = 5.0
"""How long the cluster may take to answer."""


def join(address: str) -> None:
    """Connect to a cluster; without an address to one that this machine is part of, or else start one.

    Raises:
        UnavailableError: there is none, or it cannot be started.
    """
    import ray
    from ray import exceptions

    _reach(address)
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # its coming default, said to be wanted
    try:
        if address:
            ray.init(address, configure_logging=True, logging_level=logging.ERROR, log_to_driver=False)
        else:
            _join_or_start()
    except (ConnectionError, exceptions.RayError, RuntimeError, ValueError) as error:
        raise _absent(address, error) from None


def _join_or_start() -> None:
    """Have a cluster of one's own run as much at once as other searches of this machine do.

    Ray itself would count processors that this process may not use, and round down what a container is granted.
    """
    import ray

    chosen = {"include_dashboard": False, "logging_level": logging.ERROR, "log_to_driver": False}
    try:
        ray.init(num_cpus=devices.cores(), **chosen)
    except ValueError:  # there is one already, whose nodes have said how many they have
        ray.init(**chosen)


def _reach(address: str) -> None:
    """See that somebody answers at an address, for which Ray itself would wait ten minutes.

    Raises:
        UnavailableError: nobody does.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        return  # one of Ray's own words, such as auto
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _absent(address, error) from None


def _absent(address: str, error: Exception) -> UnavailableError:
    named = f"at {address!r}" if address else "here"
    return UnavailableError(
        f"no Ray cluster {named}: {describe(error)[:300]}; start one with ray start --head, and name its address "
        "with -o executor.address=HOST:PORT"
    )
