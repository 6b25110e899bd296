"""Greedy decoding with a key/value cache.

What all prompts begin with is run once, prompts of similar lengths share a minibatch, and rows that
have stopped leave it.
"""

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
from interp.engine.plan import first_edit
from interp.engine.prefix import KeysValues, SharedPrefix, common_prefix
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress
from interp.errors import InputError, ModelError
from interp.models.model import Model, no_padding
from interp.models.prompts import PromptBatch
from interp.models.text_prompts import TextPrompts

# A minibatch more reads all weights once more at every step, for as long as so many positions of
# SmolLM2 take on one CPU core.
_PASS = 8


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
    # An edit's positions are those of a row without padding, and a float64 model rounds as its
    # plain forward, which depends on the length.
    adapter = model.adapter
    padded = adapter.causal and not (edits or adapter.whole or adapter.rounds_by_width)
    jobs = _minibatches(model, batch, max_new_tokens, memory, padded)
    beginning = _Beginning(model, batch, edits)
    for done, rows in enumerate(jobs):
        if cancel is not None:
            cancel.check()
        out[rows] = _continue(
            model, batch, rows, edits, max_new_tokens, stop_tokens, fired, beginning
        )
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
    model: Model, batch: PromptBatch | TextPrompts, new: int, memory: int, padded: bool
) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Row indices of minibatches: prompts of one length, or if `padded` of similar ones."""
    parts: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []
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
        if padded and parts:
            padding = (length - batch.prompt_lengths[parts[-1][-1]]) * len(parts[-1])
            if padding <= _PASS * new:
                rows = np.concatenate([parts.pop(), rows])
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
    beginning: _Beginning,
) -> torch.Tensor:
    """New tokens of `rows`; adds each edit's count on the prompts to `fired`."""
    tokens, places = beginning.columns(batch, rows)
    tokens = tokens.to(model.device)
    places = None if places is None else places.to(model.device)
    here = [_rows_of(edit, rows) for edit in edits]
    stops = torch.tensor(sorted(stop_tokens), dtype=torch.int64, device=model.device)
    made = torch.empty(len(rows), new, dtype=torch.int64, device=model.device)
    going = torch.arange(len(rows), device=model.device)  # rows without a stop token so far
    earlier, start = beginning.states(tokens)
    for step in range(new):
        total = tokens.shape[1]
        # A whole module recomputes the prompt with its edits at every step.
        all_edits = step == 0 or model.adapter.whole
        job = Job(
            tokens,
            slice(0, len(tokens)),
            start=start,
            earlier=earlier,
            edits=here if all_edits else [edit for edit in here if edit.positions is None],
            keep=True,
            logit_positions=torch.full((len(tokens), 1), total - 1, device=model.device),
            places=places,
        )
        with model.lock:
            outcome = forward(model.adapter, job)
        if step == 0:
            fired[:] = [a + b for a, b in zip(fired, outcome.fired, strict=True)]
        assert outcome.logits is not None
        best = outcome.logits[:, 0].argmax(-1)
        made[going, step:] = best[:, None]  # a stop token fills its row; others are overwritten
        on = ~torch.isin(best, stops)
        if step + 1 == new or not bool(on.any()):
            break
        _check_read(model, best[on])
        tokens, earlier = torch.cat([tokens, best[:, None]], dim=1), outcome.keys_values
        if places is not None:
            places = torch.cat([places, places[:, -1:] + 1], dim=1)
        if not bool(on.all()):
            going, tokens = going[on], tokens[on]
            places = None if places is None else places[on]
            earlier = {layer: (k[on], v[on]) for layer, (k, v) in earlier.items()}
            here = [_rows_of(edit, rows[going.cpu().numpy()]) for edit in edits]
        if model.adapter.whole:
            earlier = None
        else:
            start = total
    return made.cpu()


class _Beginning:
    """The tokens that all prompts begin with, few-shot examples for instance, run for one row."""

    def __init__(
        self, model: Model, batch: PromptBatch | TextPrompts, edits: Sequence[Edit]
    ) -> None:
        self._length, self._prefix = 0, SharedPrefix(model, None)
        if len(batch) > 1 and model.adapter.causal and not model.adapter.whole:
            shortest = int(batch.prompt_lengths.min())
            # Every prompt's last position is run, since it predicts.
            common = common_prefix(batch.tokens[:, : shortest - 1])
            first = first_edit(edits, slice(None), common)
            self._length = first if first > 1 else 0

    def columns(
        self, batch: PromptBatch | TextPrompts, rows: np.ndarray[tuple[int], np.dtype[np.int64]]
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The prompts of `rows`, [n, T], and as in `Job` their places. Padding comes behind the
        beginning, so that all prompts end in the last column."""
        lengths = torch.from_numpy(batch.prompt_lengths[rows])
        longest = int(lengths.max())
        prompts = batch.tokens[torch.from_numpy(rows), :longest]
        if bool((lengths == longest).all()):
            return prompts, None
        column, padding = torch.arange(longest), longest - lengths[:, None]
        places = torch.where(column < self._length, column, column - padding)
        places[(column >= self._length) & (places < self._length)] = -1
        return prompts.gather(1, places.clamp(min=0)), places

    def states(self, tokens: torch.Tensor) -> tuple[KeysValues | None, int]:
        """Keys and values of the beginning of `tokens` [n, T], and its length; None and 0 where
        nothing is shared."""
        if not self._length:
            return None, 0
        n, width = tokens.shape
        return self._prefix(tokens[:, : self._length], slice(0, n), width)[0], self._length


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
