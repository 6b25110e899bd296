"""Plan of a run: the positions and layers to compute, and where a pass may start."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from interp.engine.edits import NO_LAYER, Edit, compile_edit, role_positions, site_layers
from interp.engine.interventions import Intervention, UserHook, kind
from interp.engine.requests import Read, Savings
from interp.errors import InputError, RoleError
from interp.models.model import Model, no_padding
from interp.models.prompts import PromptBatch, predicted

Logits = str | Sequence[str] | None


@dataclass(frozen=True)
class Reading:
    """A resolved Read: `positions` [n, roles], -1 where absent; None for every position."""

    site: str
    layers: tuple[int, ...]
    positions: torch.Tensor | None


@dataclass(frozen=True)
class Plan:
    """Everything one run of `batch` needs, for every row; minibatches are slices of it.

    `end` is one past the last needed position, `stop_layer` one past the last needed layer (None
    if logits or the final norm are needed).
    """

    batch: PromptBatch
    edits: tuple[Edit, ...]
    readings: tuple[Reading, ...]
    logit_roles: tuple[str, ...]
    logit_positions: torch.Tensor | None  # [n, roles]
    end: int
    stop_layer: int | None

    @property
    def needed(self) -> list[torch.Tensor | None]:
        """Positions of every read and logit; None: all positions."""
        logits = [] if self.logit_positions is None else [self.logit_positions]
        return [*logits, *(reading.positions for reading in self.readings)]

    def first_needed(self, rows: slice) -> int:
        """The first position read in `rows`."""
        return first_position(self.needed, rows, self.end)

    @property
    def held(self) -> list[torch.Tensor | None]:
        """Clean-run positions whose values an edit holds; None: all positions."""
        return [edit.clean for edit in self.edits if edit.needs_clean()]

    def first_edit(self, rows: slice) -> int:
        """The first position that an intervention touches in `rows`."""
        return first_edit(self.edits, rows, self.end)

    def first_edited_layer(self, n_layers: int) -> int:
        layers = [n_layers if la == NO_LAYER else la for e in self.edits for la in e.layers]
        return min(layers, default=n_layers)


def check_subject(model: object, batch: object) -> None:
    """Raise InputError unless these are a loaded model and prompts."""
    if not isinstance(model, Model):
        raise InputError(
            f"the engine runs a loaded model, not a {kind(model)}: give interp.load(name), or "
            f"interp.wrap(module, …) for a module of your own."
        )
    if not isinstance(batch, PromptBatch):
        raise InputError(
            f"the engine runs prompts, not a {kind(batch)}: make some with model.prompts(problems)"
        )


def make_plan(
    model: Model,
    batch: PromptBatch,
    interventions: Sequence[Intervention],
    reads: Sequence[Read],
    logits: Logits,
    savings: Savings,
    strict: bool = True,
    clean: PromptBatch | None = None,
) -> Plan:
    """Resolve names to indices. Raises for unknown sites, layers and heads, for a site and layer
    read twice, for intervention roles that no row has and, if `strict`, for such read roles.
    `clean`: the prompts of the run without interventions, if they differ.
    """
    if len(batch) == 0:
        raise InputError("the batch is empty: ask for at least one prompt.")
    if batch.model.hash != model.hash:
        raise InputError(
            f"these prompts were made for {batch.model.name}, not for {model.name}. "
            f"Make them with model.prompts(problems)."
        )
    _check_row_lengths(model, batch)
    edits = tuple(compile_edit(model, batch, what, clean) for what in interventions)
    readings = tuple(_reading(model, batch, read, strict) for read in reads)
    _check_read_once(readings)
    roles = logit_roles(batch, logits)
    positions = _logit_positions(batch, roles, strict)
    if not model.adapter.causal:
        _check_last_alone(model, batch, roles, positions)
    length = batch.n_input
    end, stop = length, None
    if savings.early_stop:
        everything = [
            *(r.positions for r in readings),
            *([] if positions is None else [positions]),
            *(None if isinstance(e.what, UserHook) else e.positions for e in edits),
        ]
        if everything and model.adapter.causal:  # else every position depends on the last one
            end = last_position(everything, length)
        stop = _stop_layer(model, edits, readings, positions)
    return Plan(batch, edits, readings, roles, positions, end, stop)


def _check_row_lengths(model: Model, batch: PromptBatch) -> None:
    """Raise InputError for prompts of several lengths if the model would read the padding."""
    if not model.adapter.causal and len(set(batch.prompt_lengths.tolist())) > 1:
        raise InputError(no_padding(model.name))


def _check_last_alone(
    model: Model, batch: PromptBatch, roles: Sequence[str], positions: torch.Tensor | None
) -> None:
    """Raise RoleError for logits at any but the prompt's last position: without a causal mask an
    earlier position has seen the token that it would predict."""
    last = torch.from_numpy(batch.prompt_lengths - 1)[:, None]
    if positions is None or ((positions == last) | (positions < 0)).all():
        return
    wrong = ((positions != last) & (positions >= 0)).any(dim=0).tolist().index(True)
    good = [role for role in batch.roles if (batch.find(role) == batch.prompt_lengths).all()]
    raise RoleError(
        f"{model.name} has no causal mask and is read at its last position alone: an earlier one "
        f"has seen the token {roles[wrong]!r} that it would predict. Ask for "
        f"{' or '.join(map(repr, [*good, 'last']))}."
    )


def _reading(model: Model, batch: PromptBatch, read: Read, strict: bool) -> Reading:
    if (read.site, read.layers) == ("resid_pre", (0,)):
        model.adapter.require_site(read.site)  # the embeddings, whatever becomes of the stream
        layers: tuple[int, ...] = (0,)
    else:
        layers = site_layers(model, read.site, read.layers)
    positions = None
    if read.roles is not None:
        positions = role_positions(batch, read.roles, strict=strict)
    return Reading(read.site, layers, positions)


def _check_read_once(readings: Sequence[Reading]) -> None:
    keys = [(reading.site, layer) for reading in readings for layer in reading.layers]
    for site, layer in keys:
        if keys.count((site, layer)) > 1:
            where = "" if layer == NO_LAYER else f" of layer {layer}"
            raise InputError(
                f"{site!r}{where} is read twice, and a Run keeps it once: name all its roles in "
                f"one Read."
            )


def logit_roles(batch: PromptBatch, logits: Logits) -> tuple[str, ...]:
    """Roles whose predictions are read: "answer" means all answer roles, "last" the position after
    the prompt, "all" every token after the first, and "predicts(c2)" the same as "c2"."""
    if logits is None:
        return ()
    if isinstance(logits, str):
        if logits == "answer":
            if not batch.answer_roles:
                raise InputError(
                    "these prompts hold no answer. Ask for logits='last', or make the prompts with "
                    "answer='true'."
                )
            return batch.answer_roles
        if logits == "all":
            return tuple(r for r in batch.roles if r != "last" and _emitted(batch, r))
        logits = (logits,)
    if not isinstance(logits, Iterable) or any(not isinstance(role, str) for role in logits):
        raise InputError(
            f"logits={logits!r} names no roles: write 'answer', 'all', 'last', a role such as "
            f"'c0', a list of roles, or None."
        )
    return tuple(predicted(role) for role in logits)


def _emitted(batch: PromptBatch, role: str) -> bool:
    return not (batch.position_array(role) == 0).any()


def _logit_positions(batch: PromptBatch, roles: Sequence[str], strict: bool) -> torch.Tensor | None:
    if not roles:
        return None
    columns = []
    for role in roles:
        where = batch.position_array(role) if strict else batch.find(role)
        if role != "last":  # `last` itself emits whatever comes next
            if (where == 0).any():
                raise RoleError(f"role {role!r} is the first token: nothing predicts it.")
            where = np.where(where > 0, where - 1, -1)
        columns.append(torch.from_numpy(where))
    return torch.stack(columns, dim=1)


def first_position(needed: Sequence[torch.Tensor | None], rows: slice, end: int) -> int:
    """Smallest position ≥ 0 in `needed` for `rows`; 0 if `needed` is None."""
    first = end
    for positions in needed:
        if positions is None:
            return 0
        here = positions[rows]
        if (present := here[here >= 0]).numel():
            first = min(first, int(present.min()))
    return first


def first_edit(edits: Sequence[Edit], rows: slice, end: int) -> int:
    """The first position that an edit touches in `rows`, at most `end`."""
    touched = [None if isinstance(edit.what, UserHook) else edit.positions for edit in edits]
    return first_position(touched, rows, end)


def first_difference(base: Plan, plan: Plan, rows: slice) -> int:
    """First position at which any row of the two prompts differs, at most the shorter length."""
    end = min(base.end, plan.end)
    same = (base.batch.tokens[rows, :end] == plan.batch.tokens[rows, :end]).all(dim=0)
    return int(same.int().cumprod(0).sum())


def last_position(needed: Sequence[torch.Tensor | None], length: int) -> int:
    """One past the largest position in `needed`, 0 for none; `length` if `needed` is None."""
    if any(positions is None for positions in needed):
        return length
    last = max((int(p.max()) for p in needed if p is not None and p.numel()), default=-1)
    return min(length, last + 1)


def _stop_layer(
    model: Model,
    edits: Sequence[Edit],
    readings: Sequence[Reading],
    positions: torch.Tensor | None,
) -> int | None:
    layers = [la for r in readings for la in r.layers] + [la for e in edits for la in e.layers]
    if positions is not None or NO_LAYER in layers:
        return None
    return max(layers, default=model.shape.n_layers - 1) + 1
