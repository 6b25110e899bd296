"""Figures of the geometry of digits."""
