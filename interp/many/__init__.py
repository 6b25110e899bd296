"""One analysis on several models, and every analysis on one model: seeds, checkpoints, reports."""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
