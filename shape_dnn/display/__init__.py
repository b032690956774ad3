"""What people see of a running search."""
