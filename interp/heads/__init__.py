"""Which heads, MLPs and edges do the arithmetic: patching, paths, circuits, attention, trees."""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
