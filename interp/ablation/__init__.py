"""Until which layer tokens may wait, where information must move, where the answer is computed."""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
