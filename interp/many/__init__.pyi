from ._compare import compare as compare
from ._over_checkpoints import (
    checkpoints as checkpoints,
)
from ._over_checkpoints import (
    over_checkpoints as over_checkpoints,
)
from ._over_seeds import (
    over_seeds as over_seeds,
)
from ._over_seeds import (
    seeds_of as seeds_of,
)
from ._report import (
    report as report,
)
from ._verify import (
    verify as verify,
)
