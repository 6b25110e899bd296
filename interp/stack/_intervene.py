"""One prompt before and after a stack of interventions: its answer, its digits and its logits.

    Δ_k[t] = x_k[t] with the stack − x_k[t] without it

x_k are the logits that predict answer role k after the right tokens before it, the same for both.
The answer itself is generated: each token is read after those that the same run said before.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence

import pandas as pd
import torch

from interp.arithmetic.typed import read_problem
from interp.engine._run import run, run_variants
from interp.engine.interventions import Intervention, Scale
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Run, Variant, tolerance
from interp.errors import InputError
from interp.models.asking import Asked
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.results.grid import Axis, Grid
from interp.stack.edits import Edit, parse_stack
from interp.stack.prepared import Prepared, Stack, detail
from interp.stack.results.intervene import Intervened

_FEW = 16  # tokens: all that right answers are written with are shown where there are no more
_TOP = 3  # likeliest tokens of a role that are shown otherwise
Compile = Callable[[PromptBatch, bool], Sequence[Intervention]]


@shows_progress
def intervene(
    model: Model,
    asked: Asked,
    *,
    stack: str | Sequence[str] = (),
    problem: str | None = None,
    row: int = 0,
    controls: int = 3,
    n: int = 512,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> Intervened:
    """Answer, digits and logits of one prompt before and after a stack of interventions.

    Args:
        asked: a task's name, a Task, Problems or a PromptBatch: the sample from which means, waves
            and probes are taken. The table of a wait is that of `interp.ablation`.
        stack: interventions (`interp.stack`) or their texts, "head L0H1 zero".
        problem: the problem, "99999+1"; None means one of the sample.
        row: which one of the sample.
        controls: stacks of random counterparts to draw: another head or MLP for each, and random
            directions for a wave or a probe. A wait has none.
        n, seed, format, held_out: the sample of a task (`interp.models.asking`); the seed is also
            that of probes and controls.
        memory, cancel, progress: as in `engine.run`.

    Does not show: anything about other prompts.

    Raises:
        InputError: for a text that is no intervention or no problem of the task, a layer or head
            that the model lacks, or a wave or probe that the sample does not give.
        SiteError: for a site that the model lacks or its self-check refused.
        RoleError: for a role that the prompt lacks.
        ModelError: for a wait, where attention cannot be masked.
    """
    edits = parse_stack(stack)
    prepared = Prepared.of(
        model, asked, n=n, seed=seed, format=format, held_out=held_out, memory=memory
    )
    prepared.make(edits, cancel=cancel, progress=progress)
    return intervened(prepared, edits, problem=problem, row=row, controls=controls)


def intervened(
    prepared: Prepared,
    stack: str | Iterable[str | Edit],
    *,
    problem: str | None = None,
    row: int = 0,
    controls: int = 3,
) -> Intervened:
    """`intervene` with a sample that is prepared already. Raises as it does."""
    if controls < 0:
        raise InputError(f"controls={controls}: draw 0 or more")
    edits = parse_stack(stack)
    one = _prompt(prepared, problem, row)
    applied = Stack(prepared, edits)
    drawn = applied.controls(controls)
    plain, noise, edited, *random = _forced(prepared, one, applied, drawn)
    before = prepared.of_prompt(
        ("said", *one.tokens[0].tolist()),
        lambda: _generated(prepared, one, plain, lambda batch, known: ()),
    )
    after = before
    if edits:
        after = _generated(
            prepared, one, edited, lambda batch, known: applied.compile(batch, known=known)
        )
    labels = [int(one.labels(role)[0]) for role in one.answer_roles]
    tokens = _shown(prepared, labels, plain, edited, before[0], after[0])
    axes = (Axis("answer_digit", one.answer_roles), Axis("token", _texts(prepared.model, tokens)))
    change = [_largest(x - plain) for x in (noise, edited)]
    equal = tolerance(prepared.model.dtype) * _largest(plain)
    return Intervened(
        model=one.model,
        task=one.problems.task.name,
        n=1,
        n_distinct=1,
        seed=prepared.seed,
        settings={
            "format": one.format,
            **prepared.settings,
            "problem": problem,
            "row": row,
            "controls": controls,
            "sample": len(prepared.batch),
            "right_tokens": [axes[1].labels[tokens.index(label)] for label in labels],
        },
        prompt=one.texts[0],
        stack=tuple(map(str, edits)),
        details=tuple(detail(prepared, edit) for edit in edits),
        before=Grid(plain[:, tokens].numpy(), axes),
        after=Grid(edited[:, tokens].numpy(), axes),
        answer=_answer(prepared.model, one, labels, before, after),
        controls=_controls(one, labels, drawn, plain, random),
        largest=change[1],
        noise=max(change[0], equal, prepared.model.noise_floor or 0.0),
    )


def _prompt(prepared: Prepared, problem: str | None, row: int) -> PromptBatch:
    """The one prompt, in the format of the sample."""
    batch = prepared.batch
    if problem is not None:
        typed = read_problem(batch.problems.task, problem)
        return prepared.model.prompts(typed, format=batch.format)
    one = batch[row]
    if len(one) != 1:
        raise InputError(f"row={row!r} is not one prompt: give its number, from 0")
    return one


def _forced(
    prepared: Prepared, one: PromptBatch, applied: Stack, drawn: Sequence[Stack]
) -> list[torch.Tensor]:
    """Logits [roles, d_vocab] after the right tokens, float64: clean, no-op, edited, controls."""
    what = applied.compile(one)
    places = dict.fromkeys((x.site, x.layers) for x in what if x.site != "pattern")
    idle = tuple(Scale(site, 1.0, layers=layers) for site, layers in places)
    variants = [Variant("before"), Variant("no-op", idle), Variant("after", what)]
    variants += [Variant(f"control {x.draw}", x.compile(one)) for x in drawn]
    runs = run_variants(
        prepared.model, one, variants, logits=one.answer_roles, memory=prepared.memory
    )
    return [_logits(found) for found in runs]


def _logits(found: Run) -> torch.Tensor:
    assert found.logits is not None
    return found.logits[0].double().cpu()


def _generated(
    prepared: Prepared, one: PromptBatch, forced: torch.Tensor, compiled: Compile
) -> tuple[list[int], list[float]]:
    """Greedy answer tokens and their probabilities. A token that differs from the right one stands
    in the prompt of those after it; until then the `forced` logits are those of generation."""
    tokens, logits = one.tokens.clone(), forced
    where = [int(one.position_array(role)[0]) for role in one.answer_roles]
    for number, at in enumerate(where[:-1]):
        said = int(logits[number].argmax())
        if said == int(tokens[0, at]) or said >= prepared.model.shape.d_vocab:
            continue
        tokens[0, at] = said
        own = one.with_tokens(tokens.clone(), one.texts)
        what = compiled(own, False)
        later = _logits(
            run(prepared.model, own, what, logits=one.answer_roles, memory=prepared.memory)
        )
        logits = torch.cat([logits[: number + 1], later[number + 1 :]])
    best = logits.softmax(-1).max(-1)
    return best.indices.tolist(), best.values.tolist()


def _shown(
    prepared: Prepared,
    labels: Sequence[int],
    plain: torch.Tensor,
    edited: torch.Tensor,
    *said: Sequence[int],
) -> list[int]:
    """Tokens of the figure: those of right answers, the likeliest where these are many, and those
    that were said."""
    chosen = {*labels, *itertools.chain(*said)}
    written = prepared.kept("tokens", lambda: _written(prepared.batch))
    if len(written) <= _FEW:
        return sorted({*chosen, *written})
    likely = torch.stack([plain, edited]).topk(_TOP, dim=-1).indices.unique().tolist()
    return sorted({*chosen, *map(int, likely)})


def _written(batch: PromptBatch) -> list[int]:
    """Tokens of the sample's right answers."""
    labels = torch.cat([batch.labels(role) for role in batch.answer_roles])
    return [int(x) for x in labels.unique().tolist() if x >= 0]


