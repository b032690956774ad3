"""Who is told what happens during a search."""
