"""A stack of interventions on one prompt, taken from every family: the prompt before and after."""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
