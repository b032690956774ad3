"""Training hyper-parameters. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal, get_args

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

CHOICES: Mapping[str, tuple[str | bool, ...]] = {
    "schedule": ("steps", "one-cycle", "cosine"),
    "optimizer": ("sgd", "adamw"),
    "flip": (True, False),
    "precision": ("auto", *PRECISIONS),
    "tf32": (True, False),
}
"""The accepted values of those parts of a recipe that accept only a few."""
RANGES: Mapping[str, tuple[float, float]] = {
    "epochs": (1, 1e6),
    "batch_size": (1, 1e6),
    "lr": (1e-12, 1e6),
    "gamma": (0, 1),
    "warmup": (0, 0.99),
    "momentum": (0, 0.9999),
    "beta2": (0, 0.999999),
    "weight_decay": (0, 1e3),
    "crop": (0, 64),
    "randaugment": (0, 30),
    "erasing": (0, 1),
    "mixup": (0, 100),
    "label_smoothing": (0, 0.99),
}
"""The smallest and the largest accepted value of those parts that are numbers."""
WHOLE = frozenset({"epochs", "batch_size", "crop", "randaugment"})
"""The parts that are whole numbers."""
COUNTS_WITH: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "milestones": ("schedule", ("steps",)),
    "gamma": ("schedule", ("steps",)),
    "warmup": ("schedule", ("one-cycle", "cosine")),
    "beta2": ("optimizer", ("adamw",)),
}
"""The parts that make a difference only with some values of another part: that other part, and these values."""
UNSAID: Mapping[str, object] = {
    "precision": "float32",
    "optimizer": "sgd",
    "beta2": 0.999,
    "randaugment": 0,
    "erasing": 0.0,
    "mixup": 0.0,
    "tf32": True,
}
"""Values that are left out where a training is identified, since in former studies there were no others."""


@dataclass(frozen=True)
class Recipe:
    """How one shape is trained on the cross-entropy loss.

    Attributes:
        epochs: passes over the training images.
        batch_size: images per step; a last incomplete batch is left out.
        lr: highest learning rate.
        schedule: ``steps`` multiplies the rate by ``gamma`` at each milestone; ``one-cycle`` rises linearly during the
            first ``warmup`` of all steps and then falls linearly to zero; ``cosine`` rises in the same way, and then
            falls to zero along half a cosine.
        milestones: for ``steps``, the points at which the rate is multiplied, as fractions of all epochs, so that they
            move with ``epochs``.
        gamma: for ``steps``, the factor.
        warmup: for ``one-cycle`` and ``cosine``, how long the rate rises, as a fraction of all steps.
        optimizer: ``sgd`` with Nesterov momentum, or ``adamw``.
        momentum: for ``sgd``, Nesterov's momentum; for ``adamw``, the decay rate of the mean gradient, beta 1.
        beta2: for ``adamw``, the decay rate of the mean squared gradient.
        weight_decay: for ``sgd``, an L2 penalty (paper, Table 2) on all parameters; for ``adamw``, the part that each
            step takes off, per unit of the learning rate, from all parameters except biases and the scales of norms and
            layers.
        crop: pixels of black border added on each side before images are cropped at random to their former size; 0 for
            none.
        flip: whether images are mirrored left to right at random.
        randaugment: magnitude of the two operations of RandAugment (Cubuk et al. 2019) on images of 1 or 3 channels.
            Groups of 8 images share the operations. 0 for none.
        erasing: probability that a rectangle is blackened (Zhong et al. 2020), at the same place in all images of such
            a group.
        mixup: alpha of the Beta distribution (Zhang et al. 2018) from which each batch draws a weight, with which its
            images and their labels are mixed with others of the batch; 0 for none.
        label_smoothing: probability mass that is taken from the right class and spread over all classes.
        precision: precision of those operators that gain from a lower one; weights are always ``float32``. ``auto`` is
            the precision of the trainings that a study already has. For its first trainings it is ``bfloat16`` if the
            device has instructions for it and the networks are of a kind that gains
            (:mod:`shape_dnn.training.precision`).
        tf32: whether a GPU that has TF32 may use it to compute convolutions in ``float32``, with factors of 10 bits, as
            torch does unless told otherwise; of no effect elsewhere.

    Raises:
        ValueError: a part has a value that cannot be used; the message names the part and says what is accepted.
    """

    epochs: int
    batch_size: int = 128
    lr: float = 0.1
    schedule: Literal["steps", "one-cycle", "cosine"] = "steps"
    milestones: tuple[float, ...] = (0.3, 0.6, 0.8)
    gamma: float = 0.2
    warmup: float = 0.2
    optimizer: Literal["sgd", "adamw"] = "sgd"
    momentum: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 5e-4
    crop: int = 4
    flip: bool = True
    randaugment: int = 0
    erasing: float = 0.0
    mixup: float = 0.0
    label_smoothing: float = 0.0
    precision: Precision | Literal["auto"] = "auto"
    tf32: bool = True

    def __post_init__(self) -> None:
        """Check every part, wherever it comes from."""
        for name in (field.name for field in fields(self)):
            value = getattr(self, name)
            if not _accepts(name, value):
                raise ValueError(f"{name} is {value!r}; accepted are {accepted(name)}")


def accepted(name: str) -> str:
    """Say which values a part of a recipe takes."""
    if name in CHOICES:
        return ", ".join(map(str, CHOICES[name]))
    if name in RANGES:
        least, most = RANGES[name]
        return f"{'whole ' if name in WHOLE else ''}numbers from {least:g} to {most:g}"
    return "fractions of the training, such as 0.3,0.6,0.8"


def _accepts(name: str, value: object) -> bool:
    if name in CHOICES:
        return any(value is choice or (isinstance(value, str) and value == choice) for choice in CHOICES[name])
    if name in RANGES:
        least, most = RANGES[name]
        number = isinstance(value, int if name in WHOLE else int | float) and not isinstance(value, bool)
        return number and least <= value <= most  # type: ignore[operator]
    return isinstance(value, tuple) and all(isinstance(part, float) and 0 < part < 1 for part in value)


WRN_PAPER = Recipe(epochs=200, precision="float32")
"""The recipe of Zagoruyko and Komodakis (2016), as the paper uses it: rate 0.1, times 0.2 at epochs 60, 120 and 160 of
200."""

IMAGENET32_PAPER = Recipe(epochs=60, lr=0.01, milestones=(1 / 3, 2 / 3), precision="float32")
"""The paper's recipe for its space D1 on ImageNet32x32: rate 0.01, times 0.2 at epochs 20 and 40 of 60."""
