"""Problems, their exact truth, formats and scores. numpy and pandas only.

`tasks` say what is computed, `problems` hold operands with their answers and truth table, `truth`
documents every column of it, `samplers` and `splits` draw and divide, `subtasks` classify columns,
`counterfactuals` change one thing at a time, `oracle` says what a perfect solver would show,
`formats` write problems as text and read them back, `scoring` judges what a model wrote.
"""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
