"""arithmoscope's library: a microscope for arithmetic in transformers.

Every public name is imported on first use (PEP 562), so `import interp` costs nothing and brings in
neither torch nor plotly:

>>> import interp
>>> interp.Addition(5).name
'add:5'
"""

from interp import catalogue as catalogue  # registers every public name
from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
