"""Planted models: transformers with a known mechanism, and its answer key.

>>> from interp.planted import build
>>> planted = build("addition", seed=7)
>>> planted.key.accuracy(planted.key.problems(100))
1.0
"""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
