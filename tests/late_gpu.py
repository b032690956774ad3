"""A stand-in for CUDA on the processor whose streams work as late as they may."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from shape_dnn.measuring import cuda_graphs


class Stream:
    """Work that is done once somebody waits for it.

    Args:
        prompt: whether it is done at once instead.
    """

    def __init__(self, prompt: bool = False) -> None:
        self.prompt = prompt
        self.waiting: list[Callable[[], object]] = []
        self.done = 0

    def give(self, work: Callable[[], object]) -> None:
        self.waiting.append(work)
        if self.prompt:
            self.until(self.given)

    @property
    def given(self) -> int:
        return self.done + len(self.waiting)

    def until(self, number: int) -> None:
        """Do the first works."""
        while self.done < number:
            self.done += 1
            self.waiting.pop(0)()

    def wait_stream(self, other: Stream) -> None:
        number = other.given
        self.give(lambda: other.until(number))

    def wait_event(self, event: Event) -> None:
        stream, number = event.recorded
        self.give(lambda: stream.until(number))


class Event:
    def __init__(self, **_: object) -> None:
        self.recorded = (Stream(), 0)

    def record(self, stream: Stream) -> None:
        self.recorded = (stream, stream.given)

    def synchronize(self) -> None:
        stream, number = self.recorded
        stream.until(number)


class Postponed(TorchDispatchMode):
    """Has a stream make the copies that are begun on it, as non-blocking ones are."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self.stream = stream

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not torch.ops.aten.copy_.default:
            return func(*args, **(kwargs or {}))
        assert args[2:] == (True,), "a copy that the host waits for"
        self.stream.give(lambda: func(*args))
        return args[0]


class LateGpu:
    """The streams of the only GPU.

    Attributes:
        current: where networks compute.
        side: where batches are copied.
    """

    def __init__(self, prompt: bool) -> None:
        self.current, self.side = Stream(prompt), Stream()


def install(monkeypatch: pytest.MonkeyPatch, *, prompt: bool) -> LateGpu:
    """Have the processor pass for a GPU.

    Args:
        prompt: whether the current stream does its work at once, as that of networks which the processor computes.
    """
    gpu = LateGpu(prompt)

    @contextmanager
    def stream(of: Stream) -> Iterator[None]:
        with Postponed(of):
            yield

    monkeypatch.setattr(cuda_graphs, "side_stream", lambda _: gpu.side)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: gpu.current)
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda *_: None)
    monkeypatch.setattr(torch.Tensor, "pin_memory", torch.Tensor.clone)
    return gpu
