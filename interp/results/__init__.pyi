from .atomic import (
    folder_atomic as folder_atomic,
)
from .atomic import (
    write_atomic as write_atomic,
)
from .grid import (
    Axis as Axis,
)
from .grid import (
    Grid as Grid,
)
from .identity import ModelId as ModelId
from .intervals import (
    Interval as Interval,
)
from .intervals import (
    benjamini_hochberg as benjamini_hochberg,
)
from .intervals import (
    mean_interval as mean_interval,
)
from .intervals import (
    ratio_interval as ratio_interval,
)
from .intervals import (
    wilson as wilson,
)
from .result import (
    MIN_DISTINCT as MIN_DISTINCT,
)
from .result import (
    Result as Result,
)
from .settings import Settings as Settings
from .versions import installed_versions as installed_versions
