"""Which heads, MLPs and edges do the arithmetic: patching, paths, knock-out, screens, circuits."""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
