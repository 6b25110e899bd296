from ._counterfactual import counterfactual as counterfactual
from ._direct import direct as direct
from ._logit_lens import logit_lens as logit_lens
from .example import swap_example as swap_example
