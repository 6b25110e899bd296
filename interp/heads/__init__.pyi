from ._knockout import knockout as knockout
from ._patch import patch as patch
from ._paths import paths as paths
