"""Problems, their exact truth, formats and scores. numpy and pandas only.

`tasks` define operations, `problems` hold operands with their answers and truth table, `truth`
documents its columns, `samplers` and `splits` draw and divide problems, `subtasks` classify
columns, `counterfactuals` change one thing at a time, `oracle` gives a perfect solver's
attribution, `formats` write problems as text and parse them, `scoring` scores generated answers.
"""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
