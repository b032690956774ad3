"""Plugins: finding them, looking them up, and what they must keep to."""
