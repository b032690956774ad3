"""How shapes are measured: what the built-in meters share, and meters of other packages may use."""
