"""Versions of the packages that can change a number."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from interp.results.settings import Settings

_PACKAGES = (
    "arithmoscope",
    "numpy",
    "pandas",
    "scikit-learn",
    "scipy",
    "torch",
    "transformer-lens",
    "transformers",
)


@cache
def installed_versions() -> Settings:
    """Versions of Python and of installed packages that can change a number, read from metadata
    without importing them."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return Settings(found)
