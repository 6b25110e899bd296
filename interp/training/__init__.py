"""Training of small models: recipes, one loop, learning curves, cards.

>>> from interp.training import recipe
>>> recipe("add5").task
'add:5'
"""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
