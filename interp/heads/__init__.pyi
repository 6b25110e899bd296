from ._attention import attention as attention
from ._carry import carry as carry
from ._tree import tree as tree
