from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shape_dnn import Shape
from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.builtin.meters.size import Size
from shape_dnn.kinds import Workload


def count_built(network: torch.nn.Module) -> int:
    return sum(value.numel() for value in network.state_dict().values() if value.is_floating_point())


@settings(max_examples=60, deadline=None)
@given(
    blocks=st.integers(1, 4),
    width=st.fractions(Fraction(1, 32), 3, max_denominator=32),
    stem=st.sampled_from(["scaled", "16"]),
    channels=st.integers(1, 4),
    classes=st.integers(2, 120),
)
def test_the_closed_form_equals_the_built_network(
    blocks: int, width: Fraction, stem: str, channels: int, classes: int
) -> None:
    wrn, shape, images = WideResNet(stem), Shape(6 * blocks + 4, width), (channels, 12, 9)
    network = wrn.build(shape, images, classes)
    assert wrn.count_values(shape, images, classes) == count_built(network)


@pytest.mark.parametrize(
    ("depth", "width", "classes", "parameters"),
    [
        (16, 1, 10, 175_066),
        (16, 4, 10, 2_748_890),
        (28, 10, 10, 36_479_194),
        (28, 10, 100, 36_536_884),
        (40, 2, 10, 2_243_546),
    ],
)
def test_published_parameter_counts_of_the_original_network(
    depth: int, width: int, classes: int, parameters: int
) -> None:
    with torch.device("meta"):
        network = WideResNet("16").build(Shape(depth, Fraction(width)), (3, 32, 32), classes)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_the_size_the_paper_gives_for_its_mnist_network() -> None:
    shape = Shape(22, Fraction(2, 16))
    assert WideResNet().count_values(shape, (1, 28, 28), 10) == 4668
    assert Size().compute(Workload(WideResNet(), (1, 28, 28), 10, 1, "cpu"), [shape]) == [0.018672]


@pytest.mark.parametrize(
    ("depth", "width", "megabytes"),
    [(46, "4", 43.2), (52, "4", 49.4), (46, "4.5", 54.5), (34, "7", 92.8), (40, "8", 145.6), (46, "9", 215.4)],
)
def test_sizes_of_tables_4_and_5(depth: int, width: str, megabytes: float) -> None:
    values = WideResNet().count_values(Shape(depth, Fraction(width)), (3, 32, 32), 1000)
    assert round(4 * values / 1e6, 1) == megabytes


@pytest.mark.parametrize("width", ["1/32", "1/16", "1/3", "1", "3/2"])
def test_forward_and_backward(width: str) -> None:
    torch.manual_seed(0)
    network = WideResNet().build(Shape(10, Fraction(width)), (1, 8, 8), 10)
    logits = network(torch.randn(4, 1, 8, 8))
    assert logits.shape == (4, 10)
    logits.sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


def test_the_same_seed_gives_the_same_weights() -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        network = WideResNet().build(Shape(10, Fraction(1, 2)), (3, 32, 32), 10)
        return torch.cat([p.flatten() for p in network.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_size_never_builds_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WideResNet, "build", lambda *_: pytest.fail("a network was built"))
    shapes = [Shape(10, Fraction(1)), Shape(58, Fraction(10))]
    assert all(Size().compute(Workload(WideResNet(), (3, 32, 32), 10, 1, "cpu"), shapes))
