"""Named attention masks: attention-based peeking and its alternatives.

| name         | the last tokens look at …                    | every other token looks at …     |
| `full-peek`  | everything before them                       | itself and the sink              |
| `self-peek`  | themselves and the sink                      | itself and the sink              |
| `operands`   | operand digits, themselves and the sink      | itself and the sink              |
| `window:K`   | the K positions that end with them, the sink | itself and the sink              |
| `open`       | everything before them                       | everything before it             |

Full peek and self peek come from attention-based peeking (ABP, arXiv 2509.09650). The remaining
attention weights are renormalised. Tokens of the sink look at the sink before them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from interp.ablation.places import Places
from interp.errors import InputError

Bools = npt.NDArray[np.bool_]

PEEK, SELF, OPEN, OPERANDS, WINDOW = "full-peek", "self-peek", "open", "operands", "window:"
MASKS = (PEEK, SELF, OPEN, OPERANDS, "window:K")


def check_mask(mask: str) -> None:
    """Raise InputError for an unknown mask name."""
    if mask in (PEEK, SELF, OPEN, OPERANDS):
        return
    named = isinstance(mask, str) and mask.startswith(WINDOW)
    if named and mask.removeprefix(WINDOW).isdigit() and window_of(mask) > 0:
        return
    raise InputError(f"unknown mask {mask!r}: choose one of {', '.join(MASKS)}, with K at least 1.")


def window_of(mask: str) -> int:
    """K of `window:K`."""
    return int(mask.removeprefix(WINDOW))


def visible(places: Places, mask: str) -> Bools:
    """The attention mask, bool [n, Q, K] over all positions 0 … end−1: True where a query may look.

    Positions beyond a prompt's end are padding; they see themselves and the sink.
    """
    check_mask(mask)
    position = np.arange(places.end)
    causal = position[None] <= position[:, None]
    n, sink = len(places.batch), places.sink
    if mask == OPEN:
        return np.broadcast_to(causal, (n, *causal.shape)).copy()
    alone = np.eye(places.end, dtype=bool) | (position < sink)[None]
    last = np.zeros((n, places.end), dtype=bool)
    last[:, sink:] = places.is_last
    seen = alone[None] | (last[:, :, None] & _looked_at(places, mask))
    return np.asarray(seen & causal)


def _looked_at(places: Places, mask: str) -> Bools:
    """The keys that the last tokens see besides themselves and the sink, [n or 1, Q or 1, K]."""
    position = np.arange(places.end)
    if mask == SELF:
        return np.zeros((1, 1, places.end), dtype=bool)
    if mask == PEEK:
        return np.ones((1, 1, places.end), dtype=bool)
    if mask == OPERANDS:
        held = np.zeros((len(places.batch), places.end), dtype=bool)
        held[:, places.sink :] = np.isin(places.roles, places.operands)
        return held[:, None]
    return (position[None] > position[:, None] - window_of(mask))[None]
