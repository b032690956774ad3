from fractions import Fraction

import pytest
import torch

from shape_dnn import Shape, UsageError, tune
from shape_dnn.testing import ArchitectureContract
from shape_dnn_nasnet.architecture import NASNetA


class TestNASNet(ArchitectureContract):
    name, depths, widths = "nasnet", "1:4:1", "1/16:1/4:1/16"


class TestNASNetOfOddWidths(ArchitectureContract):
    """And of images that cannot be halved."""

    name, depths, widths = "nasnet", "1:4:2", "1/32:1/2:1/8"
    inputs = ((3, 17, 15),)


@pytest.mark.nightly
class TestNASNetOfTheDefaultSpace(ArchitectureContract):
    name = "nasnet"


@pytest.mark.nightly
class TestNASNetOfEveryOddWidth(TestNASNetOfOddWidths):
    depths, widths = "1:6:2", "1/32:1:1/16"


def parameters(depth: int, width: int) -> int:
    with torch.device("meta"):
        network = NASNetA().build(Shape(depth, Fraction(width)), (3, 32, 32), 10)
    return sum(parameter.numel() for parameter in network.parameters())


def test_published_parameter_count() -> None:
    assert round(parameters(6, 1) / 1e6, 1) == 3.3


def test_the_last_cell_has_as_many_channels_as_the_name_of_the_network_says() -> None:
    for shape, channels in ((Shape(6, Fraction(1)), 768), (Shape(7, Fraction(3)), 2304)):
        *_, last = NASNetA().cells(shape)
        assert last.channels == channels


def test_depths_and_widths_that_do_not_exist_are_refused() -> None:
    with pytest.raises(UsageError, match="normal cells in each of three stages"):
        tune(arch="nasnet", depth="0:3:1", dry_run=True)
    with pytest.raises(UsageError, match="two filters"):
        tune(arch="nasnet", width="1/100:1:1/2", dry_run=True)


def test_a_search_on_real_images(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.chdir(tmp_path)  # type: ignore[arg-type]
    result = tune(
        arch="nasnet", depth="1:2:1", width="1/16:3/16:1/16", max_size="0.2MB", goal="accuracy", epochs=2, device="cpu",
        option={"dataset.limit": 400},
    )  # fmt: skip
    assert result.verified
    assert result.answer.test_quality > 15
    assert 0 < len(result.shapes) <= 2
