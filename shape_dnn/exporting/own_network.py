"""A network that a trainer of the user's own builds: that of a study, and how it is read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from shape_dnn.assembly import own_trainer
from shape_dnn.errors import ExportError, UsageError
from shape_dnn.exporting import FORMATS
from shape_dnn.exporting.checks import check_identity, naming, read_shape
from shape_dnn.exporting.choice import Found
from shape_dnn.exporting.trained import Trained
from shape_dnn.kinds import Workload
from shape_dnn.measuring import inputs
from shape_dnn.plugins import checked
from shape_dnn.shape import Shape
from shape_dnn.system.text import one_line
from shape_dnn.training import task

COMPARED = 1, 2, 5
"""Sizes of the batches on which the files are compared with the network."""


class TrainedByOwn(Trained):
    """A network that a trainer of the user's own has trained.

    Args:
        found: its training.
        trainer: name or file of the trainer, as the user names it again; None if nobody does.

    Raises:
        UsageError: the trainer has to be named again, or cannot be used.
        ExportError: it is not the one that the network was trained with.
    """

    output = "output"
    examples = "examples"

    def __init__(self, found: Found, trainer: str | Path | None) -> None:
        super().__init__(found)
        settings = found.known.parts.settings
        if trainer is None and own_trainer.is_file(settings.trainer):
            # A study may come from a stranger, and a trainer is a program.
            message = f"the study was made with {settings.trainer!r}; name the file again if you trust it"
            raise UsageError(message, setting="trainer")
        with found.known.store.decoding():
            remembered = found.identity["trainer"]
            self._identity = {
                **{part: str(remembered[part]) for part in ("name", "from")},
                "options": {str(name): str(value) for name, value in remembered["options"].items()},
            }
        self._own = _trainer(trainer or settings.trainer, self._identity, settings.plugin)

    def build(self) -> torch.nn.Module:
        """Have the trainer build it."""
        return _build(self._own, self.shape, self.found.weights)

    def as_it_ships(self) -> torch.nn.Module:
        """Have the trainer build it for another runtime (:meth:`shape_dnn.kinds.Trainer.ship`)."""
        trainer, weights = self._own.loaded.instance, self.found.weights
        with torch.random.fork_rng(devices=[]), checked.blame_network(*self._blamed(checked.BUILD)):
            return trainer.ship(self.shape, task.Trained(self._own.title, trainer, self.made["seed"], weights))

    def example(self, batch_size: int) -> Any:
        """Have the trainer make inputs; if they are random, then the same every time."""
        workload = replace(self._workload, batch_size=batch_size)
        with torch.random.fork_rng(devices=[]), checked.blame_network(*self._blamed(checked.EXAMPLE)):
            torch.manual_seed(0)
            return workload.example()

    @cached_property
    def _workload(self) -> Workload:
        return replace(self.found.known.first_seed.workload, architecture=self._own.architecture.instance)

    def _blamed(self, what: str) -> tuple[Any, str, Shape]:
        return self._workload.architecture, what, self.shape

    def batches(self) -> Sequence[tuple[int, Any]]:
        """Return some of its example inputs, with numbers that differ."""
        return [(size, inputs.change(self.example(size), _varied)) for size in COMPARED]

    @property
    def description(self) -> Mapping[str, Any]:
        """Trainer and inputs."""
        with checked.blame_network(*self._blamed(checked.FORWARD)):
            signature = self.signature
        return {
            "trainer": self._identity,
            "inputs": [slot.record for slot in signature.inputs],
            "outputs": [slot.record for slot in signature.outputs],
        }

    @property
    def made(self) -> Mapping[str, Any]:
        """The seed; all else is the trainer's business."""
        with self.found.known.store.decoding():
            return {"seed": int(self.found.identity["seed"])}


def _varied(values: torch.Tensor) -> torch.Tensor:
    """Replace numbers that are all the same by random ones from 0 to 1.

    Networks make little of the same ones, and those that normalise them make much of rounding.
    """
    if not inputs.is_real(values) or values.numel() < 2 or not bool((values == values.flatten()[0]).all()):
        return values
    return torch.rand(values.shape, generator=torch.Generator().manual_seed(0)).to(values.dtype)


def read(card: Mapping[str, Any], path: Path, trainer: str | Path, plugins: Sequence[str]) -> torch.nn.Module:
    """Read back a network by its card.

    Args:
        card: what is known of it.
        path: of the card; the weights lie beside it.
        trainer: name or file of the trainer.
        plugins: Python files that may declare it.

    Raises:
        UsageError: the trainer cannot be used.
        ExportError: a file is damaged or missing, or the trainer is another one.
        NetworkError: it failed.
    """
    own = _trainer(trainer, card["trainer"], plugins)
    return _build(own, read_shape(card), path.with_name(FORMATS["safetensors"]))


def _trainer(named: object, identity: Mapping[str, Any], plugins: Sequence[str]) -> own_trainer.Own:
    """Look up a trainer with the options that a network was trained with.

    Raises:
        UsageError: it cannot be used.
        ExportError: it is another one.
    """
    if not isinstance(named, str | Path):
        where = "functions that were given to tune lie in the study, in trainers/"
        raise UsageError(f"{named!r:.60} is not the name of a trainer or of its file; {where}", setting="trainer")
    name = str(named)
    if (source := own_trainer.origin(name)) is not None:
        check_identity(source, identity, ["from"])  # before any of its code runs
    own = own_trainer.again(name, identity["options"], plugins)
    check_identity(own.loaded, identity)
    return own


def _build(own: own_trainer.Own, shape: Shape, weights: Path) -> torch.nn.Module:
    """Build a network with its weights, for inference on the processor.

    Raises:
        ExportError: the weights are damaged, or those of another network.
        NetworkError: the trainer failed.
    """
    with naming(weights):
        state = load_file(weights)
    architecture = own.architecture.instance
    # The random weights are replaced, and use up nothing of the user's.
    with torch.random.fork_rng(devices=[]), checked.blame_network(architecture, checked.BUILD, shape):
        network = own.loaded.instance.build(shape)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        where = f"the weights in {str(weights)!r} do not fit what {own.title} builds for shape {shape}"
        raise ExportError(f"{where}: {one_line(str(error))[:300]}") from error
    return network.cpu().eval()
