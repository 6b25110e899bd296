"""Probes as scikit-learn estimators, and solvers shared by all probes of one site."""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
