"""Registry of training objectives by their kind in a recipe's JSON."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from interp.errors import InputError
from interp.training.objectives.answer import AnswerLoss
from interp.training.objectives.base import Objective
from interp.training.objectives.icot import ImplicitChain
from interp.training.objectives.running_sum import RunningSumLoss
from interp.training.objectives.scratchpad import ScratchpadLoss

OBJECTIVES: dict[str, type[Objective]] = {
    cls.kind: cls for cls in (AnswerLoss, RunningSumLoss, ImplicitChain, ScratchpadLoss)
}


def objective_from(content: Mapping[str, Any]) -> Objective:
    """The objective of a JSON value, the inverse of `Objective.to_json`.

    Raises InputError for an unknown kind or field.
    """
    values = dict(content)
    kind = values.pop("kind", None)
    if kind not in OBJECTIVES:
        raise InputError(f"no objective {kind!r}; there are {', '.join(OBJECTIVES)}")
    cls = OBJECTIVES[kind]
    known = [item.name for item in fields(cls)]
    if unknown := sorted(set(values) - set(known)):
        raise InputError(f"the objective {kind!r} has no {unknown}; it has {', '.join(known)}")
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
