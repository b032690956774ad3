"""``shape-dnn space``: the shapes and their sizes."""

from __future__ import annotations

import sys
from typing import Any

import click

from shape_dnn.answers.words import number
from shape_dnn.cli.config import gather, options
from shape_dnn.cli.help import Command
from shape_dnn.cli.output import CONFIG, DEBUG, FORMAT, print_table, results_only
from shape_dnn.errors import NothingCompliesError
from shape_dnn.system.text import counted


@click.command(
    "space",
    cls=Command,
    examples={"The shapes of up to 0.2 MB:": "shape-dnn space --max-size 0.2MB"},
)
@CONFIG
@options("trainer", "arch", "dataset", "data_dir", "depth", "width", "max_size", "max", "min", "option", "plugin")
@FORMAT
@DEBUG
def command(config: str | None, output: str, **flags: Any) -> None:
    """List the shapes of a design space and their sizes. Limits on size are applied."""
    gathered = gather(flags, config)
    settings = gathered.settings()

    from shape_dnn.api.space import sized_shapes
    from shape_dnn.assembly.assembly import Assembly

    with gathered.named(), results_only():
        shapes = sized_shapes(Assembly(settings))
    write = sys.stdout.write
    if output == "json":
        # By hand, since a space can have millions of shapes: floats print in JSON as Python prints them.
        write(
            "[" + ",\n ".join(f'{{"depth": {s.depth}, "width": {w!r}, "size": {m!r}}}' for s, w, m in _floats(shapes))
        )
        write("]\n")
    elif output == "csv":
        write("depth,width,size\n" + "".join(f"{s.depth},{w!r},{m!r}\n" for s, w, m in _floats(shapes)))
    else:
        rows = ([str(shape.depth), str(shape.width), number(size)] for shape, size in shapes)
        print_table(rows, ["depth", "width", "size [MB]"], title=counted(len(shapes), "shape"))
    if not shapes:
        raise NothingCompliesError(
            "nothing complies: no shape is within the limits on size; without them shape-dnn space lists all sizes"
        )


def _floats(shapes: Any) -> Any:
    width, as_float = None, 0.0
    for shape, size in shapes:
        if shape.width is not width:
            width, as_float = shape.width, float(shape.width)
        yield shape, as_float, size
