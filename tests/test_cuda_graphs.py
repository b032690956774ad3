"""CUDA graphs, of trainings and of what is measured, on a stand-in for torch.cuda: what is done in which order, and where."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import pytest
import torch
from test_training import SHAPE, TINY, digits_on_disk, go_on, task, trainer
from torch._subclasses import FakeTensorMode

from shape_dnn import Workload
from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.builtin.meters.latency import GraphLatency, Latency
from shape_dnn.errors import MemoryShortageError, NetworkError, ProcessDiedError
from shape_dnn.measuring import cuda_graphs
from shape_dnn.measuring.forward_pass import ForwardPass, Numerics
from shape_dnn.shape import Shape
from shape_dnn.training import loop
from shape_dnn.training.batches import Batches
from shape_dnn.training.classifier import split
from shape_dnn.training.step import WARM_UP, Graph, Step

WAITS = "called a synchronizing CUDA operation"
"""What torch says of it, in its mode ``error``."""


class Stream:
    """A stream of the stand-in; also that of a device on which everything runs unless told otherwise."""

    def __init__(self, cuda: Cuda, device: torch.device) -> None:
        self._cuda, self.device = cuda, device

    def wait_stream(self, other: Stream) -> None:
        self._cuda.log.append((self, "waits for", other))


class Cuda:
    """A stand-in for torch.cuda.

    Attributes:
        log: which stream waits for which, and where work was done, in order.
        sides: streams that were made.
        replayed: graphs that were launched.
        mode: of torch's look-out for whatever waits for the GPU.
        fails: what a recording comes to, if it fails.
        synchronized: devices that were waited for.
    """

    def __init__(self) -> None:
        self.log: list[tuple[Any, ...]] = []
        self.sides: list[Stream] = []
        self.replayed: list[object] = []
        self.current = torch.device("cuda:0")
        self.mode: int | str = 0
        self.fails: Exception | None = None
        self.synchronized: list[torch.device] = []
        self._streams: dict[torch.device, Stream] = {}
        self._recording = False

    def work(self, *_: object) -> torch.Tensor:
        """Do something, on which it is written down where it was done."""
        self.log.append((self.current_stream(), "records" if self._recording else "works", self.mode))
        return torch.zeros(())

    def refuse_to_wait(self, *_: object) -> None:
        """Wait for the GPU."""
        if self.mode == "error":
            raise RuntimeError(WAITS)

    # What torch.cuda has

    def Stream(self, device: torch.device) -> Stream:  # noqa: N802
        self.sides.append(Stream(self, device))
        return self.sides[-1]

    def current_stream(self) -> Stream:
        return self._streams.setdefault(self.current, Stream(self, self.current))

    @contextmanager
    def device(self, device: torch.device) -> Iterator[None]:
        self.current, before = device, self.current
        try:
            yield
        finally:
            self.current = before

    @contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        with self.device(stream.device):
            self._streams[stream.device], before = stream, self.current_stream()
            try:
                yield
            finally:
                self._streams[stream.device] = before

    @contextmanager
    def graph(self, _: object, *, stream: Stream, capture_error_mode: str = "global") -> Iterator[None]:
        self.capture_error_mode = capture_error_mode
        self.synchronized.append(self.current)  # as it begins, torch waits for the device that is current
        self._recording = True
        with self.stream(stream):
            yield
            if self.fails is not None:
                raise self.fails
        self._recording = False

    def CUDAGraph(self) -> object:  # noqa: N802
        replayed = self.replayed

        class Launched:
            def replay(self) -> None:
                replayed.append(self)

        return Launched()

    def get_sync_debug_mode(self) -> int | str:
        return self.mode

    def set_sync_debug_mode(self, mode: int | str) -> None:
        self.mode = mode

    def empty_cache(self) -> None:
        pass

    def get_rng_state(self, _: object) -> torch.Tensor:
        return torch.get_rng_state()

    def set_rng_state(self, state: torch.Tensor, _: object) -> None:
        torch.set_rng_state(state)


STOOD_IN_FOR = (
    "Stream", "current_stream", "device", "stream", "graph", "CUDAGraph", "get_sync_debug_mode", "set_sync_debug_mode",
    "empty_cache", "get_rng_state", "set_rng_state",
)  # fmt: skip


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cuda]:
    made = Cuda()
    for name in STOOD_IN_FOR:
        monkeypatch.setattr(torch.cuda, name, getattr(made, name))
    cuda_graphs.side_stream.cache_clear()
    yield made
    cuda_graphs.side_stream.cache_clear()


def graph_on(device: str) -> Graph:
    """Prepare a graph of a batch that is on a device."""
    with FakeTensorMode():
        return Graph(torch.empty(4, 1, 8, 8, device=device), torch.empty(4, dtype=torch.int64, device=device))


# Where it is done


def test_a_graph_is_made_on_the_side_stream_of_the_gpu_that_the_images_are_on(cuda: Cuda) -> None:
    graph = graph_on("cuda:1")
    graph.warm_up(cuda.work)
    with FakeTensorMode():
        graph.record(cuda.work)
    (side,) = cuda.sides
    assert side.device == torch.device("cuda:1")
    before, *made, after, recorded = cuda.log
    usual = before[2]
    assert usual.device == torch.device("cuda:1")
    assert before == (side, "waits for", usual), "for the batch, and for what was trained before"
    assert made == [*[(side, "works", 0)] * (WARM_UP - 1), (side, "works", "error")], "the last one must not wait"
    assert after == (usual, "waits for", side)
    assert recorded == (side, "records", 0)
    assert cuda.synchronized == [torch.device("cuda:1")]
    assert cuda.current == torch.device("cuda:0")
    assert cuda.current_stream() not in (side, usual), "all is as it was"
    assert cuda.capture_error_mode == "thread_local", "other threads may bring images to the GPU meanwhile"


def test_many_graphs_are_made_on_one_stream_of_each_gpu(cuda: Cuda) -> None:
    for device in ("cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:1"):
        graph_on(device).warm_up(cuda.work)
    assert [stream.device.index for stream in cuda.sides] == [0, 1], "each keeps workspaces as long as its process"


@pytest.mark.parametrize("step", [1, WARM_UP])
def test_after_a_warm_up_that_fails_torch_is_as_before_and_waits_for_what_was_begun(cuda: Cuda, step: int) -> None:
    cuda.mode = 1
    steps = iter(range(1, WARM_UP + 1))

    def work(*_: object) -> torch.Tensor:
        if next(steps) == step:
            raise RuntimeError(WAITS)
        return cuda.work()

    with pytest.raises(RuntimeError, match=WAITS):
        graph_on("cuda:1").warm_up(work)
    assert cuda.mode == 1
    (side,) = cuda.sides
    last, waits, first = cuda.log[-1]
    assert (last.device, waits, first) == (side.device, "waits for", side), "or weights are put back while they change"


# Trainings. On the processor, as if it were a GPU.


def batches() -> list[tuple[torch.Tensor, torch.Tensor]]:
    return list(Batches(split(digits_on_disk(), "validation", 0.2, 0)[0], torch.device("cpu")).in_order(32))


class Dropping(torch.nn.Module):
    """A network that draws random numbers as it is trained."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network, self.dropout = network, torch.nn.Dropout()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(self.dropout(images))


