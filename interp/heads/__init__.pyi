from ._circuit import circuit as circuit
from ._circuit import score_circuit as score_circuit
from ._knockout import knockout as knockout
from ._patch import patch as patch
from ._paths import paths as paths
from ._screen import screen as screen
from .circuits import Circuit as Circuit
