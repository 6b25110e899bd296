from ._af1 import af1 as af1
from ._cama import cama as cama
from ._compare import compare as compare
from ._evaluate import evaluate as evaluate
from ._grid import grid as grid
from ._removal import removal as removal
from ._transfer import transfer as transfer
from .masks import (
    full_peek as full_peek,
)
from .masks import (
    knock_out as knock_out,
)
from .masks import (
    self_peek as self_peek,
)
from .masks import (
    window as window,
)
from .replacements import (
    REPLACEMENTS as REPLACEMENTS,
)
from .replacements import (
    Replacement as Replacement,
)
from .schedule import Schedule as Schedule
from .visible import MASKS as MASKS
