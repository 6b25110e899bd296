"""Base of every Result: the contract, named-axis arrays, intervals, storage, captions, calls.

numpy, pandas and pyarrow only. Each family keeps its own Result types in its `results/`.
"""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
