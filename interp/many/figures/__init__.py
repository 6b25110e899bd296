"""Figures of one analysis on several models."""
