"""Files that are there whole or not at all, interrupts, and text of strangers."""
