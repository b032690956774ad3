"""For authors of plugins: test cases that say what a plugin of a kind must keep to. Needs pytest."""

from shape_dnn.testing.meters import MeterContract

__all__ = ["MeterContract"]
