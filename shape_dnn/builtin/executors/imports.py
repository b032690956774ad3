"""Imported by the process that workers are copied from: what trainings and measurements import in turn."""

import contextlib
import importlib

for name in (
    "torch",
    "torch._dynamo",  # by the first step on the device "meta", on which memory and work are counted
    "safetensors.torch",
    "shape_dnn.measuring.task",
    "shape_dnn.training.preparing",
    "shape_dnn.training.loop",
    "shape_dnn.training.task",
):
    with contextlib.suppress(Exception):  # which shows where it is needed
        importlib.import_module(name)
