"""Interchange: swap one intermediate in from another problem, and predict the answer beforehand.

A *base* problem is run with the activation of one place taken from a *source* problem in which a
variable of the schoolbook algorithm (a carry, a digit, a partial product) has another value. If the
place holds that variable, and nothing else that the answer needs, the model must write the answer
that exact arithmetic gives for the base problem with the source's value. The whole string counts:
with the predicted digits in front of each other it is the greedy answer exactly if every predicted
token is the model's first choice.

With `along`, only the part within the span of some directions is swapped, h ← h + (h' − h) B Bᵀ
with B an orthonormal basis (Geiger et al., arXiv 2106.02997). With `learn`, TransformerLens' own
search learns such a basis at the chosen place (`interp.heads.learned`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from interp.engine.interventions import selection
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Resources, Savings
from interp.errors import InputError, RoleError
from interp.heads.effects import halves
from interp.heads.exchanges import Exchanges, Sources, answered, basis_of, sources
from interp.heads.learned import learned_subspace
from interp.heads.nodes import Kind, Node, nodes_of
from interp.heads.results.interchange import ARMS, Interchange
from interp.models.asking import Asked, prompts
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.swaps import check_true_answers
from interp.models.tokens import digits_in
from interp.results.intervals import wilson

Rows = npt.NDArray[np.intp]


@shows_progress
def interchange(
    model: Model,
    asked: Asked,
    *,
    n: int = 256,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    variable: str | None = None,
    kind: str = "resid_post",
    layers: Sequence[int] | int | None = None,
    roles: Sequence[str] | str | None = None,
    along: Any = None,
    learn: int | None = None,
    only_right: bool = True,
    memory: int = 2**30,
    savings: Savings | None = None,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> Interchange:
    """How often the predicted answer comes out, for every place, and the best one with controls.

    Args:
        asked, n, seed, format, held_out: as in `interp.heads.patch`; the seed also draws sources
            and halves.
        variable: a column of the truth table from which an answer follows: "carry[1]", "a[2]",
            "product[0,1]", "running_sum[2]" …; None: the first operand's last digit (or residue).
        kind: "resid_pre", "resid_mid", "resid_post", "attn_out", "mlp" (outputs), or "head" (z of
            each head).
        layers: None means all.
        roles: places to try; None: the position that predicts the lowest answer digit that changes.
        along: directions [width] or [rank, width] that span the swapped part, such as a probe's
            (`probes.fit(…).directions.T`); None swaps everything.
        learn: dimensions of a subspace that is learned at the chosen place on its half of the
            problems (distributed alignment search), and scored on the other beside a random
            subspace, one learned for arbitrary digits, and one learned in a model with random
            weights; `kind` must then be resid_pre, resid_post, attn_out or mlp.
        only_right: keep the problems that the model answers; what is left is `n_asked`.
        memory, savings, cancel, progress: as in `engine.run_variants`.

    The place is chosen on one half of the problems and scored on the other. Controls there: sources
    with the same value (the base's own answer must stay), sources whose value is not the predicted
    one, and with `along` changes of equal length in random directions.

    Does not show: that the place is the only one that holds the variable; nor, where nothing comes
    out, that the model has no such variable elsewhere. A learned subspace can also miss directions
    that are there: where the model decides by steps, the loss has no gradient to follow.

    Raises:
        InputError: for an unknown kind, a variable that determines no answer, directions of another
            width, a subspace wider than the activation, and where too few problems have a source.
        RoleError: for a role that no prompt has.
        ModelError, SiteError: for `learn` where TransformerLens' search cannot run.
    """
    batch, sampled = prompts(model, asked, n=n, seed=seed, format=format, held_out=held_out)
    check_true_answers(model, batch)
    named = variable or _first_variable(batch)
    every = _nodes(model, kind, layers)
    resources = Resources(memory, cancel, progress, savings)
    asked_for = len(batch)
    if only_right:
        batch = batch[_answered(model, batch, resources)]
    found = sources(batch, named, seed)
    made = Exchanges(model, batch, found, resources)
    places = _places(batch, found, selection("roles", roles))
    cells = [one.at(role) for one in every for role in places]
    basis = None if along is None else basis_of(along, made.width(cells[0]))
    first, second = halves(batch.problems[found.rows], seed)
    if not len(first) or not len(second):
        raise InputError("a place is chosen on one half and scored on the other: give more n")
    hits = made.came_out(cells, found.other, basis=basis)  # [cells, rows]
    best = int(hits[:, first].mean(axis=1).argmax())
    table = _table(cells, hits, first, second)
    controls = _controls(made, cells[best], hits[best], found, basis, second, seed)
    learned = None
    if learn is not None:
        learned = learned_subspace(model, made, cells[best], (first, second), learn, seed)
    scored = batch[found.rows[second]]
    return Interchange(
        model=batch.model,
        task=batch.problems.task.name,
        n=len(second),
        n_distinct=scored.n_distinct,
        seed=seed,
        settings={
            "format": batch.format,
            **sampled,
            "variable": named,
            "kind": kind,
            "layers": None if layers is None else list(selection("layers", layers) or ()),
            "roles": None if roles is None else list(places),
            "along": None if basis is None else list(basis.shape),
            "learn": learn,
            "only_right": only_right,
            "asked_for": asked_for,
            "n_asked": len(batch),
            "with_source": len(found.rows),
            "chosen_on": len(first),
        },
        cells=table,
        chosen=cells[best].name,
        controls=controls,
        examples=_examples(made, found, hits[best], second),
        learned=learned,
    )


def _first_variable(batch: PromptBatch) -> str:
    task = batch.problems.task
    first = task.operand_names[0]
    return f"{first}_value" if task.arithmetic == "modular" else f"{first}[0]"


def _nodes(model: Model, kind: str, layers: Any) -> tuple[Node, ...]:
    known: dict[str, Kind] = {
        "resid_pre": "resid_pre", "resid_mid": "resid_mid", "resid_post": "resid_post",
        "attn_out": "attn", "mlp": "mlp", "head": "head",
    }  # fmt: skip
    if kind not in known:
        raise InputError(f"no interchange of kind {kind!r}: choose from {', '.join(known)}")
    model.require_site(Node(0, known[kind]).site)
    chosen = selection("layers", layers)
    if chosen is not None and not {*chosen} <= {*range(model.shape.n_layers)}:
        raise InputError(f"{model.name} has layers 0 to {model.shape.n_layers - 1}, not {chosen}")
    every = nodes_of(model.shape, known[kind])
    return tuple(one for one in every if chosen is None or one.layer in chosen)


def _answered(model: Model, batch: PromptBatch, resources: Resources) -> Rows:
    right = np.flatnonzero(answered(model, batch, resources))
    if len(right) < 4:
        raise InputError(
            f"{model.name} answers {len(right)} of these {len(batch)} problems: there is no answer "
            "to change. Choose a task or format that it can do (arithmoscope doctor), or "
            "only_right=False"
        )
    return right


def _places(batch: PromptBatch, found: Sources, roles: tuple[Any, ...] | None) -> tuple[str, ...]:
    if roles is not None:
        for role in roles:
            if (batch[found.rows].find(role) < 0).any():
                raise RoleError(f"some of these prompts have no role {role!r}: choose another")
        return roles
    moved = found.moved
    for role in batch.answer_roles_least_first:
        held = digits_in(role)
        if held is not None and any(k in moved for k in held[1]):
            return (f"predicts({role})",)
    raise InputError("no answer token changes with this variable: name another")


def _table(cells: Sequence[Node], hits: Any, first: Rows, second: Rows) -> pd.DataFrame:
    count = hits[:, second].sum(axis=1)
    low, high = wilson(count, len(second))
    return pd.DataFrame(
        {
            "cell": [one.name for one in cells],
            "layer": [one.layer for one in cells],
            "head": [one.index for one in cells],
            "role": [one.role for one in cells],
            "chosen_on": hits[:, first].mean(axis=1),
            "share": hits[:, second].mean(axis=1),
            "share_low": low,
            "share_high": high,
        }
    )


def _controls(
    made: Exchanges,
    cell: Node,
    hits: Any,
    found: Sources,
    basis: torch.Tensor | None,
    rows: Rows,
    seed: int,
) -> pd.DataFrame:
    """Shares on the scored half at the chosen place, with Wilson intervals."""

    def at(other: Rows | None, **options: Any) -> Any:
        return made.came_out([cell], other, **options)[0]

    everyone = np.ones(len(hits), dtype=bool)
    arms = {
        "predicted": (hits, everyone),
        "own": (at(found.other, predicted=False, basis=basis), everyone),
        "no_swap": (at(None), everyone),
        "wrong_source": (at(found.wrong, basis=basis), found.wrong >= 0),
        "same_value": (at(found.same, predicted=False, basis=basis), found.same >= 0),
    }
    if basis is not None:
        arms["random_direction"] = at(found.other, basis=basis, placebo=seed), everyone
    out = []
    for name, (values, known) in arms.items():
        use = known[rows]
        count = float(values[rows][use].sum())
        low, high = wilson(count, int(use.sum()))
        share = count / use.sum() if use.any() else float("nan")
        out.append((ARMS[name], share, float(low), float(high), int(use.sum())))
    return pd.DataFrame(out, columns=["arm", "share", "share_low", "share_high", "n"])


def _examples(made: Exchanges, found: Sources, hits: Any, rows: Rows) -> pd.DataFrame:
    """The first five scored problems: base, source, own and predicted answer, and the outcome."""
    some = rows[:5]
    texts = made.batch.texts
    return pd.DataFrame(
        {
            "base": [texts[found.rows[i]] for i in some],
            "source": [texts[found.other[i]] for i in some],
            "predicted": ["".join(map(str, found.answers[i][::-1])) for i in some],
            "came_out": [bool(hits[i]) for i in some],
        }
    )
