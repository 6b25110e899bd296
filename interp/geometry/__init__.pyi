from ._figure import figure as figure
from ._fourier import fourier as fourier
from ._modular import modular as modular
from ._phases import phases as phases
