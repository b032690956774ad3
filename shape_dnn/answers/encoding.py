"""Words of the domain as JSON values, as they stand in a result."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from shape_dnn.records import Accident, Failing, Transferred
from shape_dnn.shape import Shape

if TYPE_CHECKING:
    from shape_dnn.answers.advice import Advice


def shape(shape: Shape) -> dict[str, float]:
    """Return a shape as its depth and width."""
    return {"depth": shape.depth, "width": float(shape.width)}


def weights(of_shape: tuple[Shape, str]) -> dict[str, Any]:
    """Return a shape with the name of the weights from which its training started."""
    start, name = of_shape
    return {**shape(start), "name": name}


def failing(each: Failing, quality: str) -> dict[str, Any]:
    """Return a shape that fails to train, with the smaller one that does better.

    Args:
        each: the shape.
        quality: name of the quality that both have.
    """
    smaller = {**shape(each.smaller), quality: each.smaller_quality}
    return {**shape(each.shape), quality: each.quality, "smaller": smaller}


def accident(each: Accident, quality: str) -> dict[str, Any]:
    """Return a shape whose second training counts, with the qualities of both trainings.

    Args:
        each: the shape, with its two trainings.
        quality: name of the quality that both have.
    """
    return {**shape(each.shape), quality: each.quality, "again": each.again}


def transferred(each: Transferred) -> dict[str, Any]:
    """Return the shapes whose trainings started from the weights of smaller ones, and what that changed."""
    return {"shapes": [shape(one) for one in each.shapes], "bias": each.bias}


def advice(each: Advice) -> dict[str, Any]:
    """Return the training or measurement that would most likely change an answer."""
    return {**asdict(each), "shape": shape(each.shape)}
