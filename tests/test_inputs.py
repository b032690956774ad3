"""Meters run networks with whatever inputs they take: token ids, several tensors, arguments by name."""

from __future__ import annotations

import dataclasses
import re
from collections import UserDict
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from shape_dnn import Shape, Trainer, Workload, devices, tune
from shape_dnn.builtin.meters.memory import Memory
from shape_dnn.errors import NetworkError
from shape_dnn.measuring import inputs, peak_memory
from shape_dnn.measuring.building import Builder
from shape_dnn.measuring.forward_pass import ForwardPass, Numerics
from shape_dnn.training.functions import Functions
from shape_dnn.training.networks import BuiltByTrainer

SHAPE = Shape(2, Fraction(1))
WIDTH = 16


class Transformer(nn.Module):
    """Takes token ids and, by name, which of them are padding; returns scores and what it made on the way."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(30, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, 2, WIDTH, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, 30)

    def forward(self, tokens: Tensor, padding: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        assert not tokens.is_floating_point()
        assert padding is None or padding.dtype == torch.bool
        hidden = self.encoder(self.embedding(tokens), src_key_padding_mask=padding)
        return self.head(hidden), {"hidden": hidden}


class Pair(nn.Module):
    """Takes images and numbers that go with them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Linear(5, 4)

    def forward(self, image: Tensor, numbers: Tensor) -> Tensor:
        assert image.dtype == numbers.dtype == self.second.weight.dtype
        made: Tensor = self.first(image).mean((2, 3)) + self.second(numbers)
        return made


class Volume(nn.Module):
    """Takes tensors of five dimensions, by the only argument that it has a name for."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv3d(1, 2, 3)

    def forward(self, *, voxels: Tensor) -> Tensor:
        made: Tensor = self.layer(voxels)
        return made


def words(batch_size: int) -> Tensor:
    return torch.randint(1, 30, (batch_size, 6))


def padded(batch_size: int) -> Mapping[str, Tensor]:
    return {"tokens": words(batch_size), "padding": torch.arange(6).expand(batch_size, 6) > 3}


CASES: dict[str, tuple[Callable[[], nn.Module], Callable[[int], Any]]] = {
    "token ids": (lambda: Transformer(2), words),
    "by name": (lambda: Transformer(2), padded),
    "what a tokenizer makes": (lambda: Transformer(2), lambda size: UserDict(padded(size))),
    "two tensors": (Pair, lambda size: (torch.randn(size, 3, 8, 8), torch.randn(size, 5))),
    "volumes": (Volume, lambda size: {"voxels": torch.randn(size, 1, 4, 4, 4)}),
    "data": (lambda: Transformer(2), lambda size: torch.tensor([[1, 2, 3, 29]] * size)),
}
cases = pytest.mark.parametrize("case", CASES)


def trainer_of(build: Callable[[], nn.Module], example: Any) -> Trainer:
    def train(shape: Shape, run: object) -> float:
        raise AssertionError("nothing is trained")

    return Functions("mine.py", train, build=lambda shape: build(), example=example).trainer({})


class Source:
    """Where a trainer is found that is there already."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer, self.files = trainer, ()

    def load(self) -> Trainer:
        return self.trainer


def workload_of(build: Callable[[], nn.Module], example: Any, batch_size: int = 3) -> Workload:
    networks = BuiltByTrainer(Source(trainer_of(build, example)), "mine.py")
    return Workload(networks, (0, 0, 0), 0, batch_size, "cpu")


@cases
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_a_network_runs_with_its_inputs_in_every_precision_and_memory_format(
    case: str, precision: str, channels_last: bool
) -> None:
    """Tokens stay whole numbers and masks stay true or false: the networks see to that themselves."""
    workload, seen = workload_of(*CASES[case]), []
    forward = ForwardPass(workload, SHAPE, Numerics(precision, channels_last))
    forward._network.register_forward_pre_hook(lambda _, args, named: seen.append((args, named)), with_kwargs=True)
    forward()
    ((args, named),) = seen
    given = inputs.tensors((args, dict(named)))
    original = inputs.tensors(workload.example())
    assert len(given) == len(original) > 0
    for value, before in zip(given, original, strict=True):
        assert value.shape == before.shape
        assert value.dtype == (getattr(torch, precision) if before.is_floating_point() else before.dtype)
        assert not channels_last or value.dim() != 4 or value.is_contiguous(memory_format=torch.channels_last)


@cases
def test_the_memory_of_a_forward_pass_is_computed_for_any_inputs(case: str) -> None:
    build, example = CASES[case]
    small, large = (peak_memory.computed(workload_of(build, example, size), SHAPE, Numerics()) for size in (1, 100))
    weights = 4 * sum(value.numel() for value in build().parameters())
    given = sum(value.nbytes for value in inputs.tensors(example(1)))
    assert small >= weights + given
    assert large >= small + 99 * given


def test_half_the_precision_halves_numbers_and_not_tokens() -> None:
    workload = workload_of(*CASES["token ids"])
    whole, half = (peak_memory.computed(workload, SHAPE, Numerics(name)) for name in ("float32", "bfloat16"))
    tokens = 8 * 3 * 6
    assert half == pytest.approx((whole - tokens) / 2 + tokens)


