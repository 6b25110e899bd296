from ._patch import patch as patch
