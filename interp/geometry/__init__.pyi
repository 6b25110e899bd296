from ._figure import figure as figure
from ._fourier import fourier as fourier
from ._grid import grid as grid
from ._helix import helix as helix
from ._minkowski import minkowski as minkowski
from ._modular import modular as modular
from ._phases import phases as phases
