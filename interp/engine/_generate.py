"""Greedy decoding with a key/value cache."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import torch

from interp.engine._run import DEFAULT_MEMORY
from interp.engine.cost import rows_in_memory
from interp.engine.edits import Edit, compile_edit
from interp.engine.interventions import Add, Intervention, Replace, Rows
from interp.engine.passes import Job, forward
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress
from interp.errors import InputError, ModelError
from interp.models.model import Model, no_padding
from interp.models.prompts import PromptBatch
from interp.models.text_prompts import TextPrompts


@shows_progress
def generate(
    model: Model,
    batch: PromptBatch | TextPrompts,
    *,
    max_new_tokens: int,
    interventions: Sequence[Intervention] = (),
    stop_tokens: Collection[int] = (),
    memory: int = DEFAULT_MEMORY,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> torch.Tensor:
    """Greedy next tokens after each prompt, int64 [n, max_new_tokens].

    Reads only the prompt's tokens and ignores answers in the batch. After one of `stop_tokens` a
    row is padded with that token. Interventions with roles act on the prompt, those without roles
    on every step.

    Raises InputError for max_new_tokens < 1 and for an answer that does not fit the context.
    """
    if max_new_tokens < 1:
        raise InputError(f"max_new_tokens must be at least 1, not {max_new_tokens}.")
    longest = int(batch.prompt_lengths.max())
    _check_room(model, batch, longest, max_new_tokens)
    if isinstance(batch, TextPrompts) and interventions:
        raise InputError("bare texts have no roles to edit at: make prompts of problems.")
    edits = [
        compile_edit(model, batch, what) for what in interventions if isinstance(batch, PromptBatch)
    ]
    if any(edit.needs_clean() or edit.needs_mean() for edit in edits):
        raise InputError("generate takes no Freeze or Mean: run the clean pass and pass Rows.of.")
    out = torch.full((len(batch), max_new_tokens), model.tokens.pad, dtype=torch.int64)
    fired = [0] * len(edits)
    jobs = list(_minibatches(model, batch, max_new_tokens, memory))
    for done, rows in enumerate(jobs):
        if cancel is not None:
            cancel.check()
        out[rows] = _continue(model, batch, rows, edits, max_new_tokens, stop_tokens, fired)
        if progress is not None:
            progress(done + 1, len(jobs))
    if 0 in fired:
        raise InputError(
            f"the intervention {edits[fired.index(0)].what.spec()} fired on nothing: only the "
            f"prompt's own tokens are read. Name roles that come before the answer."
        )
    return out


def _check_room(model: Model, batch: PromptBatch | TextPrompts, longest: int, new: int) -> None:
    if new > model.room(longest) and not model.adapter.causal:
        raise InputError(
            f"{model.name} has no causal mask and answers with one token at the end of the "
            f"question, not with {new}: max_new_tokens=1."
        )
    if new > model.room(longest):
        raise InputError(
            f"{longest} prompt tokens and {new} new ones do not fit the context of {model.name} "
            f"({model.shape.n_ctx}; the last new token needs no place). Ask for fewer, or use "
            f"fewer shots."
        )
    if not model.adapter.causal and len(set(batch.prompt_lengths.tolist())) > 1:
        raise InputError(no_padding(model.name))


def _minibatches(
    model: Model, batch: PromptBatch | TextPrompts, new: int, memory: int
) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Row indices of minibatches; each has prompts of one length, so no row needs padding."""
    parts = []
    for length in np.unique(batch.prompt_lengths):
        rows = np.flatnonzero(batch.prompt_lengths == length)
        step = rows_in_memory(
            model,
            length=int(length) + new,
            logit_positions=1,
            read_width=0,
            kept_resids=0,
            memory=memory,
            grad=False,
        )
        parts += [rows[i : i + step] for i in range(0, len(rows), step)]
    return parts


def _continue(
    model: Model,
    batch: PromptBatch | TextPrompts,
    rows: np.ndarray[tuple[int], np.dtype[np.int64]],
    edits: Sequence[Edit],
    new: int,
    stop_tokens: Collection[int],
    fired: list[int],
) -> torch.Tensor:
    """New tokens of `rows`; adds each edit's count on the prompts to `fired`."""
    length = int(batch.prompt_lengths[rows[0]])
    tokens = batch.tokens[torch.from_numpy(rows), :length].to(model.device)
    here = [_rows_of(edit, rows) for edit in edits]
    every_step = [edit for edit in here if edit.positions is None]
    stops = torch.tensor(sorted(stop_tokens), dtype=torch.int64, device=model.device)
    finished = torch.zeros(len(rows), dtype=torch.bool, device=model.device)
    earlier, start = None, 0
    made: list[torch.Tensor] = []
    for step in range(new):
        total = tokens.shape[1]
        job = Job(
            tokens,
            slice(0, len(rows)),
            start=start,
            earlier=earlier,
            edits=here if start == 0 else every_step,
            keep=True,
            logit_positions=torch.full((len(rows), 1), total - 1, device=model.device),
        )
        with model.lock:
            outcome = forward(model.adapter, job)
        if step == 0:
            fired[:] = [a + b for a, b in zip(fired, outcome.fired, strict=True)]
        assert outcome.logits is not None
        best = outcome.logits[:, 0].argmax(-1)
        if made:
            best = torch.where(finished, made[-1], best)
        made.append(best)
        finished |= torch.isin(best, stops)
        if bool(finished.all()):
            made += [best] * (new - len(made))
            break
        if step + 1 < new:
            _check_read(model, best[~finished])
        # A finished row is not read again: its tokens only fill the tensor.
        following = best.masked_fill(finished, 0)
        tokens = torch.cat([tokens, following[:, None]], dim=1)
        if not model.adapter.whole:  # else the prompt is recomputed with its edits
            earlier, start = outcome.keys_values, total
    return torch.stack(made, dim=1).cpu()


def _check_read(model: Model, made: torch.Tensor) -> None:
    """Raise ModelError for a generated token that the model has no embedding of."""
    if made.numel() and int(made.max()) >= model.shape.d_vocab:
        raise ModelError(
            f"{model.name} wrote token {int(made.max())} and reads tokens 0 to "
            f"{model.shape.d_vocab - 1}, so it cannot go on. Ask for answers of one token, or "
            f"compare token ids: accuracy(…, mode='forced')."
        )


def _rows_of(edit: Edit, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Edit:
    """The edit restricted to some rows of its batch, renumbered from 0."""
    index = torch.from_numpy(rows)
    what = edit.what
    if isinstance(what, Replace | Add) and isinstance(what.source, Rows):
        values = {layer: value[index] for layer, value in what.source.values.items()}
        what = replace(what, source=Rows(values))
    return replace(
        edit,
        what=what,
        positions=None if edit.positions is None else edit.positions[index],
        keys=None if edit.keys is None else edit.keys[index],
    )
