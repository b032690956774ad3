"""What ships: artifacts are made, run and timed on their target."""
