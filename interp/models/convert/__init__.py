"""Convert checkpoints of other toolkits to standard folders, and verify the logits."""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
