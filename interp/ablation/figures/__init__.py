"""Figures of ablations."""
