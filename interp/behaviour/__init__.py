"""Behaviour of a model: accuracy with breakdowns, prompt search, diagnosis and error analysis."""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
