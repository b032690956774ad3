"""Declares recorded tables to shape_dnn. They lie beside this file."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from shape_dnn import Plugin, TableFile, hookimpl

HERE = Path(__file__).parent
SUMMARIES = {
    "wrn-cifar10-jpeg": "24 Wide ResNets on CIFAR-10 as JPEG files, all 50,000 images, judged as in the paper",
    "wrn-digits": "63 Wide ResNets on handwritten digits, three trainings of each",
    "wrn-digits-paper-recipe": "the same 63 Wide ResNets with the recipe of the paper, one training of each",
    "wrn-digits-thin": "135 thin Wide ResNets on handwritten digits, two trainings of each",
    "wrn-fashion-mnist": "60 Wide ResNets on reduced images of Fashion-MNIST, three trainings of each",
    "wrn-mnist": "32 thin Wide ResNets on MNIST, all 60,000 images, judged as in the paper",
}


@hookimpl
def shape_dnn_tables() -> Iterable[Plugin]:
    """Declare them; nothing is read before one is selected."""
    for name, summary in SUMMARIES.items():
        yield Plugin(name, summary, partial(TableFile, HERE / f"{name}.csv", HERE / f"{name}-curves.csv"))
