"""What is measured without training."""
