"""What every dataset must keep to."""

from __future__ import annotations

import hashlib

import pytest

from shape_dnn.data import images, splits
from shape_dnn.kinds import Dataset
from shape_dnn.plugins import checked
from shape_dnn.recipes import Recipe
from shape_dnn.testing.contract import Contract


class DatasetContract(Contract):
    """What every dataset must keep to. Its files have to exist, or small ones in the same format."""

    kind = "dataset"

    def test_is_what_it_says(self, plugin: Dataset) -> None:
        """Images are uint8 and have the declared shape, labels are classes, and neither part is empty."""
        checked.load(plugin, plugin.input_shape, plugin.classes, lambda *_: None)
        checked.class_names(plugin, plugin.classes)

    def test_is_the_same_every_time(self, plugin: Dataset, twin: Dataset) -> None:
        """The same files give the same arrays, since facts are found again by the content of the arrays."""
        assert images.fingerprint(*plugin.load()) == images.fingerprint(*twin.load())

    def test_is_the_same_when_it_says_how_far_it_is(self, plugin: Dataset, twin: Dataset) -> None:
        """The numbers of images read so far grow; if any are told, the last one is the number of all images."""
        told: list[tuple[int, int]] = []
        watched = plugin.load_with_progress(lambda *numbers: told.append(numbers))
        assert images.fingerprint(*watched) == images.fingerprint(*twin.load())
        assert told == sorted(told)
        assert len({total for _, total in told}) <= 1
        assert all(done == total for done, total in told[-1:])

    def test_tests_on_other_images_than_it_trains_on(self, plugin: Dataset) -> None:
        """At most half of the test images are in the training set as well, as a few are in many a published dataset."""
        train, test = (
            {hashlib.sha256(each.tobytes()).digest() for some in images.all_levels(part) for each in some}
            for part in plugin.load()
        )
        assert len(test & train) <= len(test) / 2, f"{len(test & train)} of {len(test)} test images are training images"

    def test_is_large_enough_to_hold_some_out(self, plugin: Dataset) -> None:
        """If images are held out for validation, training images are left, and those held out have several classes."""
        train, _ = plugin.load()
        kept, held_out = splits.Part.of_all(train).split(plugin.validation_fraction, 0)
        assert len(kept)
        assert len(set(train.labels[held_out.indices].tolist())) > 1

    @pytest.mark.parametrize("device_type", ["cpu", "cuda"])
    def test_has_recipes(self, plugin: Dataset, device_type: str) -> None:
        """It has a short recipe for every type of device, and that of the literature. Both suit its images."""
        for recipe in (plugin.short_recipe(device_type), plugin.paper_recipe()):
            assert isinstance(recipe, Recipe)
            assert not recipe.randaugment or plugin.input_shape[0] in (1, 3), "RandAugment takes 1 or 3 channels"
