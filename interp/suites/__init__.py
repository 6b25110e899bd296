"""Published benchmarks: the Number Cookbook, everyday estimates, noisy prefixes."""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
