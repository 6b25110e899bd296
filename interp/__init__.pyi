from . import (
    ablation as ablation,
)
from . import (
    arithmetic as arithmetic,
)
from . import (
    attribution as attribution,
)
from . import (
    behaviour as behaviour,
)
from . import (
    catalogue as catalogue,
)
from . import (
    engine as engine,
)
from . import (
    errors as errors,
)
from . import (
    figures as figures,
)
from . import (
    geometry as geometry,
)
from . import (
    heads as heads,
)
from . import (
    many as many,
)
from . import (
    models as models,
)
from . import (
    planted as planted,
)
from . import (
    published as published,
)
from . import (
    results as results,
)
from . import (
    stack as stack,
)
from . import (
    suites as suites,
)
from . import (
    training as training,
)
from .arithmetic.problems import Problems as Problems
from .arithmetic.tasks import (
    Addition as Addition,
)
from .arithmetic.tasks import (
    Expression as Expression,
)
from .arithmetic.tasks import (
    MixedAddition as MixedAddition,
)
from .arithmetic.tasks import (
    ModularAddition as ModularAddition,
)
from .arithmetic.tasks import (
    Multiplication as Multiplication,
)
from .arithmetic.tasks import (
    Subtraction as Subtraction,
)
from .arithmetic.tasks import (
    Task as Task,
)
from .arithmetic.tasks import (
    task as task,
)
from .behaviour._suggest import suggest as suggest
from .engine._cache import cache as cache
from .engine.requests import Cancel as Cancel
from .errors import (
    ArithmoscopeError as ArithmoscopeError,
)
from .errors import (
    Cancelled as Cancelled,
)
from .errors import (
    FormatError as FormatError,
)
from .errors import (
    InputError as InputError,
)
from .errors import (
    ModelError as ModelError,
)
from .errors import (
    RoleError as RoleError,
)
from .errors import (
    RowError as RowError,
)
from .errors import (
    SiteError as SiteError,
)
from .errors import (
    StorageError as StorageError,
)
from .loading import (
    load as load,
)
from .loading import (
    wrap as wrap,
)
from .many._compare import compare as compare
from .many._over_checkpoints import (
    checkpoints as checkpoints,
)
from .many._over_checkpoints import (
    over_checkpoints as over_checkpoints,
)
from .many._over_seeds import (
    over_seeds as over_seeds,
)
from .many._over_seeds import (
    seeds_of as seeds_of,
)
from .many._report import (
    Report as Report,
)
from .many._report import (
    report as report,
)
from .many._verify import (
    verify as verify,
)
from .models.convert import convert as convert
from .models.listing import list_models as list_models
from .models.site_map import SiteMap as SiteMap
from .published._rerun import (
    rerun as rerun,
)
from .results.result import (
    Result as Result,
)
from .results.result import (
    load_result as load_result,
)
from .stack._intervene import intervene as intervene
