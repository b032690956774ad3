"""Peak memory of a forward pass: measured on CUDA, elsewhere computed without allocating anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shape_dnn.measuring.forward_pass import ForwardPass, Numerics

if TYPE_CHECKING:
    from shape_dnn.kinds import Workload
    from shape_dnn.shape import Shape


def computed(workload: Workload, shape: Shape, numerics: Numerics) -> int:
    """Return the bytes of weights, images and intermediate results that live at the worst moment of a forward pass.

    The network runs on torch's ``meta`` device, where tensors have a size and no content. Scratch memory of single
    operators is not in it.
    """
    import torch
    from torch.multiprocessing.reductions import StorageWeakRef
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    live: dict[int, tuple[StorageWeakRef, int]] = {}
    peak = 0

    def note(values: Any) -> None:
        nonlocal peak
        for dead in [key for key, (reference, _) in live.items() if reference.expired()]:  # type: ignore[no-untyped-call]
            del live[dead]
        for value in tree_leaves(values):
            if isinstance(value, torch.Tensor):
                storage = value.untyped_storage()
                reference = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
                live[reference.cdata] = (reference, storage.nbytes())
        peak = max(peak, sum(size for _, size in live.values()))

    class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            note(result)
            return result

    dtype = getattr(torch, numerics.precision)
    with torch.device("meta"), torch.inference_mode():
        network = workload.architecture.build(shape, workload.input_shape, workload.classes).to(dtype).eval()
        images = torch.empty(workload.batch_size, *workload.input_shape, dtype=dtype)
        note([*network.parameters(), *network.buffers(), images])
        with Watch():  # type: ignore[no-untyped-call]
            network(images)
    return peak


def measured(workload: Workload, shape: Shape, numerics: Numerics) -> int:
    """Return what the allocator of torch needed on a CUDA device, the scratch memory of its operators included.

    Raises:
        torch.OutOfMemoryError: it does not fit.
    """
    import torch

    torch.cuda.empty_cache()
    torch.cuda.synchronize(workload.device)
    before = torch.cuda.memory_allocated(workload.device)
    torch.cuda.reset_peak_memory_stats(workload.device)
    ForwardPass(workload, shape, numerics)()
    return int(torch.cuda.max_memory_allocated(workload.device)) - before