def made(recipe: Any = TINY, **more: Any) -> tuple[torch.nn.Module, Step]:
    """Return a network with the weights that they all have, and its steps."""
    torch.manual_seed(0)
    network = Dropping(trainer().build(SHAPE)).train()
    return network, Step(network, recipe, **more)


def as_on_a_gpu(step: Step) -> Step:
    step._wants_graph = True
    return step


@pytest.mark.usefixtures("cuda")
def test_steps_are_recorded_once_and_launched_from_then_on(cuda: Cuda) -> None:
    _, step = made()
    for images, labels in batches()[:3]:
        as_on_a_gpu(step)(images, labels, 0.1)
    assert step.is_graph
    assert len(cuda.replayed) == 3
    assert len(set(cuda.replayed)) == 1


@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_network_that_waits_for_the_gpu_is_trained_without_a_graph_as_if_none_had_been_tried(
    cuda: Cuda, optimizer: str, where: str
) -> None:
    recipe = dataclasses.replace(TINY, optimizer=optimizer)  # type: ignore[arg-type]
    (plain, expected), (other, step) = made(recipe), made(recipe)
    inner = other.network.get_submodule("groups")  # type: ignore[union-attr]
    hook = inner.register_forward_hook if where == "forward" else inner.register_full_backward_hook
    hook(cuda.refuse_to_wait)
    torch.manual_seed(1)
    losses = [float(expected(*batch, 0.1)) for batch in batches()[:4]]
    torch.manual_seed(1)
    with pytest.warns(UserWarning, match=f"trained without a CUDA graph: RuntimeError: {WAITS}"):
        first = as_on_a_gpu(step)(*batches()[0], 0.1)
    assert [float(first), *(float(step(*batch, 0.1)) for batch in batches()[1:4])] == losses
    assert not step.is_graph
    for mine, theirs in ((plain.state_dict(), other.state_dict()), (expected.descent.state, step.descent.state)):
        assert all(torch.equal(value, theirs[name]) for name, value in mine.items())


