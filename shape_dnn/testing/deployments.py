"""What every deployment must keep to."""

from __future__ import annotations

import ast
import json
import math
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import pytest

from shape_dnn.deploying import artifacts, in_process
from shape_dnn.deploying.artifacts import Artifact
from shape_dnn.deploying.session import Session
from shape_dnn.kinds import Deployment, Target
from shape_dnn.kinds.deploying import BYTES
from shape_dnn.measuring import inputs
from shape_dnn.testing.contract import Contract

if TYPE_CHECKING:
    import numpy as np
    import torch

BATCH_SIZE = 2
OLDEST = (3, 9)
"""The oldest version of Python that runtimes must work with."""
NEWER_MODULES = frozenset({"annotationlib", "compression", "tomllib"})
"""Modules of the standard library that the oldest version does not have."""


class Case(NamedTuple):
    """A network to ship.

    Attributes:
        network: the network, ready for inference.
        example: makes inputs, given a batch size.
    """

    network: torch.nn.Module
    example: Callable[[int], Any]


def images() -> Case:
    """Return a small convolutional network."""
    import torch
    from torch import nn

    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), *head)
    return Case(network, lambda batch_size: torch.rand(batch_size, 1, 8, 8))


def two_inputs() -> Case:
    """Return a network that takes token ids and weights as positional arguments."""
    import torch
    from torch import nn

    class Weighed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.head = nn.Embedding(16, 8), nn.Linear(8, 3)

        def forward(self, tokens: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
            made: torch.Tensor = self.head((self.embedding(tokens) * weights.unsqueeze(-1)).sum(1))
            return made

    return Case(Weighed(), lambda batch_size: (torch.randint(16, (batch_size, 5)), torch.rand(batch_size, 5)))


def named_inputs() -> Case:
    """Return the same network, with inputs as keyword arguments."""
    network, example = two_inputs()
    return Case(network, lambda batch_size: dict(zip(("tokens", "weights"), example(batch_size), strict=True)))


CASES: Mapping[str, Callable[[], Case]] = {
    "images": images,
    "two inputs": two_inputs,
    "named inputs": named_inputs,
}


class DeploymentContract(Contract):
    """What every deployment must keep to. Its runtime must be installed.

    Attributes:
        impossible: settings that are not possible anywhere.
        tolerance: how much an output may differ from that of torch in float32; outputs are about 1.
    """

    kind = "deployment"
    impossible: ClassVar[Mapping[str, Any]] = {"threads": 0}
    tolerance: ClassVar[float] = 1e-4

    def case(self, name: str) -> Case:
        """Make one of the networks, the same every time."""
        import torch

        torch.manual_seed(0)
        case = CASES[name]()
        return Case(case.network.eval(), case.example)

    def made(self, plugin: Deployment, case: Case, directory: Path) -> Artifact:
        """Convert a network as a search does, in a new directory."""
        import torch

        torch.manual_seed(1)
        batches = math.ceil(plugin.calibration / BATCH_SIZE)
        calibration = [case.example(BATCH_SIZE) for _ in range(batches)]
        return artifacts.make(plugin, case.network, case.example(BATCH_SIZE), calibration, directory)

    def given(self, case: Case) -> tuple[list[np.ndarray[Any, Any]], np.ndarray[Any, Any]]:
        """Make inputs as the runtime takes them, and compute what the network makes of them."""
        import torch

        torch.manual_seed(2)
        example = case.example(BATCH_SIZE)
        with torch.inference_mode():
            expected = inputs.call(case.network, example)
        return [tensor.numpy() for tensor in inputs.tensors(example)], expected.numpy()

    def test_says_what_ships(self, plugin: Deployment) -> None:
        """It has a precision, whole numbers of threads and of calibration examples, and a drop of at least 0."""
        assert plugin.precision in BYTES
        assert type(plugin.threads) is int and plugin.threads >= 1  # noqa: PT018
        assert type(plugin.calibration) is int and plugin.calibration >= 0  # noqa: PT018
        assert 0 <= plugin.max_drop < math.inf

    def test_says_what_artifacts_depend_on(self, plugin: Deployment) -> None:
        """Identity and settings are JSON values, and the same every time, since artifacts are found again by them."""
        for ask in (plugin.identity, lambda: plugin.settings):
            first, second = (dict(ask()) for _ in range(2))
            assert all(isinstance(name, str) for name in first)
            assert json.loads(json.dumps(first, allow_nan=False)) == second

    def test_the_runtime_stands_alone(self, plugin: Deployment) -> None:
        """It is one file for Python 3.9, and imports only the standard library, numpy and what it requires."""
        tree = ast.parse(plugin.runtime, feature_version=OLDEST)
        assert not _evaluates_unions(tree), "Python 3.9 has no X | Y in annotations: import them from __future__"
        required = {_plain(name) for name in in_process.runtime(plugin).REQUIRES} | {"numpy"}
        known = metadata.packages_distributions()
        for module in _imported(tree):
            packages = {_plain(name) for name in (module, *known.get(module, ()))}
            is_standard = module in sys.stdlib_module_names - NEWER_MODULES
            assert is_standard or packages & required, f"it imports {module!r}, which REQUIRES does not name"

    def test_the_runtime_says_what_it_needs(self, plugin: Deployment) -> None:
        """``REQUIRES`` has the least version of every package, and ``versions`` returns the installed versions."""
        module = in_process.runtime(plugin)
        found = module.versions()
        assert module.REQUIRES
        for name, least in module.REQUIRES.items():
            assert re.fullmatch(r"\d+(\.\d+)*", least), f"the least version of {name} is {least!r}"
            assert re.match(r"\d", found[name]), f"the version of {name} that is there is {found[name]!r}"

    @pytest.mark.parametrize("case", CASES)
    def test_ships_what_the_network_computes(self, plugin: Deployment, case: str, tmp_path: Path) -> None:
        """Outputs agree up to rounding in float32, and in shape in any precision. Inputs may be many, of any type."""
        import numpy as np

        network = self.case(case)
        artifact = self.made(plugin, network, tmp_path / "artifact")
        arrays, expected = self.given(network)
        (output,) = in_process.load(plugin, artifact.files_in).run(arrays)
        assert output.shape == expected.shape
        assert output.dtype == expected.dtype, "what goes in and comes out is float32 in any precision"
        assert np.isfinite(output).all()
        if plugin.precision == "float32":
            assert np.abs(output - expected).max() <= self.tolerance

    def test_computes_the_same_every_time(self, plugin: Deployment, tmp_path: Path) -> None:
        """This holds also when the artifact is loaded again."""
        network = self.case("images")
        artifact = self.made(plugin, network, tmp_path / "artifact")
        arrays, _ = self.given(network)
        model, again = (in_process.load(plugin, artifact.files_in) for _ in range(2))
        first, second, third = (runs.run(arrays)[0].tobytes() for runs in (model, model, again))
        assert first == second == third

    def test_the_same_network_becomes_the_same_artifact(
        self, plugin: Deployment, twin: Deployment, tmp_path: Path
    ) -> None:
        """The artifacts agree byte for byte."""
        contents: list[dict[Path, bytes]] = []
        for maker in (plugin, twin):
            place = tmp_path / f"artifact-{len(contents)}"
            artifact = self.made(maker, self.case("images"), place)
            names = [path.relative_to(artifact.files_in) for path in artifact.files]
            contents.append(dict(zip(names, (path.read_bytes() for path in artifact.files), strict=True)))
        first, second = contents
        assert first.keys() == second.keys()
        assert [str(name) for name in first if first[name] != second[name]] == []

    def test_an_artifact_runs_on_a_target(self, plugin: Deployment, tmp_path: Path) -> None:
        """It runs in a process of its own that has the module, and the files wherever they were copied to."""
        network = self.case("two inputs")
        made = self.made(plugin, network, tmp_path / "made")
        artifact = Artifact(Path(shutil.move(made.directory, tmp_path / "elsewhere")))
        arrays, _ = self.given(network)
        with Session(plugin, Target(), alone=False) as session:
            model = session.load(artifact)
            (there,), (here,) = model.run(arrays), in_process.load(plugin, artifact.files_in).run(arrays)
            assert model.time() > 0
        assert there.tobytes() == here.tobytes()

    def test_refuses_a_setting_that_cannot_be_had(self, plugin: Deployment, tmp_path: Path) -> None:
        """It raises a ValueError that says what is accepted, and never takes another setting instead."""
        artifact = self.made(plugin, self.case("images"), tmp_path / "artifact")
        settings = {**plugin.settings, **self.impossible}
        with pytest.raises(ValueError, match=r"\w"):
            in_process.runtime(plugin).load(str(artifact.files_in), settings)


def _imported(tree: ast.Module) -> Iterator[str]:
    """Yield the packages that a module imports; empty for a module beside it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "" if node.level else str(node.module).partition(".")[0]


def _plain(name: str) -> str:
    """Write the name of a distribution like that of a module."""
    return re.sub(r"[-_.]+", "_", name).lower()


def _evaluates_unions(tree: ast.Module) -> bool:
    """Tell whether annotations have an ``X | Y`` that is evaluated when the module is read."""
    if any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body):
        return False
    written = [getattr(node, name, None) for node in ast.walk(tree) for name in ("annotation", "returns")]
    parts = (part for annotation in written if annotation is not None for part in ast.walk(annotation))
    return any(isinstance(part, ast.BinOp) and isinstance(part.op, ast.BitOr) for part in parts)
