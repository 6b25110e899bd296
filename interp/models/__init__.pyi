from .characters import character_tokenizer as character_tokenizer
from .fixtures import (
    fixture_folders as fixture_folders,
)
from .fixtures import (
    fixtures_root as fixtures_root,
)
from .listing import list_models as list_models
from .loading import load_model as load_model
from .model import (
    Model as Model,
)
from .model import (
    Shape as Shape,
)
from .prompts import PromptBatch as PromptBatch
from .site_map import SiteMap as SiteMap
from .tokens import Tokens as Tokens
from .weights import weight_hash as weight_hash
from .wrapping import (
    trained_on as trained_on,
)
from .wrapping import (
    wrap_module as wrap_module,
)
