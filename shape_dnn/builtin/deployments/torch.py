"""Networks as torch runs them: in process on this machine, and elsewhere as programs of ``torch.export``."""

from __future__ import annotations

import copy
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from shape_dnn.errors import UsageError
from shape_dnn.kinds import Deployment
from shape_dnn.measuring import inputs
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
        max_drop: of the quality, in percent of its range.
        tf32: whether a GPU may compute convolutions in float32 in TF32.
    """

    in_process: ClassVar[bool] = True

    def __init__(
        self,
        precision: str = "float32",
        channels_last: bool = False,
        mode: str = "eager",
        threads: int = 1,
        max_drop: float = 1.0,
        tf32: bool = True,
    ) -> None:
        self.precision, self.threads, self.max_drop = precision, threads, max_drop
        self.numerics = Numerics(precision, channels_last, mode, threads, tf32)

    @property
    def runtime(self) -> str:
        """The module beside this one."""
        return Path(__file__).with_name("torch_runtime.py").read_text(encoding="utf-8")

    def identity(self) -> Mapping[str, object]:
        """Name the version of torch."""
        from importlib import metadata

        return {"torch": metadata.version("torch")}

    def convert(self, network: torch.nn.Module, example: Any, calibration: Sequence[Any], directory: Path) -> None:
        """Write a program of ``torch.export``, with the numbers of weights and inputs in the precision.

        Raises:
            DeploymentError: torch.export cannot express the network.
            UsageError: graphs of CUDA are asked for, which only this process can have.
        """
        import torch

        from shape_dnn.builtin.deployments.flat import Flat, export, quietly

        if self.numerics.mode == "graph":
            raise UsageError("deploy.mode=graph is for networks on this machine; accepted here is eager", "option")
        dtype = getattr(torch, self.precision)
        layout = torch.channels_last if self.numerics.channels_last else torch.contiguous_format
        placed = copy.deepcopy(network).to(dtype)
        for kept in filter(inputs.is_image, (*placed.parameters(), *placed.buffers())):
            kept.data = kept.data.to(memory_format=layout)
        with quietly():
            exported = export(Flat(placed, example, dtype, layout), inputs.tensors(example))
            file = io.BytesIO()  # on a full disk torch's own writer speaks of frames of C++, or ends the process
            torch.export.save(exported, file)
        (directory / PROGRAM).write_bytes(file.getbuffer())
