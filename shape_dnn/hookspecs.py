"""The hooks with which plugins declare themselves, one for each kind.

A plugin package has an entry point in the group ``shape_dnn`` that names a module (or an object) with hook
implementations. A single file can be given to the command as ``--plugin FILE.py``. Hooks only declare and do no work:
each yields :class:`~shape_dnn.kinds.Plugin` records, and only the factory of the plugin that a user selects is called.
The specs themselves have no body, since nobody calls them. The examples are complete.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shape_dnn.kinds import Plugin

hookspec = pluggy.HookspecMarker("shape_dnn")
hookimpl = pluggy.HookimplMarker("shape_dnn")
"""Marks a function as the implementation of a hook."""


@hookspec
def shape_dnn_trainers() -> Iterable[Plugin]:
    """Declare trainers (``--trainer``), which find out the quality of a shape with their own networks, data and loop.

    Example::

        from shape_dnn import Plugin, Quality, Trainer, hookimpl

        class Curve(Trainer):
            quality = Quality("loss", better="lower", minimum=0)
            default_depths, default_widths = "1:4:1", "1/2:5/2:1/2"
            steps = 30

            def build(self, shape):
                from torch import nn

                hidden = round(16 * shape.width)
                sizes = [1] + [hidden] * shape.depth + [1]
                layers = [layer for a, b in zip(sizes, sizes[1:]) for layer in (nn.Linear(a, b), nn.Tanh())]
                return nn.Sequential(*layers[:-1])

            def example(self, batch_size):
                import torch

                return torch.zeros(batch_size, 1)

            def train(self, shape, run):
                import torch

                x = torch.linspace(-1, 1, 64).unsqueeze(1)
                network = self.build(shape)
                optimizer = torch.optim.AdamW(network.parameters(), lr=0.03)
                for step in range(1, self.steps + 1):
                    loss = (network(x) - torch.sin(3 * x)).square().mean()
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    if not run.report(step, loss.item()):
                        break
                run.save(network)

        @hookimpl
        def shape_dnn_trainers():
            yield Plugin("curve", "one period of a sine", Curve)
    """


@hookspec
def shape_dnn_deployments() -> Iterable[Plugin]:
    """Declare deployments (``--deploy``): what ships, and the module that runs it without torch or shape_dnn.

    Example::

        from shape_dnn import Deployment, Plugin, hookimpl
        from shape_dnn.measuring import inputs

        RUNTIME = '''
        import os

        from onnx.reference import ReferenceEvaluator

        REQUIRES = {"onnx": "1.15", "numpy": "1.23"}

        def versions():
            import numpy
            import onnx

            return {"onnx": onnx.__version__, "numpy": numpy.__version__}

        def load(directory, settings):
            if settings["threads"] != 1:
                raise ValueError("threads=%s cannot be had; accepted is 1" % settings["threads"])
            return Model(ReferenceEvaluator(os.path.join(directory, "network.onnx")))

        class Model:
            def __init__(self, program):
                self.program = program

            def run(self, arrays):
                return self.program.run(None, dict(zip(self.program.input_names, arrays)))
        '''

        class Reference(Deployment):
            runtime = RUNTIME

            def identity(self):
                import onnx
                import torch

                return {"onnx": onnx.__version__, "torch": torch.__version__}

            def convert(self, network, example, calibration, directory):
                import torch

                args, kwargs = inputs.arguments(example)
                program = torch.onnx.export(network, args, kwargs=kwargs, dynamo=True, verbose=False)
                program.save(directory / "network.onnx")

        @hookimpl
        def shape_dnn_deployments():
            yield Plugin("reference", "ONNX as its reference in numpy computes it", Reference)
    """


@hookspec
def shape_dnn_architectures() -> Iterable[Plugin]:
    """Declare families of networks (``--arch``).

    Example::

        from shape_dnn import Architecture, Plugin, hookimpl

        class Perceptron(Architecture):
            title = "Perceptron"
            default_depths, default_widths = "1:4:1", "1:3:1"

            def is_depth(self, depth):
                return depth >= 1

            def is_width(self, width):
                return round(16 * width) >= 1

            def sizes(self, shape, input_shape, classes):
                channels, height, width = input_shape
                hidden = round(16 * shape.width)
                return [channels * height * width] + [hidden] * shape.depth + [classes]

            def count_values(self, shape, input_shape, classes):
                sizes = self.sizes(shape, input_shape, classes)
                return sum((before + 1) * after for before, after in zip(sizes, sizes[1:]))

            def build(self, shape, input_shape, classes):
                from torch import nn

                sizes = self.sizes(shape, input_shape, classes)
                layers = [nn.Flatten()]
                for before, after in zip(sizes, sizes[1:]):
                    layers += [nn.Linear(before, after), nn.ReLU()]
                return nn.Sequential(*layers[:-1])

        @hookimpl
        def shape_dnn_architectures():
            yield Plugin("perceptron", "fully connected layers", Perceptron)
    """


@hookspec
def shape_dnn_datasets() -> Iterable[Plugin]:
    """Declare image classification problems (``--dataset``).

    Example::

        from shape_dnn import Dataset, LabelledImages, Plugin, hookimpl

        class Stripes(Dataset):
            input_shape = (1, 8, 8)
            classes = 2

            def load(self):
                return self.draw(200, seed=0), self.draw(100, seed=1)

            def draw(self, number, seed):
                import numpy as np

                rng = np.random.default_rng(seed)
                images = rng.integers(0, 128, (number, 1, 8, 8), dtype=np.uint8)
                labels = np.arange(number) % 2
                images[labels == 0, :, ::2, :] += 100
                images[labels == 1, :, :, ::2] += 100
                return LabelledImages(images, labels)

        @hookimpl
        def shape_dnn_datasets():
            yield Plugin("stripes", "horizontal against vertical stripes in noise", Stripes)
    """


@hookspec
def shape_dnn_meters() -> Iterable[Plugin]:
    """Declare meters. One with the same name as its metric is used for it; others need ``--meter METRIC=NAME``.

    Example::

        from shape_dnn import Formula, Plugin, hookimpl

        class Layers(Formula):
            metric, unit, cost = "layers", "layers", 0.0

            def compute(self, workload, shapes):
                return [float(shape.depth) for shape in shapes]

        @hookimpl
        def shape_dnn_meters():
            yield Plugin("layers", "number of layers", Layers)
    """


@hookspec
def shape_dnn_samplers() -> Iterable[Plugin]:
    """Declare samplers (``--sampler``).

    Example::

        from shape_dnn import Plugin, Sampler, hookimpl

        class Shallow(Sampler):
            def choose(self, shapes, observed, budget):
                return [] if observed else sorted(shapes)[:budget]

        @hookimpl
        def shape_dnn_samplers():
            yield Plugin("shallow", "the shallowest shapes first", Shallow)
    """


@hookspec
def shape_dnn_strategies() -> Iterable[Plugin]:
    """Declare strategies (``--strategy``).

    Example::

        from shape_dnn import Plugin, Strategy, hookimpl

        class Root(Strategy):
            def count(self, candidates):
                return round(candidates**0.5)

        @hookimpl
        def shape_dnn_strategies():
            yield Plugin("root", "the square root of the number of candidates", Root)
    """


@hookspec
def shape_dnn_accuracy_models() -> Iterable[Plugin]:
    """Declare accuracy models (``--model``).

    Example::

        from shape_dnn import AccuracyModel, Plugin, Prediction, hookimpl

        class Nearest(AccuracyModel):
            def fit(self, shapes, accuracies):
                self.known = dict(zip(shapes, accuracies))

            def predict(self, shapes):
                return [Prediction(self.known[self.nearest(shape)]) for shape in shapes]

            def nearest(self, shape):
                def distance(known):
                    return abs(known.depth - shape.depth) + 20 * abs(known.width - shape.width), known

                return min(self.known, key=distance)

        @hookimpl
        def shape_dnn_accuracy_models():
            yield Plugin("nearest", "every shape is as accurate as the nearest that was trained", Nearest)
    """


@hookspec
def shape_dnn_goals() -> Iterable[Plugin]:
    """Declare goals (``--goal``).

    Example::

        from shape_dnn import Goal, Plugin, hookimpl

        class ErrorTimesSize(Goal):
            metrics = ("size", "accuracy")

            def score(self, values):
                return values["size"] * (100 - values["accuracy"])

        @hookimpl
        def shape_dnn_goals():
            yield Plugin("error-times-size", "small and accurate", ErrorTimesSize)
    """


@hookspec
def shape_dnn_executors() -> Iterable[Plugin]:
    """Declare executors (``--executor``).

    Example::

        from shape_dnn import Executor, Outcome, Plugin, hookimpl

        class Here(Executor):
            stopping = False

            def run(self, tasks, workers, report):
                for task in tasks:
                    if self.stopping:
                        return
                    try:
                        result = task.run(lambda progress, task=task: report(task, progress))
                    except Exception as error:
                        yield Outcome(task, error=error)
                    else:
                        yield Outcome(task, result)

            def stop(self):
                self.stopping = True

        @hookimpl
        def shape_dnn_executors():
            yield Plugin("here", "one after the other in the process of the search", Here)
    """


@hookspec
def shape_dnn_terminators() -> Iterable[Plugin]:
    """Declare terminators (``--terminator``).

    Example::

        from shape_dnn import Plugin, Terminator, hookimpl

        class Stuck(Terminator):
            def should_stop(self, curve, epochs, others):
                return len(curve) >= 5 and not self.quality.is_better(curve[-1].quality, curve[-3].quality)

        @hookimpl
        def shape_dnn_terminators():
            yield Plugin("stuck", "stop what two epochs have made no better", Stuck)
    """


@hookspec
def shape_dnn_observers() -> Iterable[Plugin]:
    """Declare observers (``--observer``).

    Example::

        from shape_dnn import Observer, Plugin, hookimpl

        class Count(Observer):
            events = 0

            def notify(self, event):
                self.events += 1

        @hookimpl
        def shape_dnn_observers():
            yield Plugin("count", "counts what happens", Count)
    """


@hookspec
def shape_dnn_tables() -> Iterable[Plugin]:
    """Declare recorded tables (``--replay``). This one lies beside the file that declares it, and has its name.

    Example::

        from pathlib import Path
        from shape_dnn import Plugin, TableFile, hookimpl

        class Perceptrons(TableFile):
            def __init__(self):
                super().__init__(Path(__file__).with_suffix(".csv"))

        @hookimpl
        def shape_dnn_tables():
            yield Plugin("perceptrons", "fully connected layers on stripes in noise", Perceptrons)
    """
