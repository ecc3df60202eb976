"""Measurements of this project and of the usual ways to count, side by side."""
