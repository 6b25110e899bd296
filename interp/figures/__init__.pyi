from .export import (
    Export as Export,
)
from .export import (
    write_closer as write_closer,
)
from .export import (
    write_figure as write_figure,
)
from .registry import (
    draw as draw,
)
from .registry import (
    gallery as gallery,
)
from .registry import (
    has_renderer as has_renderer,
)
from .registry import (
    renders as renders,
)
from .registry import (
    shows as shows,
)
