from ._accuracy import accuracy as accuracy
from ._doctor import doctor as doctor
from ._suggest import suggest as suggest
from .errors import (
    error_taxonomy as error_taxonomy,
)
from .errors import (
    published_errors as published_errors,
)
from .explain import (
    explain_errors as explain_errors,
)
from .explain import (
    explain_published as explain_published,
)
from .search import search_prompts as search_prompts
