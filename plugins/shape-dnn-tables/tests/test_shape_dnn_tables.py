import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.plugins.registry import Registry
from shape_dnn.plugins.table_of_kinds import IN_REPOSITORY
from shape_dnn.study.tables import Table, read_curves
from shape_dnn.testing import TableContract
from shape_dnn_tables import SUMMARIES

DIGITS = (1, 8, 8)
IMAGES = dict.fromkeys(SUMMARIES, DIGITS) | {
    "wrn-cifar10-jpeg": (3, 32, 32),
    "wrn-fashion-mnist": (1, 14, 14),
    "wrn-mnist": (1, 28, 28),
}


class TestCifar10AsJpeg(TableContract):
    name = "wrn-cifar10-jpeg"


class TestDigits(TableContract):
    name = "wrn-digits"


class TestDigitsWithThePapersRecipe(TableContract):
    name = "wrn-digits-paper-recipe"


class TestThinNetworksOnDigits(TableContract):
    name = "wrn-digits-thin"


class TestFashionMnist(TableContract):
    name = "wrn-fashion-mnist"


class TestMnist(TableContract):
    name = "wrn-mnist"


def test_all_are_declared_here_and_known_to_be_in_this_package() -> None:
    loaded = [Registry().load("table", name) for name in SUMMARIES]
    assert {each.source.distribution for each in loaded} == {"shape-dnn-tables"}
    assert {name for kind, name in IN_REPOSITORY if kind == "table"} == set(SUMMARIES)


@pytest.mark.parametrize("name", SUMMARIES)
def test_every_training_has_its_curve_and_the_accuracy_of_its_best_epoch(name: str) -> None:
    file = Registry().load("table", name).instance
    curves = read_curves(file.curves)
    trainings = {
        (s, int(row["seed"])): row["accuracy"] for s, rows in Table.read(file.path).rows.items() for row in rows
    }
    assert curves.keys() == trainings.keys()
    for training, accuracy in trainings.items():
        assert max(curves[training]) == pytest.approx(accuracy, abs=1e-2)


@pytest.mark.parametrize("name", SUMMARIES)
def test_sizes_and_multiply_adds_are_those_of_the_networks(name: str) -> None:
    table, input_shape = Table.read(Registry().load("table", name).instance.path), IMAGES[name]
    for shape in table.shapes[:: len(table.shapes) // 6]:
        with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
            WideResNet().build(shape, input_shape, 10).eval()(torch.zeros(1, *input_shape))
        for row in table.rows[shape]:
            assert row["multiply-adds"] == counter.get_total_flops() / 2
            assert row["size"] == pytest.approx(4e-6 * WideResNet().count_values(shape, input_shape, 10), rel=1e-5)
