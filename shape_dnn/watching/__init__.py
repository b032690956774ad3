"""Pages that show studies while searches run: served on this machine alone, to whoever has the address."""
