"""Peak memory of a forward pass: measured on CUDA, elsewhere computed without allocating anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from shape_dnn.measuring import inputs
from shape_dnn.measuring.forward_pass import ForwardPass, Numerics
from shape_dnn.plugins import checked

if TYPE_CHECKING:
    from shape_dnn.kinds import Workload
    from shape_dnn.shape import Shape


class LiveTensors:
    """Follows how many bytes of tensors live at the same time, while it is active.

    Tensors on torch's ``meta`` device have a size and no content, so what is watched there computes nothing and needs
    no memory. Scratch memory of single operators is not seen.
    """

    def __init__(self) -> None:
        self.peak = 0
        self._live: dict[int, tuple[Any, int]] = {}

    def note(self, values: Any) -> None:
        """Take the tensors in a value into account, for as long as they live."""
        import torch
        from torch.multiprocessing.reductions import StorageWeakRef
        from torch.utils._pytree import tree_leaves

        for dead in [key for key, (reference, _) in self._live.items() if reference.expired()]:
            del self._live[dead]
        for value in tree_leaves(values):
            if isinstance(value, torch.Tensor):
                storage = value.untyped_storage()
                reference = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
                self._live[reference.cdata] = (reference, storage.nbytes())
        self.peak = max(self.peak, sum(size for _, size in self._live.values()))

    @contextmanager
    def active(self) -> Iterator[None]:
        """Take into account whatever torch's operators return."""
        from torch.utils._python_dispatch import TorchDispatchMode

        note = self.note

        class Mode(TorchDispatchMode):  # type: ignore[no-untyped-call]
            def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                result = func(*args, **(kwargs or {}))
                note(result)
                return result

        with Mode():  # type: ignore[no-untyped-call]
            yield


def computed(workload: Workload, shape: Shape, numerics: Numerics) -> int:
    """Return the bytes of weights, inputs and intermediate results that live at the worst moment of a forward pass."""
    import torch

    watch = LiveTensors()
    dtype = getattr(torch, numerics.precision)
    architecture = workload.architecture
    with torch.device("meta"), torch.inference_mode():
        with checked.blame_network(architecture, checked.BUILD, shape):
            network = workload.build(shape).to(dtype).eval()
        with checked.blame_network(architecture, checked.EXAMPLE, shape):
            given = inputs.change(inputs.on_meta(workload.example), lambda v: v.to(dtype) if inputs.is_real(v) else v)
        watch.note([*network.parameters(), *network.buffers(), given])
        with watch.active(), checked.blame_network(architecture, checked.FORWARD, shape):
            inputs.call(network, given)
    return watch.peak


def measured(workload: Workload, shape: Shape, numerics: Numerics) -> int:
    """Return what the allocator of torch needed on a CUDA device, the scratch memory of its operators included.

    Raises:
        torch.OutOfMemoryError: it does not fit.
    """
    import torch

    # Libraries take workspaces of their own at first, which stay and are of no network in particular.
    ForwardPass(workload, shape, numerics)()
    torch.cuda.empty_cache()
    torch.cuda.synchronize(workload.device)
    before = torch.cuda.memory_allocated(workload.device)
    torch.cuda.reset_peak_memory_stats(workload.device)
    ForwardPass(workload, shape, numerics)()
    return int(torch.cuda.max_memory_allocated(workload.device)) - before
