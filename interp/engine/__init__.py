"""Passes with interventions: the only room that runs a model."""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
