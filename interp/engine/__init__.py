"""Forward passes with interventions; no other package runs a model."""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