@pytest.mark.parametrize(
    ("failure", "becomes"),
    [
        (RuntimeError("operation not permitted when stream is capturing"), ProcessDiedError),
        (NetworkError("wrn failed in the forward pass"), ProcessDiedError),
        (ValueError("as usual"), ProcessDiedError),
        (torch.OutOfMemoryError("CUDA out of memory"), torch.OutOfMemoryError),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_a_recording_that_fails_is_the_death_of_its_process_unless_memory_lacks(
    cuda: Cuda, failure: Exception, becomes: type[Exception]
) -> None:
    """After it CUDA refuses whatever is asked of it."""
    cuda.fails = failure
    _, step = made()
    with pytest.raises(becomes, match=str(failure)):
        as_on_a_gpu(step)(*batches()[0], 0.1)


def test_a_training_whose_recording_fails_has_died_and_one_that_lacks_memory_says_so(
    cuda: Cuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "Step", lambda *given, **more: as_on_a_gpu(Step(*given, **more)))
    cuda.fails = RuntimeError("operation not permitted when stream is capturing")
    with pytest.raises(
        ProcessDiedError, match="its steps cannot be a CUDA graph: RuntimeError: operation not permitted"
    ):
        task().run(go_on)
    cuda.fails = torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(MemoryShortageError, match="CUDA out of memory"):
        task().run(go_on)


@pytest.mark.parametrize("deaths", [0, 1])
def test_a_training_whose_process_has_died_makes_no_graph(deaths: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[bool] = []

    def step(*given: Any, as_graph: bool) -> Step:
        tried.append(as_graph)
        return Step(*given, as_graph=as_graph)

    monkeypatch.setattr(loop, "Step", step)
    assert task(deaths=deaths).run(go_on).quality is not None
    assert tried == [not deaths]


# Measurements


class Seen(torch.nn.Module):
    """A network that is seen as it runs."""

    def __init__(self, see: Callable[..., object]) -> None:
        super().__init__()
        self.layer, self._see = torch.nn.Linear(1, 1), see

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        self._see()
        return self.layer(values)  # type: ignore[no-any-return]


def test_what_is_measured_as_a_graph_is_made_likewise(cuda: Cuda) -> None:
    measured = ForwardPass.of(Seen(cuda.work), torch.zeros(2, 1), "cpu", Numerics(mode="graph"))
    (side,) = cuda.sides
    did = [(what, more) for stream, what, more in cuda.log if stream is side and what != "waits for"]
    assert did[-2:] == [("works", "error"), ("records", 0)]
    assert did[:-2], "libraries choose their kernels before"
    assert set(did[:-2]) == {("works", 0)}
    measured()
    assert len(cuda.replayed) == 1


def test_a_network_that_waits_for_the_gpu_cannot_be_measured_as_a_graph(cuda: Cuda) -> None:
    class Waiting(WideResNet):
        def build(self, *given: Any) -> torch.nn.Module:
            network = super().build(*given)
            network.register_forward_hook(cuda.refuse_to_wait)
            return network

    shape = Shape(10, Fraction(1, 4))
    with pytest.raises(NetworkError, match=rf"Waiting failed .*{WAITS}"):
        ForwardPass(Workload(Waiting(), (1, 8, 8), 10, 2, "cpu"), shape, Numerics(mode="graph"))
    assert cuda.mode == 0


@pytest.mark.parametrize(("meter", "launches"), [(Latency(), 0), (Latency(mode="graph"), 1), (GraphLatency(), 1)])
def test_graphs_are_measured_beside_a_graph(cuda: Cuda, meter: Latency, launches: int) -> None:
    """Else the moments in which the processor is slow would be taken for those of the GPU."""
    workload = Workload(WideResNet(), (1, 8, 8), 10, 2, "cpu")
    meter.prepare(workload, Shape(10, Fraction(1, 4)))()
    assert len(cuda.replayed) == launches
    meter.anchor(workload)()
    assert len(cuda.replayed) == 2 * launches
