"""Probes: what a model represents, where, and beyond what the digits give for free.

Every public name is imported on first use (PEP 562), so `import probes` brings in neither torch nor
scikit-learn.
"""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
