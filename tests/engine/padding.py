"""Rows of several lengths in one pass, beside each row alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from interp.engine.passes import Job, forward


def check_padding(
    model: Any, prompts: torch.Tensor, plain: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    """Prompts [3, T] cut to three lengths, with padding behind a beginning of no or four tokens
    that is computed with the rest or before it; then one token more. `plain`: logits of tokens."""
    for shared in (0, 4):
        rows = [row[: len(row) - 2 * number] for number, row in enumerate(prompts)]
        rows = [torch.cat([prompts[0, :shared], row[shared:]]) for row in rows]
        longest = max(map(len, rows))
        tokens = torch.zeros(3, longest, dtype=torch.int64)
        places = torch.full((3, longest), -1)
        for number, row in enumerate(rows):
            rest = len(row) - shared
            tokens[number, :shared], places[number, :shared] = row[:shared], torch.arange(shared)
            tokens[number, longest - rest :] = row[shared:]
            places[number, longest - rest :] = torch.arange(shared, len(row))
        last = torch.full((3, 1), longest - 1)
        job = Job(tokens, slice(0, 3), places=places, logit_positions=last, keep=True)
        seen = forward(model.adapter, job)
        found = [seen.logits]
        if shared:
            begun = forward(model.adapter, Job(tokens[:, :shared], slice(0, 3), keep=True))
            later = replace(job, start=shared, earlier=begun.keys_values)
            found.append(forward(model.adapter, later).logits)
        with torch.no_grad():
            want = torch.stack([plain(row[None])[0, -1:] for row in rows])
            new = want.argmax(-1)
            longer = [torch.cat([row, token]) for row, token in zip(rows, new, strict=True)]
            after = torch.stack([plain(row[None])[0, -1:] for row in longer])
        step = Job(
            torch.cat([tokens, new], 1), slice(0, 3), start=longest, earlier=seen.keys_values,
            places=torch.cat([places, places[:, -1:] + 1], 1), logit_positions=last + 1,
        )  # fmt: skip
        found.append(forward(model.adapter, step).logits)
        for logits, right in zip(found, [*[want] * (len(found) - 1), after], strict=True):
            assert logits is not None
            # The softmax, in float32 in most families, is rounded by the number of keys.
            assert (logits - right).abs().max() <= 1e-6 * right.abs().max()
