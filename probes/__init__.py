"""Probes: what a model represents, where, and beyond what the digits give for free.

Every public name is imported on first use (PEP 562), so `import probes` brings in neither torch nor
scikit-learn.
"""

import sys

try:
    from interp.faces import face
except ModuleNotFoundError as error:
    raise ImportError(
        f"{sys.modules['interp'].__file__} shadows the package 'interp' of arithmoscope: rename "
        "it, or work in another folder"
    ) from error

__getattr__, __dir__, __all__ = face(__name__, __file__)
