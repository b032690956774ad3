from fractions import Fraction

import pytest
import torch

from shape_dnn import Shape, UsageError, tune
from shape_dnn.testing import ArchitectureContract
from shape_dnn_densenet.architecture import DenseNetBC


class TestDenseNet(ArchitectureContract):
    name, depths, widths = "densenet", "10:41:12", "1/4:1:1/4"


class TestDenseNetOfManyGrowthRates(ArchitectureContract):
    """Odd growth rates halve odd numbers of channels, and thirds are rounded."""

    name, depths, widths = "densenet", "10:29:12", "1/24:2:5/24"
    inputs = ((3, 32, 32),)


@pytest.mark.nightly
class TestDenseNetOfTheDefaultSpace(ArchitectureContract):
    name = "densenet"


@pytest.mark.nightly
class TestDenseNetOfEveryGrowthRate(TestDenseNetOfManyGrowthRates):
    depths, widths = "10:29:6", "1/24:2:1/24"


@pytest.mark.parametrize(
    ("depth", "width", "millions"), [(100, Fraction(1), 0.8), (250, Fraction(2), 15.3), (190, Fraction(10, 3), 25.6)]
)
def test_published_parameter_counts(depth: int, width: Fraction, millions: float) -> None:
    with torch.device("meta"):
        network = DenseNetBC().build(Shape(depth, width), (3, 32, 32), 10)
    assert round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 1) == millions


def test_depths_and_widths_that_do_not_exist_are_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"12, a depth that DenseNet-BC cannot have; .*6N\+4.* nearest are 10 and 16"):
        tune(arch="densenet", depth="12:20:6", dry_run=True)
    with pytest.raises(UsageError, match="1/24"):
        tune(arch="densenet", width="1/48:1:1/2", dry_run=True)


def test_a_search_on_real_images(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.chdir(tmp_path)  # type: ignore[arg-type]
    result = tune(
        arch="densenet", depth="10:11:6", width="1/3:1:1/3", max_size="0.05MB", goal="accuracy", epochs=2, device="cpu",
        option={"dataset.limit": 400},
    )  # fmt: skip
    assert result.verified
    assert result.answer.test_quality > 20
    assert 0 < len(result.shapes) <= 2
