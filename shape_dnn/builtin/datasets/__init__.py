"""Image classification problems."""
