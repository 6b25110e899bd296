from ._attention import attention as attention
from ._carry import carry as carry
from ._digit_circuits import digit_circuits as digit_circuits
from ._tree import tree as tree
