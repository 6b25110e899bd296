"""The shape of digits: Fourier bases, regular figures, helices, Minkowski sums, operand grids."""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
