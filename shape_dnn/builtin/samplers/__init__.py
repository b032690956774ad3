"""Which shapes to train."""
