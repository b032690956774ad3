"""What the package offers in Python; the command calls the same functions."""
