"""The file of a study."""
