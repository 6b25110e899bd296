"""Every analysis, made wrong on purpose: one small mistake each, of the kind that people make.

A mutation changes a part of an analysis for the length of a `with` block. The planted proof of that
analysis must fail under it; a proof that a wrong analysis passes proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from interp.arithmetic.wrong_answers import WrongAnswers
from interp.engine import Add, Freeze, MaskAttention, Project, Replace, Rows, Scale
from interp.models.adapter import Adapter
from interp.models.prompts import PromptBatch
from tests.planted.ablation_mutations import ABLATION

Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]


class Mutation(NamedTuple):
    """`wrap` takes a function of the package and returns the mistaken one."""

    analysis: str
    mistake: str
    target: Any  # a module's name, or a class
    name: str
    wrap: Wrapper

    def apply(self, patch: pytest.MonkeyPatch) -> None:
        # A room's function may hide the module of its name, so that module is asked for as such.
        place = import_module(self.target) if isinstance(self.target, str) else self.target
        patch.setattr(place, self.name, self.wrap(getattr(place, self.name)))


def _next(index: int | tuple[int, ...] | None, count: int) -> Any:
    """The next layer or head, round and round."""
    if index is None:
        return None
    return tuple((i + 1) % count for i in ((index,) if isinstance(index, int) else index))


# --- the engine -----------------------------------------------------------------------------------


def _positions_shifted(find: Callable[..., Any]) -> Callable[..., Any]:
    def shifted(batch: PromptBatch, role: str) -> Any:
        where = find(batch, role)
        return np.where(where >= 0, np.minimum(where + 1, batch.tokens.shape[1] - 1), where)

    return shifted


def _edited(change: Callable[[Any, Any], Any]) -> Wrapper:
    """A wrapper of `compile_edit` that changes the intervention first."""

    def wrap(compile_edit: Callable[..., Any]) -> Callable[..., Any]:
        def compiled(model: Any, batch: Any, what: Any, *args: Any) -> Any:
            return compile_edit(model, batch, change(model, what), *args)

        return compiled

    return wrap


def _heads_swapped(model: Any, what: Any) -> Any:
    return replace(what, heads=_next(what.heads, model.shape.n_heads))


def _layers_swapped(model: Any, what: Any) -> Any:
    if isinstance(getattr(what, "source", None), Rows):  # which hold values for their layers only
        values = {_next(la, model.shape.n_layers)[0]: v for la, v in what.source.values.items()}
        what = replace(what, source=Rows(values))
    return replace(what, layers=_next(what.layers, model.shape.n_layers))


def _sign_flipped(model: Any, what: Any) -> Any:
    if isinstance(what, Add):
        return replace(what, scale=-what.scale)
    return replace(what, factor=-what.factor) if isinstance(what, Scale) else what


def _rows_misaligned(model: Any, what: Any) -> Any:
    if not isinstance(getattr(what, "source", None), Rows):
        return what
    values = {layer: value.roll(1, dims=0) for layer, value in what.source.values.items()}
    return replace(what, source=Rows(values))


def _project_by_half(model: Any, what: Any) -> Any:
    return replace(what, value=1.0) if isinstance(what, Project) else what


def _mask_inverted(model: Any, what: Any) -> Any:
    return replace(what, mode="only") if isinstance(what, MaskAttention) else what


def _without(kind: type) -> Wrapper:
    """A wrapper of `apply_edit` under which interventions of one kind do nothing."""

    def wrap(apply_edit: Callable[..., Any]) -> Callable[..., Any]:
        def applied(edit: Any, layer: int, x: Any, *args: Any) -> Any:
            new, places = apply_edit(edit, layer, x, *args)
            return (x if isinstance(edit.what, kind) else new), places

        return applied

    return wrap


def _layer_below(hook_point: Callable[..., Any]) -> Callable[..., Any]:
    def point(adapter: Adapter, site: str, layer: int | None) -> Any:
        return hook_point(adapter, site, layer if layer is None else max(layer - 1, 0))

    return point


def _half(true_logits: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **options: 0.5 * true_logits(*args, **options)


# --- attribution ----------------------------------------------------------------------------------


def later(positions: Callable[..., Any]) -> Callable[..., Any]:
    """Where logits are read: one token too late."""

    def shifted(batch: PromptBatch, *args: Any) -> Any:
        where = positions(batch, *args)
        last = batch.tokens.shape[1] - 1
        if isinstance(where, torch.Tensor):
            return torch.where(where >= 0, (where + 1).clamp(max=last), where)
        return np.where(where >= 0, np.minimum(where + 1, last), where)

    return shifted


def _operands_swapped(swaps: Callable[..., Any]) -> Callable[..., Any]:
    def swapped(batch: PromptBatch, role: str, *args: Any) -> Any:
        other = {"a": "b", "b": "a"}[role[0]] + role[1:]
        return [replace(swap, role=role) for swap in swaps(batch, other, *args)]

    return swapped


def _answers_reversed(true_tokens: Callable[..., Any]) -> Callable[..., Any]:
    return lambda batch, roles: true_tokens(batch, roles).flip(-1)


def _prefix_swapped(swapped_prompts: Callable[..., Any]) -> Callable[..., Any]:
    other = {"keep": "recompute", "recompute": "keep"}
    return lambda model, batch, swap, prefix: swapped_prompts(model, batch, swap, other[prefix])


def _effects_flipped(measure: Callable[..., Any]) -> Callable[..., Any]:
    def flipped(*args: Any) -> Any:
        found = measure(*args)
        return replace(found, delta=-found.delta)

    return flipped


def _baseline_moved(measure: Callable[..., Any]) -> Callable[..., Any]:
    """Differences from their mean, in place of those from the original."""

    def moved(*args: Any) -> Any:
        found = measure(*args)
        return replace(found, delta=found.delta - np.nanmean(found.delta))

    return moved


def _oracle_dropped(change_probability: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: np.ones_like(change_probability(*args))


def _oracle_rolled(change_probability: Callable[..., Any]) -> Callable[..., Any]:
    """The oracle of the next answer digit."""
    return lambda *args: np.roll(change_probability(*args), 1, axis=1)


def _layers_late(lens: Callable[..., Any]) -> Callable[..., Any]:
    """Each layer shows what the layer before it has made."""

    def late(*args: Any) -> Any:
        found = list(lens(*args))
        yield from [found[0], *found[:-1]]

    return late


def _ends_swapped(lens: Callable[..., Any]) -> Callable[..., Any]:
    def swapped(*args: Any) -> Any:
        first, *between, last = lens(*args)
        yield from [last, *between, first]

    return swapped


def _logits_flipped(head: Callable[..., Any]) -> Callable[..., Any]:
    return lambda adapter, normed: -head(adapter, normed)


def _norm_dropped(final_norm: Callable[..., Any]) -> Callable[..., Any]:
    return lambda adapter, resid: resid


def _control_dropped(shuffled: Callable[..., Any]) -> Callable[..., Any]:
    return lambda labels, rng: labels


# --- behaviour ------------------------------------------------------------------------------------


def _texts_of_others(generated_texts: Callable[..., Any]) -> Callable[..., Any]:
    def moved(*args: Any) -> Any:
        texts = generated_texts(*args)
        return [*texts[1:], texts[0]]

    return moved


def _tokens_late(generate: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **options: generate(*args, **options).roll(1, dims=1)


def _digits_reversed(cells: Callable[..., Any]) -> Callable[..., Any]:
    return lambda problems, exact, correct: cells(problems, exact, correct[:, ::-1])


def _right_and_wrong_swapped(cells: Callable[..., Any]) -> Callable[..., Any]:
    return lambda problems, exact, correct: cells(problems, exact, 1 - correct)


def answers_of_others(of_model: Callable[..., Any]) -> Callable[..., Any]:
    def moved(*args: Any, **options: Any) -> Any:
        asked = of_model(*args, **options)
        return replace(asked, answers=np.roll(asked.answers, 1))

    return moved


def _simulators_swapped(simulators: Callable[..., Any]) -> Callable[..., Any]:
    def swapped(task: Any) -> Any:
        found = simulators(task)
        others = [*found[1:], found[0]]
        return tuple(replace(x, name=y.name) for x, y in zip(found, others, strict=True))

    return swapped


def never_shuffled(shuffles: Callable[..., Any]) -> Callable[..., Any]:
    return lambda wrong, count, seed, **options: [np.arange(wrong.n)] * count


def _next_digit_wrong(noisy_prefix: Callable[..., Any]) -> Callable[..., Any]:
    def moved(problems: Any, columns: Any, **options: Any) -> Any:
        width = problems.answer.shape[1]
        return noisy_prefix(problems, tuple((c + 1) % width for c in columns), **options)

    return moved


def _predictions_moved(predictions: Callable[..., Any]) -> Callable[..., Any]:
    def moved(*args: Any) -> Any:
        found = predictions(*args)
        return dict(zip(found, [*list(found.values())[1:], found[next(iter(found))]], strict=True))

    return moved


_PLAN, _PASSES = "interp.engine.plan", "interp.engine.passes"
_COUNTERFACTUAL, _MEASURE = "interp.attribution._counterfactual", "interp.attribution.measure"
_LENS = "interp.attribution._logit_lens"
_ANSWERS, _EXPLAIN = "interp.engine.answers", "interp.behaviour.explain"
_NOISY = "interp.suites._noisy_prefix"


def _engine(mistake: str, change: Callable[[Any, Any], Any]) -> Mutation:
    return Mutation("engine", mistake, _PLAN, "compile_edit", _edited(change))


MUTATIONS = (
    Mutation("engine", "positions shifted by one", PromptBatch, "find", _positions_shifted),
    Mutation("engine", "logits read one token late", _PLAN, "_logit_positions", later),
    Mutation("engine", "layers off by one", Adapter, "hook_point", _layer_below),
    _engine("two heads swapped", _heads_swapped),
    _engine("two layers swapped", _layers_swapped),
    _engine("sign flipped", _sign_flipped),
    _engine("rows of another prompt", _rows_misaligned),
    _engine("projected onto one", _project_by_half),
    _engine("mask inverted", _mask_inverted),
    *(
        Mutation("engine", f"{kind.__name__} does nothing", _PASSES, "apply_edit", _without(kind))
        for kind in (Replace, Add, Scale, Project, MaskAttention, Freeze)
    ),
    Mutation("engine", "half the gradient", "interp.engine._gradients", "_true_logits", _half),
    Mutation("counterfactual", "logits read one token late", _PLAN, "_logit_positions", later),
    Mutation("counterfactual", "operands swapped", _COUNTERFACTUAL, "swaps", _operands_swapped),
    Mutation(
        "counterfactual", "answer digits reversed", _MEASURE, "true_tokens", _answers_reversed,
    ),
    Mutation("counterfactual", "prefixes swapped", _MEASURE, "swapped_prompts", _prefix_swapped),
    Mutation("counterfactual", "sign flipped", _COUNTERFACTUAL, "measure", _effects_flipped),
    Mutation("counterfactual", "another baseline", _COUNTERFACTUAL, "measure", _baseline_moved),
    Mutation(
        "counterfactual", "oracle dropped", _COUNTERFACTUAL, "change_probability", _oracle_dropped
    ),
    Mutation(
        "counterfactual", "oracle off by one", _COUNTERFACTUAL, "change_probability", _oracle_rolled
    ),
    Mutation("logit_lens", "positions shifted by one", PromptBatch, "predicting_positions", later),
    Mutation("logit_lens", "layers off by one", _LENS, "_lens", _layers_late),
    Mutation("logit_lens", "two layers swapped", _LENS, "_lens", _ends_swapped),
    Mutation("logit_lens", "sign flipped", Adapter, "head", _logits_flipped),
    Mutation("logit_lens", "final norm dropped", Adapter, "final_norm", _norm_dropped),
    Mutation("logit_lens", "control dropped", _LENS, "_shuffled", _control_dropped),
    Mutation("accuracy", "answers of others", _ANSWERS, "generated_texts", _texts_of_others),
    Mutation("accuracy", "tokens shifted by one", _ANSWERS, "generate", _tokens_late),
    Mutation(
        "accuracy", "digits reversed", "interp.behaviour._accuracy", "cells", _digits_reversed
    ),
    Mutation(
        "accuracy", "right and wrong swapped", "interp.behaviour._accuracy", "cells",
        _right_and_wrong_swapped,
    ),
    Mutation("explanation", "answers of others", _EXPLAIN, "of_model", answers_of_others),
    Mutation("explanation", "simulators swapped", _EXPLAIN, "simulators", _simulators_swapped),
    Mutation("explanation", "control dropped", WrongAnswers, "shuffles", never_shuffled),
    Mutation(
        "noisy_prefix", "another digit perturbed", "interp.suites.prefixes", "noisy_prefix",
        _next_digit_wrong,
    ),
    Mutation("noisy_prefix", "digits off by one", _NOISY, "_predictions", _predictions_moved),
    *(Mutation("all_for_one", *mistake) for mistake in ABLATION),
)  # fmt: skip
