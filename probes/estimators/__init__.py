"""Probes as scikit-learn estimators, and what all probes of one site share."""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
