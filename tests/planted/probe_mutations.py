"""Mistakes in probes and in the edits along them (`mutations`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from interp.arithmetic.problems import Problems
from probes.activations import Activations
from tests.planted.mutations import Mutation

Function = Callable[..., Any]


def _earlier(roles_at: Function) -> Function:
    """Activations of the operator's token, whatever place was asked for."""
    return lambda batch, place: roles_at(batch, "op")


def _layer_below(at: Function) -> Function:
    def below(activations: Any, hook: Any, place: str) -> Any:
        return at(activations, hook._replace(layer=max(hook.layer - 1, 0)), place)

    return below


def _labels_left_alone(shuffled: Function) -> Function:
    return lambda values, mine, seed: values


def _rows_of_others(fit_design: Function) -> Function:
    return lambda X, design, **options: fit_design(np.roll(X, 1, axis=0), design, **options)


def _sign_flipped(edit: Function) -> Function:
    return lambda *args: -edit(*args)


def _half_a_step(edit: Function) -> Function:
    return lambda *args: 0.3 * edit(*args)


def _control_dropped(random_edit: Function) -> Function:
    return lambda delta, rng, X=None: delta


def _answers_off_by_one(answer_if: Function) -> Function:
    def shifted(problems: Problems, name: str, values: Any) -> Any:
        return (answer_if(problems, name, values) + 1) % 10

    return shifted


_USAGE = "probes.causal_test"

PROBES = (
    Mutation("probe_r2", "positions shifted", "probes.activations", "roles_at", _earlier),
    Mutation("probe_r2", "layers off by one", Activations, "at", _layer_below),
    Mutation("probe_r2", "rows of another prompt", "probes.study", "fit_design", _rows_of_others),
    Mutation("probe_r2", "control dropped", "probes.design", "_shuffled", _labels_left_alone),
    Mutation("probe_use", "sign flipped", _USAGE, "edit", _sign_flipped),
    Mutation("probe_use", "a third of the step", _USAGE, "edit", _half_a_step),
    Mutation("probe_use", "control dropped", _USAGE, "random_edit", _control_dropped),
    Mutation("probe_use", "another answer predicted", _USAGE, "answer_if", _answers_off_by_one),
)
