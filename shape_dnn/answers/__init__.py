"""Answers as users see them."""
