"""What every architecture must keep to."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from shape_dnn.assembly.pretrained import pretrained
from shape_dnn.kinds import Architecture, InputShape
from shape_dnn.plugins import checked
from shape_dnn.recipes import IMAGENET32_PAPER, WRN_PAPER, Recipe
from shape_dnn.search.space import DesignSpace, Range
from shape_dnn.shape import Shape
from shape_dnn.testing.contract import Contract

if TYPE_CHECKING:
    import torch


ODD_WIDTHS = tuple(map(Fraction, ("1/1000", "1/100", "1/33", "1/24", "1/16", "1/3", "13/7")))
ALIKE = 1e-6
"""Distance of two rows of a weight, as a part of the longest, up to which only rounding tells them apart."""


def alike(network: torch.nn.Module) -> set[str]:
    """Return the names of weights of which two outputs read their inputs in the same way, but for rounding."""
    import torch

    found = set()
    for name, weight in network.named_parameters():
        if weight.dim() > 1 and len(weight) > 1:
            rows = weight.detach().flatten(1).double()
            if torch.pdist(rows).min() <= ALIKE * rows.norm(dim=1).max():
                found.add(name)
    return found


class ArchitectureContract(Contract):
    """What every architecture must keep to.

    Attributes:
        depths: range of depths whose networks are built, without memory, to compare their sizes; by default that of the
            architecture.
        widths: range of widths, likewise.
        inputs: shapes of the images that the networks are run on: channels, height and width.
        classes: number of outputs.
    """

    kind = "architecture"
    depths: ClassVar[str] = ""
    widths: ClassVar[str] = ""
    inputs: ClassVar[Sequence[InputShape]] = ((3, 32, 32), (1, 28, 28))
    classes: ClassVar[int] = 10

    def space(self, plugin: Architecture) -> DesignSpace:
        """Return the shapes that are compared."""
        depths, widths = self.depths or plugin.default_depths, self.widths or plugin.default_widths
        return DesignSpace(plugin, Range.parse(depths), Range.parse(widths))

    def corners(self, plugin: Architecture) -> list[Shape]:
        """Return the shapes whose networks are run: the smallest, and one that differs in both dimensions."""
        shapes = self.space(plugin).shapes()
        depths, widths = (sorted(set(values)) for values in zip(*shapes, strict=True))
        return [Shape(depths[0], widths[0]), Shape(depths[min(1, len(depths) - 1)], widths[min(1, len(widths) - 1)])]

    def built(self, plugin: Architecture, shape: Shape, images: InputShape, seed: int = 0) -> torch.nn.Module:
        """Build a network with weights drawn from a seed."""
        import torch

        torch.manual_seed(seed)
        return plugin.build(shape, images, self.classes)

    def test_says_what_it_is(self, plugin: Architecture) -> None:
        """It has a title and rules for messages, and its default ranges make a space of more than one shape."""
        assert plugin.title
        assert plugin.depth_rule
        assert plugin.width_rule
        assert len(DesignSpace(plugin, Range.parse(plugin.default_depths), Range.parse(plugin.default_widths))) > 1

    def test_refuses_shapes_that_do_not_exist(self, plugin: Architecture) -> None:
        """No depth and no width is zero or less."""
        for number in (0, -1):
            assert not plugin.is_depth(number)
            assert not plugin.is_width(Fraction(number))

    def test_adapts_the_recipes_of_datasets(self, plugin: Architecture, twin: Architecture) -> None:
        """Given the recipe of any dataset, it returns a recipe, and the same one every time."""
        short = Recipe(epochs=12, batch_size=32, lr=0.2, schedule="one-cycle", crop=0, flip=False)
        for recipe in (short, WRN_PAPER, IMAGENET32_PAPER):
            assert checked.adapt(plugin, recipe) == checked.adapt(twin, recipe)

    def test_size_is_that_of_the_built_network(self, plugin: Architecture) -> None:
        """``count_values`` equals the parameters and floating-point buffers, for every shape and every input."""
        questions = {
            *itertools.product(self.space(plugin).shapes(), self.inputs[:1], (self.classes,)),
            *itertools.product(self.corners(plugin), self.inputs, (self.classes, 2)),
        }
        for question in sorted(questions):
            self.check_size(plugin, *question)

    def test_has_a_network_of_every_width_that_it_accepts(self, plugin: Architecture) -> None:
        """This includes thin and odd widths, which users may ask for. No network has a layer without channels."""
        depth = min(self.space(plugin).shapes()).depth
        for width in filter(plugin.is_width, ODD_WIDTHS):
            self.check_size(plugin, Shape(depth, width), self.inputs[0], self.classes)

    @staticmethod
    def check_size(plugin: Architecture, shape: Shape, images: InputShape, classes: int) -> None:
        """Check that a network can be built without memory, and stores as many values as are counted."""
        import torch

        with torch.device("meta"):
            network = plugin.build(shape, images, classes)
        for name, parameter in network.named_parameters():
            assert parameter.numel(), f"{shape}: {name} is empty; is_width() should refuse such a width"
        stored = sum(value.numel() for value in network.state_dict().values() if value.is_floating_point())
        counted = plugin.count_values(shape, images, classes)
        assert counted == stored, f"{shape} for images {images}: counted {counted}, built {stored}"

    def test_size_is_computed_without_building(self, plugin: Architecture, monkeypatch: pytest.MonkeyPatch) -> None:
        """Sizes are asked for by the million."""
        shapes = self.space(plugin).shapes()
        monkeypatch.setattr(type(plugin), "build", lambda *_: pytest.fail("count_values built a network"))
        assert all(plugin.count_values(shape, self.inputs[0], self.classes) > 0 for shape in shapes)

    def test_size_grows_with_depth_and_width(self, plugin: Architecture) -> None:
        """A deeper network of the same width is larger, and a wider one of the same depth is not smaller."""
        space = self.space(plugin)
        sizes = {shape: plugin.count_values(shape, self.inputs[0], self.classes) for shape in space.shapes()}
        depths, widths = sorted({shape.depth for shape in sizes}), sorted({shape.width for shape in sizes})
        for (shallow, deep), width in itertools.product(itertools.pairwise(depths), widths):
            assert sizes[Shape(shallow, width)] < sizes[Shape(deep, width)], (
                f"from ({shallow}, {width}) to depth {deep}"
            )
        for (thin, wide), depth in itertools.product(itertools.pairwise(widths), depths):
            less, more = Shape(depth, thin), Shape(depth, wide)
            assert sizes[less] <= sizes[more], f"from {less} to {more}"

    def test_seed_determines_the_weights(self, plugin: Architecture) -> None:
        """Weights are drawn from torch's global generator and from nothing else."""
        import torch

        shape, images = self.corners(plugin)[0], self.inputs[0]
        first, again, other = (self.built(plugin, shape, images, seed).state_dict() for seed in (1, 1, 2))
        assert first.keys() == again.keys()
        assert all(torch.equal(first[name], again[name]) for name in first)
        assert any(not torch.equal(first[name], other[name]) for name in first)

    def test_learns_from_every_input(self, plugin: Architecture) -> None:
        """A forward pass gives finite logits, and a backward pass a finite gradient for every parameter."""
        import torch

        for shape, images in itertools.product(self.corners(plugin), self.inputs):
            network = self.built(plugin, shape, images)
            logits = network(torch.randn(4, *images))
            assert logits.shape == (4, self.classes)
            torch.nn.functional.cross_entropy(logits, torch.arange(4) % self.classes).backward()  # type: ignore[no-untyped-call]
            for name, parameter in network.named_parameters():
                assert parameter.grad is not None, f"{shape}: {name} has no gradient"
                assert torch.isfinite(parameter.grad).all(), f"{shape}: the gradient of {name} is not finite"

    def test_trains_by_its_own_recipe(self, plugin: Architecture) -> None:
        """Steps with the optimiser that it asks for, at a small rate, change all weights and leave them finite."""
        import torch

        from shape_dnn.training.step import Step

        recipe = checked.adapt(plugin, Recipe(epochs=12, batch_size=4, lr=0.2, precision="float32"))
        for shape, images in itertools.product(self.corners(plugin), self.inputs[:1]):
            network = self.built(plugin, shape, images).to(memory_format=torch.channels_last).train()
            before = {name: value.detach().clone() for name, value in network.named_parameters()}
            step = Step(network, recipe)
            for _ in range(2):
                step(torch.randn(4, *images), torch.arange(4) % self.classes, recipe.lr / 10)
            for name, value in network.named_parameters():
                assert torch.isfinite(value).all(), f"{shape}: {name} is not finite after two steps"
                assert not torch.equal(value, before[name]), f"{shape}: {name} does not change"

    def test_judges_each_image_by_itself(self, plugin: Architecture) -> None:
        """In evaluation mode the logits of an image do not depend on the others of its batch."""
        import torch

        for shape, images in itertools.product(self.corners(plugin), self.inputs):
            network = self.built(plugin, shape, images).eval()
            batch = torch.randn(3, *images)
            with torch.inference_mode():
                together, alone = network(batch), torch.cat([network(image[None]) for image in batch])
            torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-4)

    def test_starts_from_the_weights_that_it_has(self, plugin: Architecture, twin: Architecture) -> None:
        """Weights to start from have the same names every time, and replace random ones. Those in files are tried."""
        import torch

        found = pretrained(plugin) or {}
        assert found == (pretrained(twin) or {})
        for shape, weights in found.items():
            if weights.file is None:
                continue  # published ones may have to be fetched
            networks = [self.built(plugin, shape, self.inputs[0], seed) for seed in (1, 2)]
            first, second = (network.state_dict() for network in networks)
            drawn = {name for name in first if not torch.equal(first[name], second[name])}
            for network in networks:
                plugin.load_pretrained(network, shape, weights)
            assert any(torch.equal(first[name], second[name]) for name in drawn), f"{shape}: all weights stay random"

    def test_grows_without_changing_what_it_computes(self, plugin: Architecture) -> None:
        """If a network can grow into a larger one, that gives the same logits, and the copies learn to differ."""
        import torch

        from shape_dnn.training.step import Step

        recipe = checked.adapt(plugin, Recipe(epochs=12, batch_size=8, lr=0.2, precision="float32"))
        pairs = [pair for pair in itertools.permutations(self.corners(plugin), 2) if plugin.can_grow(*pair)]
        for (shape, larger), images in itertools.product(pairs, self.inputs):
            network = self.built(plugin, shape, images, 1)
            network(torch.randn(8, *images))  # moves the statistics of batch norms
            weights = network.eval().state_dict()
            grown = self.built(plugin, larger, images, 2)
            grown.load_state_dict(plugin.grow(weights, shape, larger, images, self.classes, 0))
            batch = torch.randn(4, *images)
            with torch.inference_mode():
                torch.testing.assert_close(grown.eval()(batch), network(batch), rtol=1e-3, atol=1e-4)
            fresh = alike(self.built(plugin, larger, images))
            step = Step(grown.to(memory_format=torch.channels_last).train(), recipe)
            for _ in range(3):
                step(torch.randn(8, *images), torch.arange(8) % self.classes, recipe.lr / 10)
            stuck = sorted(alike(grown) - fresh)
            assert not stuck, f"from {shape} to {larger}: copies in {', '.join(stuck)} are alike after three steps"

    def test_is_restored_from_its_weights(self, plugin: Architecture) -> None:
        """A network with the ``state_dict`` of another one gives the same logits, bit for bit."""
        import torch

        shape, images = self.corners(plugin)[-1], self.inputs[0]
        trained, restored = self.built(plugin, shape, images, 1), self.built(plugin, shape, images, 2)
        trained(torch.randn(4, *images))  # moves the statistics of batch norms
        restored.load_state_dict(trained.state_dict())
        batch = torch.randn(2, *images)
        with torch.inference_mode():
            assert torch.equal(trained.eval()(batch), restored.eval()(batch))

    def test_can_be_exported(self, plugin: Architecture) -> None:
        """``torch.export`` takes it for batches of any size, and what is exported gives the same logits."""
        import torch

        shape, images = self.corners(plugin)[0], self.inputs[0]
        network = self.built(plugin, shape, images).eval()
        batch = torch.export.Dim("batch", min=1, max=1024)
        exported: Any = torch.export.export(network, (torch.randn(2, *images),), dynamic_shapes=({0: batch},)).module()
        inputs = torch.randn(3, *images)
        with torch.inference_mode():
            torch.testing.assert_close(exported(inputs), network(inputs), rtol=1e-3, atol=1e-4)
