"""Which heads do the arithmetic: carries, attention, trees."""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
