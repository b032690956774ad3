"""The memo of a search: what it knows, and who measures and trains the rest."""
