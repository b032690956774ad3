"""Declares the executor ``ray`` to shape_dnn."""

from __future__ import annotations

from collections.abc import Iterable

from shape_dnn import Option, Plugin, hookimpl


@hookimpl
def shape_dnn_executors() -> Iterable[Plugin]:
    """Declare the executor; its code, and Ray, are imported when it is selected."""
    yield Plugin(
        "ray",
        "a Ray cluster, from this machine alone to many nodes",
        "shape_dnn_ray.executor:RayCluster",
        {
            "address": Option(help="HOST:PORT of the cluster; by default one that this machine is part of, or its own"),
            "threads": Option(help="threads, and processors, of each training on a processor", minimum=1),
            "shared": Option(help="whether all nodes see the directory of the study under its path"),
            "measure_on": Option(help="name of the resource of the node whose device is measured"),
        },
    )
