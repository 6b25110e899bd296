"""Causal test of a probe: edit its reading and measure the answer.

A direction may be readable and yet inert, as in every distractor of a planted model. The test moves
the reading to another value, or to its mean, and compares the answer with the counterfactual one,
computed beforehand. It has two controls: the answers predicted for other prompts, since a merely
disturbed answer sometimes equals its own prediction by chance; and random edits of equal length.
"""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch

from interp.arithmetic.answers_if import answer_if
from interp.arithmetic.problems import Problems
from interp.engine._run import run, run_variants
from interp.engine.interventions import Add, Rows
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Resources, Run, Variant
from interp.errors import InputError
from interp.models.asking import expression
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.results.resampling import resampling
from probes.counterfactual_answers import named_role, new_values
from probes.fitted import FittedProbe
from probes.fitting import as_columns
from probes.outcomes import Arms, differences, outcomes
from probes.places import positions, roles_at
from probes.results.causal_test import ProbeUse

Floats = npt.NDArray[np.float64]
Along = Literal["probe", "pattern"]
Ints = npt.NDArray[np.int64]
Mode = Literal["move", "remove"]


@shows_progress
def intervene(
    model: Model,
    fitted: FittedProbe,
    asked: Problems | None = None,
    *,
    mode: Mode = "move",
    to: float | Sequence[float] | None = None,
    along: Along = "pattern",
    randoms: int = 8,
    n: int = 256,
    seed: int = 0,
    memory: int = 2**30,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> ProbeUse:
    """Edit what `fitted` reads and measure the answer, beside random edits of equal norm.

    Args:
        asked: Problems; None means up to `n` of those that were held out when the probe was fitted.
        mode: "move" the reading to another value; "remove" what is read, by its mean.
        to: the new value, one or one a problem; None draws another problem's value that changes
            the named answer digit.
        along: "pattern", the step that the data take with the reading; "probe", the shortest step.
            A probe's weights spread over everything that tells of the target, so its shortest step
            may leave what the model reads nearly where it was, and miss a use that is there.
        randoms: how many random edits are averaged. Along the pattern their directions are drawn
            with the covariance of the edited activations, along the probe's weights uniformly.

    Raises:
        InputError: for another model than the probe's, a new value that no prompt has (classes), a
            target from which no answer follows (with "move"), or a role after which no answer
            digit is written.
    """
    if mode not in get_args(Mode):
        raise InputError(f"unknown mode {mode!r}: choose 'move' or 'remove'")
    if randoms < 1:
        raise InputError("randoms must be at least 1: without a control an effect says nothing")
    given = asked
    if not isinstance(fitted, FittedProbe):
        raise InputError("which probe? Fit one: probes.fit(model, …), and give what it returns")
    if not isinstance(asked, Problems | None):
        raise InputError(
            f"a probe's problems are Problems, not a {type(asked).__name__}: draw some with "
            "interp.task(…).sample(256), or leave them out for those it was not fitted on"
        )
    asked = fitted.held_out.distinct()[:n] if asked is None else asked.distinct()
    batch = fitted.prompts(model, asked)
    roles = _written_after(batch, fitted.role)
    values = fitted.target.values(asked)
    named = named_role(asked, fitted.target.name, roles)
    new, rows = None, np.ones(len(asked), dtype=bool)
    if mode == "move":
        new, rows = new_values(asked, fitted.target, values, to, named, seed)
        if not rows.any():
            raise InputError(
                f"no other value of {fitted.target.name} changes {named or 'the answer'} in these "
                "prompts: give to=, or other problems"
            )
    X = fitted.activations(model, batch, memory=memory, cancel=cancel).astype(np.float64)
    reading = fitted.reading(X)
    wanted = wanted_reading(fitted, reading, new)
    delta = edit(fitted, reading, wanted, along)[rows]
    batch, asked = batch[rows], asked[rows]
    predicted = None if new is None else answer_if(asked, fitted.target.name, new[rows])
    rng = np.random.default_rng(seed)
    data = X if along == "pattern" else None
    edits = [delta, *(random_edit(delta, rng, data) for _ in range(randoms))]
    resources = Resources(memory, cancel, progress)
    arms = _measure(model, batch, fitted, edits, roles, predicted, resources)
    groups = resampling(asked)
    return ProbeUse(
        model=model.id,
        task=asked.task.name,
        n=len(asked),
        n_distinct=asked.n_distinct,
        seed=seed,
        settings=_settings(model, fitted, given, mode, to, along, randoms, n, seed),
        target=fitted.target.spec(asked.task),
        site=fitted.hook.site,
        layer=fitted.hook.layer,
        head=fitted.hook.head,
        role=fitted.role,
        format=fitted.format,
        mode=mode,
        named=named,
        outcomes=outcomes(arms, roles, groups.groups, seed),
        difference=differences(arms, roles, groups.groups, seed),
        norm=float(np.linalg.norm(delta, axis=1).mean()),
        stream=float(np.linalg.norm(X[rows], axis=1).mean()),
        resampled=groups.over,
    )


def wanted_reading(probe: FittedProbe, reading: Floats, new: Floats | None) -> Floats:
    """Target reading [n, outputs]: that of the new values, or for None the mean of all rows.

    A real target's or an angle's reading is the value itself. A class's is the mean of its logits
    over the rows that have it among those the probe was fitted on.

    Raises InputError for a class without such a row.
    """
    if new is None:
        return np.tile(reading.mean(axis=0), (len(reading), 1))
    if probe.target.kind != "class":
        return as_columns(probe.target, new)
    if unknown := sorted(set(new.tolist()) - set(probe.typical)):
        raise InputError(
            f"no prompt that the probe was fitted on has {probe.target.name} = {unknown[0]:g}, so "
            "how it is read is not known: fit on more prompts, or use another value"
        )
    return np.stack([probe.typical[value] for value in new.tolist()])


def edit(probe: FittedProbe, reading: Floats, wanted: Floats, along: Along) -> Floats:
    """δ [n, d] with (x + δ)·W + b = wanted, along the probe's own weights or the data's pattern.

    probe      δ = (wanted − reading)·W⁺               the shortest step there is
    pattern    δ = (wanted − reading)·(WᵀΣW)⁺·WᵀΣ      Σ the covariance of x in the rows it was
               fitted on: the step that the data take with the reading (Haufe 2014)
    """
    if along == "probe":
        back = np.linalg.pinv(probe.weights, rcond=1e-6)
    elif along == "pattern":
        back = probe.pattern
    else:
        raise InputError(f"unknown along={along!r}: choose 'probe' or 'pattern'")
    return np.asarray((wanted - reading) @ back)


def random_edit(delta: Floats, rng: np.random.Generator, X: Floats | None = None) -> Floats:
    """`delta` [n, d] turned into a random subspace of its own dimension: every row keeps its norm.

    The directions have the covariance of the activations X [m, d]; without X they are isotropic. A
    step along a pattern lies where the data vary much, and a model may be more sensitive there than
    in directions without variance.
    """
    left, sizes, _ = np.linalg.svd(delta, full_matrices=False)
    rank = max(1, int((sizes > 1e-9 * sizes[0]).sum()))
    if X is None:
        drawn = rng.normal(size=(rank, delta.shape[1]))
    else:
        drawn = rng.normal(size=(rank, len(X))) @ (X - X.mean(axis=0))
    turned = np.linalg.qr(drawn.T)[0].T
    return np.asarray((left[:, :rank] * sizes[:rank]) @ turned)


def _written_after(batch: PromptBatch, place: str) -> tuple[str, ...]:
    """Answer roles predicted at `place` or later in every row that has them."""
    here = positions(batch, place)
    roles = []
    for role in batch.answer_roles:
        there = batch.predicting_positions(role)
        if (there[there >= 0] >= here[there >= 0]).all():
            roles.append(role)
    if not roles:
        raise InputError(f"no answer digit is written after {place}: edit an earlier role")
    return tuple(roles)


def _measure(
    model: Model,
    batch: PromptBatch,
    fitted: FittedProbe,
    edits: Sequence[Floats],
    roles: Sequence[str],
    predicted: Ints | None,
    resources: Resources,
) -> Arms:
    """First choices and logits of the clean run, the probe's edit and the random ones."""
    right = _labels(batch, roles)
    wanted = right
    if predicted is not None:
        wanted = _labels(
            model.prompts(batch.problems, format=batch.format, answer=predicted), roles
        )
    found = run(
        model, batch, logits=roles, reduce=_first_choice, memory=resources.memory,
        cancel=resources.cancel,
    ).logits  # fmt: skip
    assert found is not None
    original = torch.where(right >= 0, found.nan_to_num(0).long(), right)
    variants = [Variant("clean"), *(Variant(f"edit {i}", (_intervention(model, batch, fitted, x),))
                                    for i, x in enumerate(edits))]  # fmt: skip

    def reduce(logits: torch.Tensor, part: slice) -> torch.Tensor:
        tokens = torch.stack([wanted[part], original[part]], dim=-1).clamp(min=0)
        held = logits.gather(-1, tokens.to(logits.device))
        return torch.cat([_first_choice(logits, part)[..., None].to(held), held], dim=-1)

    runs: list[Run] = run_variants(
        model, batch, variants, logits=roles, reduce=reduce, memory=resources.memory,
        progress=resources.progress, cancel=resources.cancel,
    )  # fmt: skip
    read = [np.asarray(x.logits, dtype=np.float64) for x in runs if x.logits is not None]
    return Arms(
        clean=read[0],
        probe=read[1],
        random=np.stack(read[2:]),
        wanted=wanted.numpy(),
        original=original.numpy(),
        right=right.numpy(),
        moved=predicted is not None,
    )


def _first_choice(logits: torch.Tensor, part: slice) -> torch.Tensor:
    return logits.nan_to_num(0).argmax(dim=-1).to(logits.dtype)


def _labels(batch: PromptBatch, roles: Sequence[str]) -> torch.Tensor:
    return torch.stack([batch.labels(role) for role in roles], dim=1)


def _intervention(model: Model, batch: PromptBatch, fitted: FittedProbe, delta: Floats) -> Add:
    """The intervention x ← x + δ at the probe's hook, at the role of its place in each row."""
    hook, names = fitted.hook, roles_at(batch, fitted.role)
    roles = tuple(dict.fromkeys(names.tolist()))
    values = torch.zeros(len(batch), len(roles), delta.shape[1], dtype=torch.float64)
    index = torch.tensor([roles.index(name) for name in names.tolist()])
    values[torch.arange(len(batch)), index] = torch.from_numpy(delta)
    if hook.site == "z":
        whole = torch.zeros(len(batch), len(roles), model.shape.n_heads, model.shape.d_head,
                            dtype=torch.float64)  # fmt: skip
        whole[:, :, hook.head] = values
        values = whole
    source = Rows({hook.layer: values.to(model.dtype)})
    return Add(hook.site, source, layers=(hook.layer,), roles=roles)


def _settings(
    model: Model,
    fitted: FittedProbe,
    problems: Problems | None,
    mode: str,
    to: float | Sequence[float] | None,
    along: str,
    randoms: int,
    n: int,
    seed: int,
) -> dict[str, Any]:
    values = None if to is None else np.asarray(to, dtype=float).tolist()
    return {
        "fitted": dict(fitted.settings),
        "problems": None if problems is None else expression(model, problems, (0, seed)),
        "mode": mode, "to": values, "along": along, "randoms": randoms, "n": n,
    }  # fmt: skip
