from .edits import (
    Frequency as Frequency,
)
from .edits import (
    Head as Head,
)
from .edits import (
    Mlp as Mlp,
)
from .edits import (
    Probe as Probe,
)
from .edits import (
    Wait as Wait,
)
from .edits import (
    parse as parse,
)
