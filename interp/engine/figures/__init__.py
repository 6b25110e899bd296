"""Figures of the engine."""
