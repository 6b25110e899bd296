"""Lazy package faces (PEP 562): every public name is imported on first use.

The names of a face come from its stub (`__init__.pyi`, which mypy reads), the catalogue, and the
names that moved since the last version.
"""

from __future__ import annotations

import sys
import warnings
from collections import defaultdict
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import lazy_loader

_SERVED: defaultdict[str, dict[str, str]] = defaultdict(dict)
_MOVED: defaultdict[str, dict[str, str]] = defaultdict(dict)


def serve(package: str, name: str, target: str) -> None:
    """Make `package.name` lead to `target`, written "module:attribute"."""
    _SERVED[package][name] = target


def moved(package: str, old: str, target: str) -> None:
    """Make `package.old` lead to `target` with a DeprecationWarning, for one version."""
    _MOVED[package][old] = target


def found(target: str) -> Any:
    """The object at "module:attribute", or the module itself without an attribute."""
    module, _, attribute = target.partition(":")
    try:
        loaded = import_module(module)
    except ModuleNotFoundError as error:
        check_shadowed(module.partition(".")[0], error)
        raise
    return getattr(loaded, attribute) if attribute else loaded


def check_shadowed(package: str, error: ModuleNotFoundError) -> None:
    """Raise ImportError if a file of the user's shadows one of these packages."""
    place = getattr(sys.modules.get(package), "__file__", None)
    own = Path(__file__).resolve().parent.parent
    if place and not Path(place).resolve().is_relative_to(own / package):
        raise ImportError(
            f"{place} shadows the package {package!r} of arithmoscope: rename it, or work in "
            "another folder",
            name=package,
            path=place,
        ) from error


Face = tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]


def face(package: str, file: str) -> Face:
    """`__getattr__`, `__dir__` and `__all__` of a package: `face(__name__, __file__)`."""
    stub, _, names = lazy_loader.attach_stub(package, file)

    def of_package(name: str) -> Any:
        if name in names:
            return stub(name)
        if name in _SERVED[package]:
            return found(_SERVED[package][name])
        if name in _MOVED[package]:
            target = _MOVED[package][name]
            new = target.replace(":", ".")
            warnings.warn(
                f"{package}.{name} is now {new}; the old name goes in the next version",
                DeprecationWarning,
                stacklevel=2,
            )
            return found(target)
        raise AttributeError(f"module {package!r} has no attribute {name!r}; it has {listed()}")

    def listed() -> list[str]:
        return sorted({*names, *_SERVED[package]})

    return of_package, listed, names
