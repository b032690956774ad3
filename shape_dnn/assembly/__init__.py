"""From settings to the objects of a search."""
