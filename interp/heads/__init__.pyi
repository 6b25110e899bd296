from ._carry import carry as carry
