from .assemble import merge as merge
from .baseline import one_hot_baseline as one_hot_baseline
from .causal_test import intervene as intervene
from .fitted import (
    FittedProbe as FittedProbe,
)
from .fitted import (
    fit as fit,
)
from .near import near_multiples as near_multiples
from .plan import Plan as Plan
from .run import run_file as run_file
from .running import running_sums as running_sums
from .splits import (
    Split as Split,
)
from .splits import (
    split as split,
)
from .sweep import (
    CONTROLS as CONTROLS,
)
from .sweep import (
    probe as probe,
)
from .targets import (
    Target as Target,
)
from .targets import (
    target as target,
)
from .targets import (
    target_names as target_names,
)
