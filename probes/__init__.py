"""Probes: what a model represents, where, and beyond what the digits give for free.

Every public name is imported on first use (PEP 562), so `import probes` brings in neither torch nor
scikit-learn.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probes.assemble import merge
    from probes.splits import Split, split
    from probes.sweep import CONTROLS, probe
    from probes.targets import Target, target, target_names

_NAMES = {
    "CONTROLS": "probes.sweep",
    "Split": "probes.splits",
    "Target": "probes.targets",
    "merge": "probes.assemble",
    "probe": "probes.sweep",
    "split": "probes.splits",
    "target": "probes.targets",
    "target_names": "probes.targets",
}

__all__ = [
    "CONTROLS",
    "Split",
    "Target",
    "merge",
    "probe",
    "split",
    "target",
    "target_names",
]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'probes' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
