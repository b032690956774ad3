"""``shape-dnn ask``: another question to a study."""

from __future__ import annotations

from typing import Any

import click

from shape_dnn.cli.config import gather, options
from shape_dnn.cli.help import Command
from shape_dnn.cli.output import DEBUG, FORMAT, print_result, results_only
from shape_dnn.settings import QUESTION


@click.command(
    "ask",
    cls=Command,
    examples={
        "The most accurate shape within 2 ms:": "shape-dnn ask shape-dnn-study --max-latency 2ms --goal accuracy"
    },
)
@click.argument("study")
@options(*QUESTION, "option", "plugin")
@FORMAT
@DEBUG
def command(study: str, output: str, **flags: Any) -> None:
    """Answer with other limits or another goal from what STUDY knows. Nothing is measured or trained."""
    gathered = gather(flags, None, environ={})
    gathered.origins["study"] = "STUDY"

    from shape_dnn.answers.question import ask

    with gathered.named(), results_only():
        result = ask(study, **gathered.values)
    print_result(result, output)
    result.raise_if_empty()
