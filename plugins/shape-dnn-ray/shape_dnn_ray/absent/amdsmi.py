"""Stands in for the package of this name where the driver of AMD is missing, and says what Ray understands."""

raise ImportError("the driver of AMD is missing")
