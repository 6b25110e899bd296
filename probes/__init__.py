"""Probes: what a model represents, where, and beyond what the digits give for free.

Every public name is imported on first use (PEP 562), so `import probes` brings in neither torch nor
scikit-learn.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probes.assemble import merge
    from probes.baseline import one_hot_baseline
    from probes.fitted import FittedProbe, fit
    from probes.plan import Plan
    from probes.run import run_file
    from probes.running import running_sums
    from probes.splits import Split, split
    from probes.sweep import CONTROLS, probe
    from probes.targets import Target, target, target_names
    from probes.usage import use

_NAMES = {
    "CONTROLS": "probes.sweep",
    "FittedProbe": "probes.fitted",
    "Plan": "probes.plan",
    "Split": "probes.splits",
    "Target": "probes.targets",
    "fit": "probes.fitted",
    "merge": "probes.assemble",
    "one_hot_baseline": "probes.baseline",
    "probe": "probes.sweep",
    "run_file": "probes.run",
    "running_sums": "probes.running",
    "split": "probes.splits",
    "target": "probes.targets",
    "target_names": "probes.targets",
    "use": "probes.usage",
}

__all__ = [
    "CONTROLS",
    "FittedProbe",
    "Plan",
    "Split",
    "Target",
    "fit",
    "merge",
    "one_hot_baseline",
    "probe",
    "run_file",
    "running_sums",
    "split",
    "target",
    "target_names",
    "use",
]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'probes' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