def test_example_inputs_that_hold_data_or_look_at_it_are_made_for_real() -> None:
    held = torch.tensor([[1, 2, 3], [4, 5, 6]])
    looked = workload_of(lambda: Transformer(1), lambda size: words(size)[:, : 2 + int(words(1)[0, 0] > 0)])
    for workload in (workload_of(lambda: Transformer(1), held, batch_size=7), looked):
        (value,) = inputs.tensors(inputs.on_meta(workload.example))
        assert value.is_meta
        assert value.shape == (workload.batch_size, 3)
        assert peak_memory.computed(workload, SHAPE, Numerics()) > 0


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_a_batch_that_this_machine_has_no_memory_for_is_never_made(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Systems grant it all the same, and end the process that fills it; batches for a GPU are made here, too."""
    workload = dataclasses.replace(workload_of(Pair, CASES["two tensors"][1], 10**9), device=device)
    builder, free = Builder(workload, Numerics()), {"cpu": 10**11}
    monkeypatch.setattr(devices, "free_memory", free.__getitem__)
    assert builder.attempt(SHAPE, lambda: pytest.fail("it was made")) is None
    refusal = builder.refusal(SHAPE)
    assert refusal.status == "out of memory"
    assert re.match(r"it needs at least \d+ MB, and 100000 MB are free", str(refusal.details["why"]))
    builder.forget(SHAPE)
    free["cpu"] = 10**13
    assert builder.attempt(SHAPE, lambda: "made") == "made"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_network_of_token_ids_and_a_mask_is_launched_as_one_graph(precision: str) -> None:
    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(30, WIDTH)

        def forward(self, tokens: Tensor, padding: Tensor) -> Tensor:
            hidden: Tensor = self.embedding(tokens)
            return hidden.masked_fill(padding.unsqueeze(-1), 0)

    workload = dataclasses.replace(workload_of(Tagger, padded), device="cuda:0")
    ForwardPass(workload, SHAPE, Numerics(precision, mode="graph"))()


class Choosy(nn.Linear):
    """Decides by the values of its inputs, which tensors without content have none of."""

    def __init__(self) -> None:
        super().__init__(3, 2)

    def forward(self, given: Tensor) -> Tensor:
        return super().forward(given if float(given.sum()) > 0 else -given)


def test_a_network_that_looks_at_its_inputs_is_timed_though_its_memory_cannot_be_computed() -> None:
    workload = workload_of(Choosy, torch.ones(1, 3))
    forward = Builder(workload, Numerics()).build(SHAPE)
    assert forward is not None
    forward()
    with pytest.raises(NetworkError, match=r"mine.py failed in the forward pass of shape \(2, 1\) on what example\(\)"):
        list(Memory().measure(workload, [SHAPE]))


OWN = """
import torch
from torch import nn

class Network(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.embedding = nn.Embedding(30, 8)
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(depth))

    def forward(self, tokens, *, mask):
        hidden = self.embedding(tokens)
        for layer in self.layers:
            hidden = hidden + layer(hidden).relu()
        return hidden.masked_fill(mask.unsqueeze(-1), 0.0), hidden.mean(1)

def build(shape):
    return Network(shape.depth)

def example(batch_size):
    tokens = torch.randint(0, 30, (batch_size, 5))
    return {"tokens": tokens, "mask": tokens == 0}

def train(shape, run):
    return 50.0
"""


SEARCH: dict[str, Any] = {
    "trainer": "own.py", "depth": "1:2:1", "width": "1:2:1", "goal": "size", "max_latency": "1s", "device": "cpu",
    "study": "s",
}  # fmt: skip


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_size_latency_and_memory_of_networks_of_ones_own_are_measured(precision: str) -> None:
    Path("own.py").write_text(OWN)
    result = tune(**SEARCH, max={"memory": "1GB"}, batch_size=4, option={"meter.precision": precision})
    best = result.to_dict()["best"]
    assert best["latency"] > 0
    weights = 30 * 8 + 8 * 9
    assert best["size"] == pytest.approx(4e-6 * weights)
    assert best["memory"] >= 1e-6 * (weights * (4 if precision == "float32" else 2) + 4 * 5 * 9)


@pytest.mark.parametrize(
    ("right", "wrong", "why"),
    [
        (
            '"mask": tokens == 0',
            '"more": tokens',
            "in the forward pass of shape (1, 1) on what example() gives: TypeError",
        ),
        (
            "torch.randint(0, 30, (",
            "torch.zeros((",
            "in the forward pass of shape (1, 1) on what example() gives: Runtime",
        ),
        ("(batch_size, 5))", "(batch_size, 'five'))", "to make inputs for shape (1, 1): TypeError"),
    ],
)
def test_wrong_example_inputs_are_told_in_one_line_with_file_and_function(
    shape_dnn: Callable[..., Any], right: str, wrong: str, why: str
) -> None:
    Path("own.py").write_text(OWN.replace(right, wrong))
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in SEARCH.items()]
    ran = shape_dnn(*flags)
    assert ran.status == 4
    (line,) = [line for line in ran.err.splitlines() if "error: " in line]
    assert f"own.py failed {why}" in line
