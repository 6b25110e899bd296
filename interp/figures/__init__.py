"""Base of every figure: theme, heat map, export, report.

Computes nothing. Each family keeps its own figures in its `figures/`.
"""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
