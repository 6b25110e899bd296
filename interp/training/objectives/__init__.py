"""Training objectives, one object a method.

An `Objective` decides which tokens are learnt, how the loss is made up, which further parameters
are trained and when the optimiser restarts. The loop knows none of this: a new method is a new file
here and a line in `by_kind.OBJECTIVES`.
"""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
