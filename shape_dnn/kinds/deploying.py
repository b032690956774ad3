"""What ships: a network as the artifact that a runtime runs, and where it runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import torch

BYTES: Mapping[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}
"""What a stored value takes in each precision."""


@dataclass(frozen=True)
class Target:
    """Where artifacts run: this machine, or another one by ssh. None of it tells one fact from another.

    Attributes:
        name: by which limits and results call it, as in ``latency@pi``.
        host: as ssh knows it; empty for this machine.
        user: there; empty for that of the configuration of ssh.
        port: of its ssh server; None for that of the configuration of ssh.
        python: interpreter that has the runtime; empty for ``python3``, and for the one that runs here on this machine.
        ssh_config: file that ssh reads instead of its usual configuration; empty for the usual one.
        cores: processors that the runner is pinned to; empty to let it choose as many as artifacts have threads.
        hottest: degrees Celsius above which the processor is left to cool between networks.
    """

    name: str = "local"
    host: str = ""
    user: str = ""
    port: int | None = None
    python: str = ""
    ssh_config: str = ""
    cores: tuple[int, ...] = ()
    hottest: float = 75.0

    @property
    def is_here(self) -> bool:
        """Whether it is this machine."""
        return not self.host

    def __str__(self) -> str:
        """Write it as ``--target`` takes it."""
        if self.is_here:
            return "local"
        user, port = f"{self.user}@" if self.user else "", f":{self.port}" if self.port else ""
        return f"ssh://{user}{self.host}{port}"


class Deployment(ABC):
    """Turns networks into the artifacts that ship, and names what runs them.

    An artifact is a directory of files. The module that runs it (:attr:`runtime`) is one Python file that imports the
    standard library, numpy and the runtime alone, and works with Python 3.9, since it runs where neither torch nor
    shape_dnn may be. It has

    - ``REQUIRES``: the packages that it needs, each with the least version, such as ``{"onnxruntime": "1.16"}``;
    - ``versions() -> dict``: those that are there, by name; whatever it raises says what is missing;
    - ``load(directory, settings)``: a model of the artifact in a directory, where ``settings`` are those of the
      deployment (:attr:`settings`). It raises a ValueError, with what is accepted, for a setting that cannot be had
      there, and never takes another one instead. ``model.run(arrays) -> list`` takes and returns numpy arrays, the
      inputs in the order in which the network takes them.
    """

    in_process: ClassVar[bool] = False
    """Whether networks are measured by the process that built them, where the target is this machine."""
    precision: str = "float32"
    """Numeric format of the weights that ship, one of :data:`BYTES`."""
    threads: int = 1
    """Of the operators on a processor."""
    calibration: int = 0
    """Examples of the training split by which the ranges of activations are found; 0 where none are needed."""
    max_drop: float = 1.0
    """Most that the quality may lose by the conversion before that is said, in the unit of the quality."""

    @property
    @abstractmethod
    def runtime(self) -> str:
        """The source of the module that runs artifacts."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the runtime is to be loaded with, as JSON values: threads, providers, and so on."""
        return {"threads": self.threads}

    @abstractmethod
    def identity(self) -> Mapping[str, object]:
        """Return what determines an artifact beside network, options and calibration: versions of converters, as JSON.

        Raises:
            UnavailableError: the converter is not installed; the message says the remedy.
        """

    @abstractmethod
    def convert(self, network: torch.nn.Module, example: Any, calibration: Sequence[Any], directory: Path) -> None:
        """Write the artifact of a network.

        Args:
            network: for inference, on the processor.
            example: what it takes, a tensor or tensors in tuples, lists and mappings, of the batch size that ships.
            calibration: inputs like the example, :attr:`calibration` examples in all; empty if none are needed.
            directory: empty; whatever lies in it afterwards ships.

        Raises:
            DeploymentError: the runtime cannot have the network; the message names operator and layer.
        """


@dataclass(frozen=True)
class Shipping:
    """What ships, and where it runs.

    Attributes:
        deployment: makes artifacts.
        target: runs them.
        artifacts: directory for those with random weights, which are made once.
    """

    deployment: Deployment
    target: Target
    artifacts: Path

    @property
    def in_process(self) -> bool:
        """Whether networks are measured by the process that built them, and there is no artifact."""
        return self.deployment.in_process and self.target.is_here
