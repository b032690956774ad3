"""Compares ways of searching on recorded tables, where the truth is known."""
