"""Adapters: a language model taught arithmetic by low-rank updates of its weights."""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
