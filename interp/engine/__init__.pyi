from ._cache import (
    Activations as Activations,
)
from ._cache import (
    cache as cache,
)
from ._generate import generate as generate
from ._gradients import gradients as gradients
from ._run import (
    run as run,
)
from ._run import (
    run_variants as run_variants,
)
from ._selfcheck import selfcheck as selfcheck
from .interventions import (
    Add as Add,
)
from .interventions import (
    Clean as Clean,
)
from .interventions import (
    Constant as Constant,
)
from .interventions import (
    Freeze as Freeze,
)
from .interventions import (
    Intervention as Intervention,
)
from .interventions import (
    MaskAttention as MaskAttention,
)
from .interventions import (
    Mean as Mean,
)
from .interventions import (
    Project as Project,
)
from .interventions import (
    Replace as Replace,
)
from .interventions import (
    Rows as Rows,
)
from .interventions import (
    Scale as Scale,
)
from .interventions import (
    UserHook as UserHook,
)
from .interventions import (
    Zero as Zero,
)
from .readout import embedding as embedding
from .readout import unembed as unembed
from .readout import unembedding as unembedding
from .requests import (
    Cancel as Cancel,
)
from .requests import (
    Cost as Cost,
)
from .requests import (
    Read as Read,
)
from .requests import (
    Run as Run,
)
from .requests import (
    Savings as Savings,
)
from .requests import (
    Variant as Variant,
)
from .requests import (
    tolerance as tolerance,
)
