"""A sum that heads alone compute: two of them write to the logits, a third feeds one of the two.

`add:1` in the format `padded`, a token a number. With s = a + b, the unembedding scores token t by
t·s − t²/2, which is linear in s and largest at t = s, so that no neuron is needed. Head Z moves b
from its own place to `=`. Head X moves a to `+`, and head Y, of a later layer, moves what X wrote
from there to `=`: through its values alone, since queries and keys see positions only.

Direct effects on the logits: Y and Z. Paths into heads: X → Y through v. X has an effect, and none
directly.
"""

import numpy as np

from interp.planted.circuit import NUMBER, Circuit, Sizes
from interp.planted.draft import SCALAR, Draft, Move
from interp.planted.neurons import Row
from interp.planted.program import ANCHOR

LAYOUT = ("bos", "a0", "op", "b0", "eq", "c[0:2]")
_A, _OP, _B, _ASK = 1, 2, 3, 4
_HIGHEST = 18
_SHARPNESS = 4.0  # the right token leads by half of this, in units of the logit scale


def relay(rng: np.random.Generator, sizes: Sizes) -> Circuit:
    """`add:1`, `padded`, right on the whole grid."""
    draft = Draft(rng, sizes.layers, sizes.family)
    value = draft.feature("value", SCALAR)
    signs = draft.block("sign", 2)
    passed, total = draft.feature("a at +", SCALAR), draft.feature("a + b", SCALAR)
    first = draft.layer(0, sizes.layers - 2)
    second = draft.layer(first + 1, sizes.layers - 1)
    other = draft.layer(0, sizes.layers - 1)
    draft.mover(first, _OP - _A, [Move({value: 1.0}, passed)], "a[0]", [_OP])
    draft.mover(second, _ASK - _OP, [Move({passed: 1.0}, total)], "a[0]", [_ASK])
    draft.mover(other, _ASK - _B, [Move({value: 1.0}, total)], "b[0]", [_ASK])
    tokens: dict[str, Row] = {str(d): {value: float(d)} for d in range(10)}
    tokens |= {"+": {signs[0]: 1.0}, "=": {signs[1]: 1.0}}
    answers = [f"{t:02d}" for t in range(_HIGHEST + 1)]
    return Circuit(
        draft=draft,
        task="add:1",
        format="padded",
        pattern=NUMBER,
        layout=LAYOUT,
        answers=(LAYOUT[-1],),
        tokens=tokens | {text: {} for text in answers},
        evidence={text: _score(t, total) for t, text in enumerate(answers)},
        reads=[{value: 1.0}],
        read_scale=SCALAR,
        looks=[_ASK - _A, _ASK - _B],
        facts={
            "layers": {"pass": first, "a": second, "b": other},
            "readable_from": max(second, other),
            "saturated": False,
        },
    )


def _score(t: int, total: int) -> Row:
    """Evidence for token t: (t − m)(s − m) − (t − m)²/2 with m in the middle of the answers."""
    middle = _HIGHEST / 2
    x = t - middle
    return {
        total: _SHARPNESS * x,
        ANCHOR: _SHARPNESS * (1.0 - middle * x - x**2 / 2),  # above tokens that are no answer
    }
