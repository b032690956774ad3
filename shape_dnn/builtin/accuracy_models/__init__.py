"""Predicting the accuracy of shapes that are not trained."""
