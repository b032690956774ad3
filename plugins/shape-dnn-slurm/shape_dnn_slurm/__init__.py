"""Declares the executor ``slurm`` to shape_dnn."""

from __future__ import annotations

from collections.abc import Iterable

from shape_dnn import Option, Plugin, hookimpl


@hookimpl
def shape_dnn_executors() -> Iterable[Plugin]:
    """Declare the executor; its code, and submitit, are imported when it is selected."""
    yield Plugin(
        "slurm",
        "jobs of Slurm, one for each training",
        "shape_dnn_slurm.executor:Slurm",
        {
            "partition": Option("", help="partition of the jobs; by default that of the cluster"),
            "account": Option("", help="account that the jobs are charged to"),
            "qos": Option("", help="quality of service of the jobs"),
            "constraint": Option("", help="features of nodes, as sbatch takes them"),
            "time": Option("", help="most time for a job: minutes, HH:MM:SS or DAYS-HH; by default 4 hours"),
            "memory": Option("", help="least memory of a job, such as 16G; by default what it is expected to need"),
            "cores": Option(0, help="processors of a job, at least; 0 for as many as it needs", minimum=0),
            "threads": Option(1, help="threads, and processors, of each training on a processor", minimum=1),
            "gpu": Option("", help="type of the GPUs, as the cluster calls it"),
            "setup": Option("", help="shell line that runs before Python, such as 'module load cuda'"),
            "python": Option("", help="command that starts Python on the nodes; by default this one"),
            "sbatch": Option("", help="further flags of sbatch, such as '--reservation=mine --nice=100'"),
            "measure_partition": Option("", help="partition of the node that is measured; by default that of others"),
            "measure_constraint": Option("", help="features of the node that is measured, as sbatch takes them"),
            "detach": Option(default=False, help="whether jobs go on when the search is interrupted"),
        },
    )
