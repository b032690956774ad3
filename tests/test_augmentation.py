"""Random changes of images: mixup, RandAugment and random erasing."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from test_training import TINY, go_on, task

from shape_dnn import LabelledImages, Recipe, UsageError
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.data.splits import Part
from shape_dnn.settings import Settings
from shape_dnn.training.augmentation import GROUP, Augmentation
from shape_dnn.training.batches import Batches

PLAIN = Recipe(epochs=1, crop=0, flip=False)
EVERYTHING = dataclasses.replace(TINY, randaugment=9, erasing=0.25, mixup=0.4, label_smoothing=0.1, flip=True)


def photographs(number: int, channels: int) -> torch.Tensor:
    """Images that are all the same one."""
    one = torch.randint(0, 256, (1, channels, 16, 16), dtype=torch.uint8)
    return one.repeat(number, 1, 1, 1)


def test_mixup_mixes_images_and_labels_by_the_same_weight() -> None:
    """Each image is one level, which its label times 20 is, so the mixed level tells how labels must be mixed."""
    torch.manual_seed(0)
    labels = np.arange(10).repeat(8)
    images = np.broadcast_to(labels[:, None, None, None] * 20, (80, 1, 4, 4)).astype(np.uint8)
    batches = Batches(Part.of_all(LabelledImages(images, labels)), torch.device("cpu"), classes=10)
    mean, std = batches.statistics
    weights = []
    for mixed, of_classes in batches.shuffled(20, dataclasses.replace(PLAIN, mixup=1.0)):
        assert mixed.is_contiguous(memory_format=torch.channels_last)
        assert of_classes.shape == (20, 10)
        levels = (mixed * std + mean).mean((1, 2, 3))
        torch.testing.assert_close(levels, of_classes @ torch.arange(0.0, 200.0, 20.0), rtol=1e-4, atol=1e-3)
        torch.testing.assert_close(of_classes.sum(1), torch.ones(20))
        weights.append(float(of_classes.max()))
        assert ((of_classes > 0).sum(1) == 2).any(), "some images are mixed with those of another class"
    assert len(set(weights)) > 1, "each batch draws its own weight"


@pytest.mark.parametrize("channels", [1, 3])
def test_randaugment_changes_images_and_groups_share_their_operations(channels: int) -> None:
    torch.manual_seed(1)
    images = photographs(100 * GROUP + 3, channels)
    changed = Augmentation(dataclasses.replace(PLAIN, randaugment=9)).change(images)
    assert changed.shape == images.shape
    assert changed.dtype == torch.uint8
    groups = torch.split(changed, GROUP)
    assert all(torch.equal(group, group[:1].expand_as(group)) for group in groups)
    assert len({group[0].numpy().tobytes() for group in groups}) > 50, "of 196 pairs of operations"


def test_a_rectangle_is_blackened_in_as_many_images_as_asked() -> None:
    torch.manual_seed(2)
    images = torch.full((400 * GROUP, 3, 16, 16), 200, dtype=torch.uint8)
    erased = Augmentation(dataclasses.replace(PLAIN, erasing=0.25)).change(images)
    assert set(erased.unique().tolist()) == {0, 200}
    black = (erased[:, 0] == 0).float().mean((1, 2))
    assert 0.2 < (black > 0).float().mean() < 0.3
    assert black.max() < 0.4
    assert torch.equal(erased[:, 0], erased[:, 2])


def test_nothing_more_is_random_in_a_recipe_without_them() -> None:
    images, labels = photographs(9, 1), torch.arange(9)
    augmentation = Augmentation(PLAIN)
    before = torch.get_rng_state()
    assert augmentation.change(images) is images
    assert augmentation.mix(images, labels) == (images, labels)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_training_with_everything_learns_and_depends_on_its_seed_alone(precision: str) -> None:
    recipe = dataclasses.replace(EVERYTHING, epochs=4, precision=precision)  # type: ignore[arg-type]
    first, again, other = (task(recipe=recipe, seed=seed).run(go_on) for seed in (0, 0, 1))
    assert first.curve == again.curve
    assert first.curve != other.curve
    assert first.curve[-1].loss < first.curve[0].loss


@pytest.mark.parametrize("part", ["randaugment", "erasing", "mixup"])
def test_each_of_them_makes_a_difference(part: str) -> None:
    plain = task(recipe=TINY).run(go_on)
    changed = task(recipe=dataclasses.replace(TINY, **{part: getattr(EVERYTHING, part)})).run(go_on)  # type: ignore[arg-type]
    assert changed.curve != plain.curve


@pytest.mark.parametrize("alpha", [1e-6, 1e-2, 100.0])
def test_every_alpha_gives_weights(alpha: float) -> None:
    torch.manual_seed(0)
    augmentation = Augmentation(dataclasses.replace(PLAIN, mixup=alpha), 10)
    for _ in range(100):
        images, labels = augmentation.mix(torch.randn(4, 1, 2, 2), torch.arange(4))
        assert torch.isfinite(images).all()
        assert torch.isfinite(labels).all()


DATASET = """
import numpy as np
from shape_dnn import Dataset, LabelledImages, Plugin, Recipe, hookimpl

class Satellite(Dataset):
    input_shape = (5, 8, 8)
    classes = 2

    def load(self):
        part = LabelledImages(np.zeros((40, 5, 8, 8), np.uint8), np.arange(40) % 2)
        return part, part

@hookimpl
def shape_dnn_datasets():
    yield Plugin("satellite", "five bands", Satellite)
"""


def test_randaugment_is_refused_where_images_have_other_channels_than_it_takes() -> None:
    Path("satellite.py").write_text(DATASET)
    given = {"device": "cpu", "plugin": "satellite.py", "dataset": "satellite"}
    with pytest.raises(UsageError, match="recipe.randaugment takes images of 1 or 3 channels, and these have 5"):
        _ = Assembly(Settings.create({**given, "option": "recipe.randaugment=9"})).recipe
    assert Assembly(Settings.create({**given, "option": "recipe.erasing=0.1"})).recipe.erasing == 0.1
