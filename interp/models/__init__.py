"""Models: loading, the adapter over TransformerLens, prompts with named positions."""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
