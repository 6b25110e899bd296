"""Figures of the suites."""
