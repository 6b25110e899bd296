"""What a model answers: accuracy with its breakdowns, the prompt it answers best, its errors, and
how far its knowledge of numbers goes.
"""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
