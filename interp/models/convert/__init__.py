"""Checkpoints of other toolkits as standard folders, proved to compute the same."""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
