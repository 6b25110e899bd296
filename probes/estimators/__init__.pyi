from .circular import CircularProbe as CircularProbe
from .circular import (
    on_circle as on_circle,
)
from .circular import (
    read_circle as read_circle,
)
from .linear_map import (
    LinearMap as LinearMap,
)
from .linear_map import (
    r2 as r2,
)
from .logistic import LogisticProbe as LogisticProbe
from .ridge import LowRankProbe as LowRankProbe
from .ridge import RidgeProbe as RidgeProbe
from .shared_logistic import (
    LogisticScores as LogisticScores,
)
from .shared_logistic import (
    SharedLogistic as SharedLogistic,
)
from .shared_ridge import (
    RidgeScores as RidgeScores,
)
from .shared_ridge import (
    SharedRidge as SharedRidge,
)
from .shared_ridge import (
    penalties as penalties,
)
from .softmax_maps import SoftmaxMaps as SoftmaxMaps
