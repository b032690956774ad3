"""Reading back what was exported."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, overload

import torch

from shape_dnn.errors import ExportError, UsageError
from shape_dnn.exporting import CARD, FORMATS, classifier, own_network
from shape_dnn.exporting.artifact import Shipped
from shape_dnn.exporting.artifact import read as read_artifact
from shape_dnn.exporting.card import FORMAT
from shape_dnn.exporting.checks import naming


@overload
def load(directory: str | Path, *, plugin: str | Sequence[str] = (), artifact: Literal[True]) -> Shipped: ...
@overload
def load(directory: str | Path, *, plugin: str | Sequence[str] = ()) -> classifier.Classifier: ...
@overload
def load(directory: str | Path, *, plugin: str | Sequence[str] = (), trainer: str | Path) -> torch.nn.Module: ...
def load(
    directory: str | Path,
    *,
    plugin: str | Sequence[str] = (),
    trainer: str | Path | None = None,
    artifact: bool = False,
) -> torch.nn.Module | Shipped:
    """Read back a network that was exported.

    Args:
        directory: that :func:`shape_dnn.export` has written.
        plugin: Python files that declare the architecture or the trainer, if it is not an installed one.
        trainer: name or file of the trainer, if it was not the built-in one: its code builds the network, so name the
            file only if you trust it.
        artifact: whether to load what ships instead of the network, in its runtime.

    Returns:
        The network, for inference on the processor; its parameters can be trained further. A
        :class:`shape_dnn.Classifier`, or with another trainer what that builds. Of what ships, something to call with
        inputs of any number.

    Raises:
        UsageError: nothing was exported to the directory, or the trainer is not named.
        ExportError: a file is damaged or missing, or the architecture or the trainer is another one here.
        PluginError: the architecture is not installed, or failed.
        NetworkError: the trainer failed to build the network.
    """
    directory = Path(directory)
    path = directory / CARD
    if not path.is_file():
        below = ", ".join(repr(str(found.parent)) for found in sorted(directory.glob(f"export/*/{CARD}")))
        remedy = f"name one of {below}" if below else "shape-dnn export does so"
        raise UsageError(f"nothing was exported to {str(directory)!r} (no {CARD}); {remedy}")
    files = [plugin] if isinstance(plugin, str) else plugin
    with naming(path):
        card = json.loads(path.read_text(encoding="utf-8"))
        if card["format"] != FORMAT:
            raise ExportError(f"{str(path)!r} is of format {card['format']!r:.20}; this version reads {FORMAT}")
        if artifact:
            return read_artifact(card, path, files)
        if "trainer" not in card:
            if trainer is not None:
                raise UsageError("the network was trained by the classifier; leave it out", setting="trainer")
            return classifier.read(card, path, files)
        if trainer is None:
            alone = f"torch.export.load({str(directory / FORMATS['pt2'])!r}).module() runs without"
            message = f"trainer {card['trainer']['name']!r} builds the network; name it, or its file if you trust it"
            raise UsageError(f"{message}; {alone}", setting="trainer")
        return own_network.read(card, path, trainer, files)
