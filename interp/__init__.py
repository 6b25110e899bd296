"""arithmoscope's library: a microscope for arithmetic in transformers.

Every public name is imported on first use (PEP 562), so `import interp` costs nothing and brings in
neither torch nor plotly:

>>> import interp
>>> interp.Addition(5).name
'add:5'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interp.agreement import across, replicas
    from interp.arithmetic.problems import Problems
    from interp.arithmetic.tasks import (
        Addition,
        Expression,
        MixedAddition,
        ModularAddition,
        Multiplication,
        Subtraction,
        Task,
        task,
    )
    from interp.checkpoint_series import over, series
    from interp.loading import load, wrap
    from interp.models import SiteMap, list_models
    from interp.models.convert import convert

_ROOMS = frozenset(
    {
        "ablation",
        "arithmetic",
        "attribution",
        "behaviour",
        "engine",
        "errors",
        "figures",
        "models",
        "results",
        "training",
    }
)

_NAMES = {
    "Addition": "interp.arithmetic.tasks",
    "Expression": "interp.arithmetic.tasks",
    "MixedAddition": "interp.arithmetic.tasks",
    "ModularAddition": "interp.arithmetic.tasks",
    "Multiplication": "interp.arithmetic.tasks",
    "Problems": "interp.arithmetic.problems",
    "SiteMap": "interp.models",
    "Subtraction": "interp.arithmetic.tasks",
    "Task": "interp.arithmetic.tasks",
    "across": "interp.agreement",
    "convert": "interp.models.convert",
    "list_models": "interp.models",
    "load": "interp.loading",
    "over": "interp.checkpoint_series",
    "replicas": "interp.agreement",
    "series": "interp.checkpoint_series",
    "task": "interp.arithmetic.tasks",
    "wrap": "interp.loading",
}

__all__ = [
    "Addition",
    "Expression",
    "MixedAddition",
    "ModularAddition",
    "Multiplication",
    "Problems",
    "SiteMap",
    "Subtraction",
    "Task",
    "across",
    "convert",
    "list_models",
    "load",
    "over",
    "replicas",
    "series",
    "task",
    "wrap",
]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    if name in _ROOMS:
        return import_module(f"interp.{name}")
    raise AttributeError(f"module 'interp' has no attribute {name!r}; it has {sorted(__dir__())}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_ROOMS})
