"""Figures of patching, paths, knock-out and circuits."""
