"""Adapters: low-rank weight updates that teach a language model arithmetic."""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
