"""Networks as torch runs them: in process on this machine, and elsewhere as programs of ``torch.export``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from shape_dnn.errors import DeploymentError, describe
from shape_dnn.kinds import Deployment
from shape_dnn.measuring.forward_pass import Numerics

if TYPE_CHECKING:
    import torch

PROGRAM = "model.pt2"


class Torch(Deployment):
    """Eager torch, or CUDA graphs, where the target is this machine; a program of ``torch.export`` elsewhere.

    Args:
        precision: numeric format of weights and inputs.
        channels_last: memory format.
        mode: ``eager`` or ``graph``.
        threads: of the operators on a processor.
        max_drop: of the quality.
    """

    in_process: ClassVar[bool] = True

    def __init__(
        self,
        precision: str = "float32",
        channels_last: bool = False,
        mode: str = "eager",
        threads: int = 1,
        max_drop: float = 1.0,
    ) -> None:
        self.precision, self.threads, self.max_drop = precision, threads, max_drop
        self.numerics = Numerics(precision, channels_last, mode, threads)

    @property
    def runtime(self) -> str:
        """The module beside this one."""
        return Path(__file__).with_name("torch_runtime.py").read_text(encoding="utf-8")

    def identity(self) -> Mapping[str, object]:
        """Name the version of torch."""
        from importlib import metadata

        return {"torch": metadata.version("torch")}

    def convert(self, network: torch.nn.Module, example: Any, calibration: Sequence[Any], directory: Path) -> None:
        """Write a program of ``torch.export``, with the numbers of weights and inputs in the precision."""
        raise DeploymentError(describe(NotImplementedError()))
