"""The user's cache folder, for data that can be recomputed."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

CACHE_VARIABLE = "ARITHMOSCOPE_CACHE"


def cache_folder() -> Path:
    """The folder named by ARITHMOSCOPE_CACHE, or the user's cache folder of arithmoscope."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named) if named else Path(platformdirs.user_cache_dir("arithmoscope"))
