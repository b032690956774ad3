"""How one shape is trained (paper, Section 5). Everything here but the tasks runs in worker processes."""
