"""Figures of the heads family."""
