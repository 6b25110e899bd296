"""Linear probes of a model's activations, scored against what the question's digits already give.

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
