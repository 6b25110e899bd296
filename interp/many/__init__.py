"""One analysis on several models: across seeds, or over the checkpoints of one training."""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
