"""Ablations: how long tokens can wait, where information moves, where the answer is computed."""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
