"""Training objectives, one object a method.

An `Objective` defines the learnt tokens, the loss, additional trained parameters and restarts of
the optimiser. The loop is independent of it: a new method is a new file here and a line in
`by_kind.OBJECTIVES`.
"""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
