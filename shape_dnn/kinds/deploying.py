"""What ships: a network as an artifact that a runtime runs, and the target on which it runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import torch

BYTES: Mapping[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}
"""How many bytes a stored value takes in each precision."""


@dataclass(frozen=True)
class Target:
    """Where artifacts run: on this machine, or on another one by ssh.

    None of these attributes distinguishes one fact from another.

    Attributes:
        name: name of the target in limits and results, as in ``latency@pi``.
        host: the host as ssh knows it; empty for this machine.
        user: name of the user there; empty for the one in the ssh configuration.
        port: port of the ssh server there; None for the one in the ssh configuration.
        python: interpreter that has the runtime; if empty, ``python3`` there, and on this machine the interpreter that
            is running.
        ssh_config: file that ssh reads instead of its usual configuration; empty for the usual one.
        cores: processors that the runner is pinned to; if empty, it chooses as many as artifacts have threads.
        hottest: temperature in degrees Celsius above which the processor is left to cool between networks.
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
        """Whether the target is this machine."""
        return not self.host

    def __str__(self) -> str:
        """Write the target as ``--target`` takes it."""
        if self.is_here:
            return "local"
        user, port = f"{self.user}@" if self.user else "", f":{self.port}" if self.port else ""
        return f"ssh://{user}{self.host}{port}"


class Deployment(ABC):
    """Turns networks into the artifacts that ship, and names what runs them.

    An artifact is a directory of files. The module that runs it (:attr:`runtime`) is one Python file. Since it runs
    where there may be neither torch nor shape_dnn, it imports only the standard library, numpy and the runtime, and
    works with Python 3.9. It has

    - ``REQUIRES``: the packages that it needs, each with the least version, such as ``{"onnxruntime": "1.16"}``;
    - ``versions() -> dict``: the installed versions, by package; any error that it raises says what is missing;
    - ``load(directory, settings)``: returns a model of the artifact in a directory, where ``settings`` are those of the
      deployment (:attr:`settings`). If a setting is not available there, it raises a ValueError that says what is
      accepted, and never uses another setting instead. ``model.run(arrays) -> list`` takes and returns numpy arrays,
      the inputs in the order in which the network takes them.
    """

    in_process: ClassVar[bool] = False
    """Whether networks are measured in the process that built them, if the target is this machine."""
    precision: str = "float32"
    """Numeric format of the weights that ship, one of :data:`BYTES`."""
    threads: int = 1
    """Number of threads of the operators on a processor."""
    calibration: int = 0
    """Number of examples of the training split from which the ranges of activations are found; 0 if none are needed."""
    max_drop: float = 1.0
    """How much quality the conversion may lose before that is reported: in percent of its range (points of accuracy),
    or in its unit if it has none."""

    @property
    @abstractmethod
    def runtime(self) -> str:
        """The source code of the module that runs artifacts."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the runtime is loaded with, as JSON values: threads, providers, and so on."""
        return {"threads": self.threads}

    @abstractmethod
    def identity(self) -> Mapping[str, object]:
        """Return what determines an artifact besides network, options and calibration, as JSON: versions of converters.

        Raises:
            UnavailableError: the converter is not installed; the message says what to do.
        """

    @abstractmethod
    def convert(self, network: torch.nn.Module, example: Any, calibration: Sequence[Any], directory: Path) -> None:
        """Write the artifact of a network.

        Args:
            network: the network, ready for inference, on the processor.
            example: inputs of the network, of the batch size that ships: a tensor, or tensors in tuples, lists and
                mappings.
            calibration: inputs like the example, with :attr:`calibration` examples in all; empty if none are needed.
            directory: an empty directory; whatever lies in it afterwards ships.

        Raises:
            DeploymentError: the runtime cannot take the network; the message names the operator and the layer.
        """


@dataclass(frozen=True)
class Shipping:
    """What ships, and where it runs.

    Attributes:
        deployment: the deployment that makes artifacts.
        target: the target that runs them.
        artifacts: directory for artifacts with random weights, which are made only once.
    """

    deployment: Deployment
    target: Target
    artifacts: Path

    @property
    def in_process(self) -> bool:
        """Whether networks are measured in the process that built them, so that there is no artifact."""
        return self.deployment.in_process and self.target.is_here
