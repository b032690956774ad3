"""The default plugins, declared like anyone's. The code of each stands beside this file, imported when selected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shape_dnn.hookspecs import hookimpl
from shape_dnn.kinds import Option, Plugin
from shape_dnn.measuring.forward_pass import Numerics

if TYPE_CHECKING:
    from collections.abc import Iterable


@hookimpl
def shape_dnn_trainers() -> Iterable[Plugin]:
    """Declare the built-in trainer, which a search makes of its architecture, dataset and recipe."""
    yield Plugin(
        "classifier",
        "classifies images by networks of an architecture, trained by a recipe",
        "shape_dnn.training.classifier:ClassifierTrainer",
    )


@hookimpl
def shape_dnn_architectures() -> Iterable[Plugin]:
    """Declare the built-in architectures."""
    yield Plugin(
        "wrn",
        "Wide ResNet; depth 6N+4, width a factor on 16, 32 and 64 channels",
        "shape_dnn.builtin.architectures.wrn:WideResNet",
        {
            "stem": Option(
                help="channels of the first convolution: scaled with the width (the paper), or 16 (the original)",
                choices=("scaled", "16"),
            )
        },
    )


_PROVIDERS = ("cpu", "cuda", "tensorrt", "coreml", "dml", "openvino", "qnn", "rocm", "xnnpack")


@hookimpl
def shape_dnn_deployments() -> Iterable[Plugin]:
    """Declare the built-in deployments."""
    package = "shape_dnn.builtin.deployments"
    drop = Option(
        help="most that the quality may lose by the conversion before that is said, in percent of its range",
        minimum=0.0,
    )
    yield Plugin(
        "torch",
        "networks as torch runs them",
        f"{package}.torch:Torch",
        {**Numerics.OPTIONS, "max_drop": drop},
    )
    yield Plugin(
        "onnxruntime",
        "programs of ONNX as ONNX Runtime runs them",
        f"{package}.onnxruntime:OnnxRuntime",
        {
            "precision": Option(
                help="numeric format of weights, with int8 of activations too", choices=("float32", "float16", "int8")
            ),
            "threads": Option(help="threads of an operator on a processor", minimum=1),
            "provider": Option(help="what runs the operators", choices=_PROVIDERS),
            "optimization": Option(help="of the graph", choices=("disabled", "basic", "extended", "all")),
            "arena": Option(help="whether memory on the processor is kept for the next call"),
            "calibration": Option(help="training examples by which int8 finds the ranges of activations", minimum=1),
            "max_drop": drop,
        },
    )


_LIMIT = Option(help="keep at most this many training images, the same share of each class; 0 keeps all", minimum=0)
_DATA_DIR = Option(help="directory with the files")
_DOWNLOAD = Option(help="fetch missing files from the internet by torchvision into data_dir")
_SEED = Option(help="which random choice")


@hookimpl
def shape_dnn_datasets() -> Iterable[Plugin]:
    """Declare the built-in datasets."""
    yield Plugin(
        "digits",
        "scikit-learn's handwritten digits: 1,797 images, 8x8x1, 10 classes",
        "shape_dnn.builtin.datasets.digits:Digits",
        {"limit": _LIMIT},
    )
    files = {"data_dir": _DATA_DIR, "limit": _LIMIT}
    downloadable = {**files, "download": _DOWNLOAD}
    package = "shape_dnn.builtin.datasets"
    mnist = "60,000 images, 28x28x1, 10 classes"
    reducible = {**downloadable, "size": Option(help="height and width to which images are reduced")}
    yield Plugin("mnist", f"handwritten digits: {mnist}", f"{package}.mnist:Mnist", reducible)
    yield Plugin("fashion-mnist", f"articles of clothing: {mnist}", f"{package}.mnist:FashionMnist", reducible)
    cifar = "photographs: 50,000 images, 32x32x3"
    yield Plugin("cifar10", f"{cifar}, 10 classes", f"{package}.cifar:Cifar10", downloadable)
    yield Plugin("cifar100", f"{cifar}, 100 classes", f"{package}.cifar:Cifar100", downloadable)
    yield Plugin(
        "imagenet32",
        "ImageNet scaled down: 1,281,167 images, 32x32x3, 1000 classes (Chrabaszcz et al. 2017)",
        f"{package}.imagenet32:ImageNet32",
        files,
    )
    of_images = {
        **files,
        "size": Option(help="height and width to which the images are resized", minimum=1),
        "channels": Option(help="3 for colour, 1 for grey", choices=(1, 3)),
        "test": Option(help="part of the images held out for the test where there is no folder test/"),
        "flip": Option(help="whether training mirrors images left to right at random"),
        "stream": Option(
            help="whether each image is decoded whenever it is needed, rather than kept: auto where all of them would "
            "take more than a quarter of the memory",
            choices=("auto", "yes", "no"),
        ),
    }
    yield Plugin(
        "folder",
        "your own images: one sub-folder per class, or train/ and test/ with one sub-folder per class each",
        f"{package}.folder:Folder",
        of_images,
    )
    yield Plugin(
        "webdataset",
        "your own images in tar archives with a file .cls beside each, as WebDataset has them",
        f"{package}.webdataset:WebDataset",
        of_images,
    )


@hookimpl
def shape_dnn_meters() -> Iterable[Plugin]:
    """Declare the built-in meters."""
    package = "shape_dnn.builtin.meters"
    options = Numerics.OPTIONS
    gpu_options = {name: option for name, option in options.items() if name != "threads"}
    seconds = Option(help="most time spent on each shape after warm-up", minimum=0)
    yield Plugin(
        "size",
        "size of the stored network in MB, by a closed form",
        f"{package}.size:meter",
        {"counted": Option(False, "whether each network is built, without memory, since there is no closed form")},
    )
    yield Plugin(
        "memory",
        "most memory in use during a forward pass of a batch in MB; measured on CUDA, elsewhere computed",
        f"{package}.memory:Memory",
        {name: options[name] for name in ("precision", "channels_last")},
    )
    yield Plugin("file-size", "size of the files that ship in MB", f"{package}.file_size:FileSize")
    yield Plugin(
        "latency",
        "time of one forward pass of a batch in ms",
        f"{package}.latency:Latency",
        {"seconds": seconds, **options},
    )
    yield Plugin(
        "graph-latency",
        "time in ms that a GPU takes for one forward pass of a batch whose kernels are launched at once",
        f"{package}.latency:GraphLatency",
        {"seconds": seconds, **{name: option for name, option in gpu_options.items() if name != "mode"}},
    )
    yield Plugin(
        "energy",
        "energy of one forward pass of a batch in J, by the sensors of an NVIDIA GPU",
        f"{package}.energy:NvmlEnergy",
        {
            "seconds": Option(help="longest window of each shape, after the power has settled", minimum=3),
            "interval": Option(help="seconds between two readings of the sensors", minimum=0.01, maximum=0.1),
            **gpu_options,
        },
    )


@hookimpl
def shape_dnn_samplers() -> Iterable[Plugin]:
    """Declare the built-in samplers."""
    package = "shape_dnn.builtin.samplers"
    yield Plugin("interval", "evenly spaced through the shapes sorted by width and depth", f"{package}.paper:Interval")
    yield Plugin("random", "uniformly at random", f"{package}.paper:Random", {"seed": _SEED})
    yield Plugin("wider", "the shallowest shapes first, each with all its widths", f"{package}.paper:Wider")
    yield Plugin("d-optimal", "those that tell most about the accuracy of all", f"{package}.d_optimal:DOptimal")
    yield Plugin(
        "cheap-d-optimal",
        "the corners of the space, then those that tell most for the time they take",
        f"{package}.d_optimal:CheapDOptimal",
    )
    yield Plugin(
        "active",
        "a few cheap ones, then those that matter to the question, until it is settled",
        f"{package}.active:Active",
        {"initial": Option(help="trainings before the accuracy model is asked; 0 to have it say how many", minimum=0)},
    )


@hookimpl
def shape_dnn_strategies() -> Iterable[Plugin]:
    """Declare the built-in strategies."""
    module = "shape_dnn.builtin.strategies"
    yield Plugin("thorough", "all of a small space, a half, then a third", f"{module}:thorough")
    yield Plugin("standard", "all of a small space, a half, a third, then a quarter", f"{module}:standard")
    yield Plugin("optimistic", "a half of a small space, down to a fifth", f"{module}:optimistic")
    yield Plugin("exhaustive", "all", f"{module}:Exhaustive")


@hookimpl
def shape_dnn_accuracy_models() -> Iterable[Plugin]:
    """Declare the built-in accuracy models."""
    package = "shape_dnn.builtin.accuracy_models"
    yield Plugin("paper", "Equation 2 of the paper by least squares", f"{package}.paper:LeastSquares")
    yield Plugin("ridge", "Equation 2 regularised, sound with few trainings", f"{package}.ridge:Ridge")
    yield Plugin("log-linear", "quadratic in the logarithms of depth and width", f"{package}.log_linear:LogLinear")
    yield Plugin("log-error", "a trend and a Gaussian process over the log error", f"{package}.log_error:LogError")
    yield Plugin("power-law", "a saturating power law in depth and width", f"{package}.power_law:PowerLaw")


@hookimpl
def shape_dnn_goals() -> Iterable[Plugin]:
    """Declare the built-in goals."""
    for metric, summary in (
        ("size", "the smallest"),
        ("latency", "the fastest"),
        ("graph-latency", "the fastest on a GPU where all kernels are launched at once"),
        ("energy", "the one that needs the least energy"),
        ("memory", "the one that needs the least memory"),
        ("file-size", "the one whose files are the smallest"),
        ("accuracy", "the most accurate"),
    ):
        yield Plugin(metric, summary, f"shape_dnn.builtin.goals:{metric.title().replace('-', '')}")


@hookimpl
def shape_dnn_executors() -> Iterable[Plugin]:
    """Declare the built-in executors."""
    yield Plugin(
        "local",
        "worker processes on this machine",
        "shape_dnn.builtin.executors.local:Local",
        {
            "threads": Option(help="threads of each training on a processor, at least", minimum=1),
            "mps": Option(help="whether trainings share a GPU by NVIDIA's multi-process service, started for them"),
        },
    )


@hookimpl
def shape_dnn_terminators() -> Iterable[Plugin]:
    """Declare the built-in terminators."""
    module = "shape_dnn.builtin.terminators"
    grace = Option(help="epochs that every training gets", minimum=1)
    yield Plugin("none", "every training runs to its end", f"{module}:Never")
    yield Plugin(
        "median",
        "stops what is worse than half of the others were",
        f"{module}:Median",
        {"grace": grace, "least": Option(help="other trainings from which there is a median", minimum=1)},
    )
    yield Plugin(
        "asha",
        "asynchronous successive halving: one of three goes on, and of these one of three",
        f"{module}:SuccessiveHalving",
        {"grace": grace, "reduction": Option(help="one of how many goes on", minimum=2)},
    )
    yield Plugin(
        "curve",
        "extrapolates learning curves, and stops what cannot matter to the question",
        f"{module}:LearningCurve",
        {"grace": grace, "risk": Option(help="probability of mattering below which one is stopped", minimum=0.0)},
    )


@hookimpl
def shape_dnn_observers() -> Iterable[Plugin]:
    """Declare the built-in observers."""
    package = "shape_dnn.builtin.observers"
    yield Plugin(
        "jsonl",
        "writes every event as a line of JSON",
        f"{package}.json_lines:JsonLines",
        {"path": Option("shape-dnn-events.jsonl", "file to append to")},
    )
    yield Plugin(
        "tensorboard",
        "shows trainings in TensorBoard, a run for each shape",
        f"{package}.tensorboard:TensorBoard",
        {"directory": Option("runs", "directory in which every search makes one of its own")},
    )
