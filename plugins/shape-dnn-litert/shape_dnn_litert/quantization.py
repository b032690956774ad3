"""Files of LiteRT with smaller numbers, made of those in float32 by ai-edge-quantizer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from shape_dnn.errors import DeploymentError, describe
from shape_dnn.measuring import inputs
from shape_dnn_litert.conversion import silently

with silently():
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.calibrator import Calibrator
    from ai_edge_quantizer.qtyping import TFLOperationName
    from ai_edge_quantizer.quantizer import Quantizer
    from ai_edge_quantizer.recipe_manager import RecipeManager
    from ai_edge_quantizer.utils.qsv_utils import min_max_update

EVERYWHERE, ANY = ".*", TFLOperationName.ALL_SUPPORTED
SIGNATURE = "serving_default"
"""What litert-torch calls the program of a file."""


def to_float16(path: Path) -> None:
    """Keep the weights of convolutions and linear layers in half precision; LiteRT computes with them in float32.

    Raises:
        DeploymentError: there are no such weights.
    """
    recipe = RecipeManager()
    recipe.add_weight_only_config(EVERYWHERE, ANY, num_bits=16, algorithm_key=AlgorithmName.FLOAT_CASTING)
    _rewrite(path, recipe, [], schema.TensorType.FLOAT16)


def to_int8(path: Path, calibration: Sequence[Any]) -> None:
    """Quantise weights, by channels, and activations to 8 bits.

    Args:
        path: of the file.
        calibration: inputs by which the ranges of activations are found.

    Raises:
        DeploymentError: nothing can be quantised.
    """
    recipe = RecipeManager()
    recipe.add_static_config(EVERYWHERE, ANY, activation_num_bits=8, weight_num_bits=8)
    # Otherwise whoever runs the artifact would have to know scale and zero point of what goes in and comes out. The
    # quantizer has no other switch for that.
    for end in (TFLOperationName.INPUT, TFLOperationName.OUTPUT):
        recipe.add_quantization_config(EVERYWHERE, end, algorithm_key=AlgorithmName.NO_QUANTIZE)
    # Average pooling with padding, as in NASNet, becomes a window that a program within the program adds up. The
    # calibration of ai-edge-quantizer 0.10 looks at the outer program alone, and quantisation ends for want of ranges
    # of the inner one. Not needed once it leaves out what was not calibrated, or litert-torch writes AVERAGE_POOL_2D.
    for name in _inner_results(path):
        recipe.add_quantization_config(re.escape(name), ANY, algorithm_key=AlgorithmName.NO_QUANTIZE)
    _rewrite(path, recipe, calibration, schema.TensorType.INT8)


def _rewrite(path: Path, recipe: RecipeManager, calibration: Sequence[Any], wanted: int) -> None:
    """Quantise a file in place, and see that something in it is of the wanted type."""
    content = path.read_bytes()
    with silently():
        try:
            quantizer = Quantizer(content, recipe.get_quantization_recipe())
            written = quantizer.quantize(_ranges(content, recipe, calibration)).quantized_model
        except Exception as error:  # its classes have no base of their own
            raise DeploymentError(f"ai-edge-quantizer cannot have the network: {describe(error)[:300]}") from error
    path.write_bytes(written)
    if not any(tensor.type == wanted for program in _programs(path) for tensor in program.tensors):
        raise DeploymentError("nothing of the network can be made smaller by ai-edge-quantizer")


def _ranges(content: bytes, recipe: RecipeManager, calibration: Sequence[Any]) -> Any:
    """Return from where to where activations go.

    ``Quantizer.calibrate`` of ai-edge-quantizer 0.10 takes a moving mean over batches, in which the first has most of
    the weight, so that what others have beyond it is cut off. Not needed once it takes a ``qsv_update_func``, too.
    """
    if not calibration:
        return {}
    calibrator = Calibrator(content, num_threads=1, qsv_update_func=min_max_update)
    calibrator.calibrate({SIGNATURE: list(map(_by_name, calibration))}, recipe)
    return calibrator.get_model_qsvs()


def _by_name(batch: Any) -> Mapping[str, Any]:
    return {f"args_{place}": tensor.numpy() for place, tensor in enumerate(inputs.tensors(batch))}


def _programs(path: Path) -> Sequence[Any]:
    """Return what is in a file: first the program that is called, then those that it calls."""
    programs: Sequence[Any] = schema.ModelT.InitFromPackedBuf(path.read_bytes()).subgraphs
    return programs


def _inner_results(path: Path) -> Iterator[str]:
    """Yield the names of what is computed within programs that others call."""
    for program in _programs(path)[1:]:
        for operator in program.operators:
            yield from (program.tensors[place].name.decode() for place in operator.outputs)