def _texts(model: Model, tokens: Sequence[int]) -> tuple[str, ...]:
    """Texts of tokens, with the number behind a text that stands twice."""
    pieces = model.pieces(tokens)
    return tuple(
        f"{text} ({token})" if pieces.count(text) > 1 else text
        for text, token in zip(pieces, tokens, strict=True)
    )


def _largest(values: torch.Tensor) -> float:
    return float(values.nan_to_num(0.0).abs().max())


def _answer(
    model: Model,
    one: PromptBatch,
    labels: Sequence[int],
    before: tuple[list[int], list[float]],
    after: tuple[list[int], list[float]],
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "answer_digit": one.answer_roles,
            "right": model.pieces(labels),
            "before": model.pieces(before[0]),
            "probability_before": before[1],
            "after": model.pieces(after[0]),
            "probability_after": after[1],
            "right_before": [x == y for x, y in zip(before[0], labels, strict=True)],
            "right_after": [x == y for x, y in zip(after[0], labels, strict=True)],
        }
    )


def _controls(
    one: PromptBatch,
    labels: Sequence[int],
    drawn: Sequence[Stack],
    plain: torch.Tensor,
    random: Sequence[torch.Tensor],
) -> pd.DataFrame:
    """One row for each draw and answer digit: Δ of the right token, and the largest |Δ| of any."""
    roles, draws = one.answer_roles, range(len(drawn))
    moved = torch.stack([found - plain for found in random]) if random else plain[None, :, :][:0]
    own = moved[:, range(len(roles)), labels]
    return pd.DataFrame(
        {
            "draw": [i + 1 for i in draws for _ in roles],
            "stack": [text for stack in drawn for text in [str(stack)] * len(roles)],
            "answer_digit": [role for _ in draws for role in roles],
            "change": own.flatten().numpy(),
            "largest": moved.abs().amax(-1).flatten().numpy(),
        }
    )
