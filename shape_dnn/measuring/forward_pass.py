"""The forward pass that meters measure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from shape_dnn.errors import UsageError
from shape_dnn.kinds import Option
from shape_dnn.measuring import cuda_graphs, inputs
from shape_dnn.measuring.arithmetic import allowing_tf32
from shape_dnn.plugins import checked
from shape_dnn.system import environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from shape_dnn.kinds import Workload
    from shape_dnn.shape import Shape


@dataclass(frozen=True)
class Numerics:
    """How numbers are stored and kernels launched, the same for every shape.

    Attributes:
        precision: numeric format of weights, and of inputs that are numbers rather than tokens or masks.
        channels_last: memory format.
        mode: ``eager``, or ``graph`` for one CUDA graph that launches all kernels at once.
        threads: of the operators on the processor.
        tf32: whether convolutions in float32 may be computed in TF32 on a GPU that has it.
    """

    precision: str = "float32"
    channels_last: bool = False
    mode: str = "eager"
    threads: int = 1
    tf32: bool = True

    OPTIONS: ClassVar[Mapping[str, Option]] = {
        "precision": Option(help="numeric format of weights and inputs", choices=("float32", "bfloat16", "float16")),
        "channels_last": Option(help="memory format"),
        "mode": Option(help="eager, or graph for CUDA graphs", choices=("eager", "graph")),
        "threads": Option(help="threads of a measurement on the CPU", minimum=1),
        "tf32": Option(
            help="whether a GPU may compute convolutions in float32 with factors of 10 bits, as torch has it"
        ),
    }
    """The options of a meter that has these settings."""

    def check(self, device: str) -> None:
        """Refuse what a device cannot do.

        Raises:
            UsageError: a CUDA graph is asked for elsewhere.
        """
        if self.mode == "graph" and not device.startswith("cuda"):
            raise UsageError(f"CUDA graphs can be measured on CUDA devices, not on {device}", setting="option")

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Have the process compute in this way meanwhile, as far as that is up to it."""
        with threads(self.threads), allowing_tf32(self.tf32):
            yield


class ForwardPass:
    """A network with random weights and a batch of inputs, on its device and ready to be called.

    Args:
        workload: what to run.
        shape: of the network.
        numerics: formats and mode.

    Raises:
        NetworkError: the code of the architecture failed; so does a call.
    """

    _running: Callable[[], AbstractContextManager[None]] = nullcontext

    def __init__(self, workload: Workload, shape: Shape, numerics: Numerics) -> None:
        import torch

        torch.manual_seed(0)
        architecture = workload.architecture
        self._running = partial(checked.blame_network, architecture, checked.FORWARD, shape)
        with checked.blame_network(architecture, checked.BUILD, shape):
            network = workload.build(shape)
        with checked.blame_network(architecture, checked.EXAMPLE, shape):
            example = workload.example()
        self._prepare(network, example, workload.device, numerics)

    @classmethod
    def of(cls, network: torch.nn.Module, example: Any, device: str, numerics: Numerics) -> ForwardPass:
        """Make the forward pass of a given network for these inputs."""
        self = cls.__new__(cls)
        self._prepare(network, example, device, numerics)
        return self

    def _prepare(self, network: torch.nn.Module, example: Any, device: str, numerics: Numerics) -> None:
        import torch

        self._device = torch.device(device)
        dtype = getattr(torch, numerics.precision)
        layout = torch.channels_last if numerics.channels_last else torch.contiguous_format
        self._network = network.to(self._device, dtype).eval()
        for kept in (*network.parameters(), *network.buffers()):
            if inputs.is_image(kept):
                kept.data = kept.data.to(memory_format=layout)

        def place(value: torch.Tensor) -> torch.Tensor:
            placed = value.to(self._device, dtype if inputs.is_real(value) else None)
            return placed.to(memory_format=layout) if inputs.is_image(value) else placed

        self._inputs = inputs.change(example, place)
        self._graph = self._capture() if numerics.mode == "graph" else None

    def _capture(self) -> torch.cuda.CUDAGraph:
        """Record the kernels of one forward pass, after a few on a side stream as CUDA asks for."""
        import torch

        with torch.cuda.device(self._device), torch.inference_mode(), self._running():
            with cuda_graphs.beside(self._device):
                for _ in range(3):
                    inputs.call(self._network, self._inputs)
                with cuda_graphs.refusing_to_wait():
                    inputs.call(self._network, self._inputs)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=cuda_graphs.side_stream(self._device)):
                inputs.call(self._network, self._inputs)
        return graph

    def __call__(self) -> None:
        """Run once and wait for the result, as whoever needs the answer does."""
        import torch

        try:
            if self._graph is not None:
                self._graph.replay()
            else:
                with torch.inference_mode():
                    inputs.call(self._network, self._inputs)
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
        except Exception:  # unlike a context manager, this takes no time when all is well
            with self._running():
                raise


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Let operators on the processor use this many threads meanwhile, and so numpy and whatever is imported then."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    with environment.changed(OMP_NUM_THREADS=str(number)), threadpool_limits(number):
        torch.set_num_threads(number)
        try:
            yield
        finally:
            torch.set_num_threads(before)
