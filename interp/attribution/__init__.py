"""Attribution of answers: counterfactual logit attribution and the logit lens."""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
