"""Recipes of a factorial design: which training choices let a model learn multiplication.

`recipe(NAME)` and `arithmoscope train NAME` find them. As models ship the cells `mul3x3-aux` and
`mul3x3-sft` and, as contrast, runs that did not learn: AdamW on the answer alone as `mul3x3-stuck`,
three seeds, and `mul4x4-stuck`. `python -m bench.proofs.who_multiplies` trains all runs.

**3×3**, four factors of two levels; + is what the shipped recipes do:

    A optimiser   + Muon for the blocks' matrices    − AdamW alone, at one of three rates
    B lengths     + 0.35 of a batch                  − none
    C simple      + 0.15 of a batch                  − none
    D objective   + running-sum loss                 − the answer alone

The rest of a batch is uniform over all operands, leading zeros included, in every cell.
The half fraction I = +ABCD (the product of the four signs is +1) has eight cells. Main effects are
aliased with three-factor interactions only (A with BCD), two-factor interactions with each other
(AB with CD). `mul3x3-aux` is the cell ++++; `mul3x3-sft` is +++−, an extra cell of the other half.

**4×4**, one factor at a time, starting from P and from ours. P is like the published condition:
AdamW, the answer alone, uniform operands without leading zeros, and **a constant rate** as
published (no scheduler), so that training can go on: two more legs of 20,000 steps start from the
last weights, with new moments, a new warm-up and other problems (seeds 1 and 2). A rate that falls
to 0.001 of its peak freezes any model, so a digit not learnt by then might still have been learnt.
P + Muon, P + both mixes and P + running sums have the constant rate too, so each differs from P in
one factor. Ours without lengths, without simple multipliers and on a fixed set keep the falling
rate of `mul4x4-sft`, and each differs from it in one factor. AdamW's rate is half of the 3×3 one,
because the model is twice as wide.

P has the width, batch (256), tokens, weight decay and fresh problems of our models, not the
published 768, 32, GPT-2's and 80,800; its rate is 5e-4, theirs 5e-5. Each P + … measures one
factor's gain over P; ours on a fixed set measures the cost of the fixed set.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from math import prod

from interp.training.objectives.answer import AnswerLoss
from interp.training.products import FOUR_DIGITS, THREE_DIGITS
from interp.training.recipes import Draw, Recipe, draw

Signs = tuple[int, int, int, int]  # of the factors, each +1 or -1

FACTORS = ("optimiser", "lengths", "simple", "objective")
HALF: tuple[Signs, ...] = tuple(
    (a, b, c, d) for a, b, c, d in product((1, -1), repeat=4) if prod((a, b, c, d)) == 1
)
PUBLISHED_CELL: Signs = (-1, -1, -1, -1)
SEEDS = (0, 1, 2)

# AdamW's rates, of which the published cell with seed 0 decides at 3×3.
RATES = {"slow": 3e-4, "medium": 1e-3, "fast": 3e-3}
FOUR_DIGIT_SHARE = 0.5  # of the 3×3 rate: the width doubles

FIXED_ROWS = 80_800  # the training set of 2510.00184

_PLAIN_3, _SUMS_3 = THREE_DIGITS[:2]
_PLAIN_4, _SUMS_4 = FOUR_DIGITS[:2]
_SHIPPED: dict[Signs, str] = {(1, 1, 1, 1): _SUMS_3.name, (1, 1, 1, -1): _PLAIN_3.name}


def cell(signs: Signs, rate: str, seed: int = 0) -> Recipe:
    """The 3×3 recipe of a cell of the full factorial. `rate` is a key of `RATES` and counts only
    where the first sign is -1."""
    muon, lengths, simple, sums = (sign > 0 for sign in signs)
    name = _SHIPPED.get(signs) or _cell_name(signs, rate)
    return replace(
        _PLAIN_3,
        name=f"{name}-s{seed}" if seed else name,
        seed=seed,
        mix=_mix(lengths, simple),
        objective=_SUMS_3.objective if sums else AnswerLoss(),
        learning_rate=_PLAIN_3.learning_rate if muon else RATES[rate],
        muon_rate=_PLAIN_3.muon_rate if muon else None,
    )


def _cell_name(signs: Signs, rate: str) -> str:
    muon, lengths, simple, sums = (sign > 0 for sign in signs)
    mixes = ("both" if simple else "lengths") if lengths else ("simple" if simple else "uniform")
    optimiser = "muon" if muon else f"adamw-{rate}"
    return f"mul3x3-{optimiser}-{mixes}-{'sums' if sums else 'answer'}"


def _mix(lengths: bool, simple: bool, *, full_width: bool = False) -> tuple[Draw, ...]:
    """The shipped mix without some draws; the uniform draw takes their weight."""
    options = {"full_width": True} if full_width else {}
    left = round(1 - 0.35 * lengths - 0.15 * simple, 2)
    mix = [draw("uniform", left, **options)]
    if lengths:
        mix.append(draw("lengths", 0.35))
    if simple:
        mix.append(draw("simple", 0.15, share=1.0))
    return tuple(mix)


def search(seed: int = 0) -> dict[str, Recipe]:
    """The published cell at each of the three rates."""
    return {rate: cell(PUBLISHED_CELL, rate, seed) for rate in RATES}


def three_digits(rate: str) -> tuple[Recipe, ...]:
    """The half fraction at AdamW's best rate, seed by seed; the shipped cell is among them."""
    return tuple(cell(signs, rate, seed) for seed in SEEDS for signs in HALF)


def four_digits(rate: str) -> tuple[Recipe, ...]:
    """The 4×4 runs in training order: each leg after the run that it starts from.

    P, P + Muon, P + both mixes, P + running sums; ours without lengths, without simple multipliers,
    on a fixed set; the second and the third leg of P.
    """
    published = replace(
        _PLAIN_4,
        name=f"mul4x4-published-{rate}",
        mix=_mix(lengths=False, simple=False, full_width=True),
        learning_rate=FOUR_DIGIT_SHARE * RATES[rate],
        muon_rate=None,
        decay="constant",
    )
    second = _leg(published, 2)
    return (
        published,
        replace(
            published,
            name="mul4x4-published-muon",
            learning_rate=_PLAIN_4.learning_rate,
            muon_rate=_PLAIN_4.muon_rate,
        ),
        replace(
            published,
            name=f"{published.name}-both",
            mix=_mix(lengths=True, simple=True, full_width=True),
        ),
        replace(published, name=f"{published.name}-sums", objective=_SUMS_4.objective),
        replace(_PLAIN_4, name="mul4x4-ours-no-lengths", mix=_mix(lengths=False, simple=True)),
        replace(_PLAIN_4, name="mul4x4-ours-no-simple", mix=_mix(lengths=True, simple=False)),
        replace(_PLAIN_4, name="mul4x4-ours-fixed-set", fixed_rows=FIXED_ROWS),
        second,
        _leg(second, 3),
    )


def _leg(before: Recipe, number: int) -> Recipe:
    """The recipe that continues a run at a constant rate for `steps` more, from its weights."""
    name = before.name.partition("-leg")[0]
    return replace(before, name=f"{name}-leg{number}", base=f"runs/{before.name}", seed=number - 1)


def _runs() -> Iterator[Recipe]:
    for rate in RATES:
        yield from three_digits(rate)
        yield from four_digits(rate)


# By name, at every rate; the shipped ones are in the catalogue too.
RUNS: dict[str, Recipe] = {recipe.name: recipe for recipe in _runs()}

# The rate that the search chose.
CHOSEN = "medium"

_STUCK_3 = {seed: cell(PUBLISHED_CELL, CHOSEN, seed) for seed in SEEDS}

# By the name of the run: the recipe under whose name its model ships.
STUCK: dict[str, Recipe] = {
    made.name: replace(made, name="mul3x3-stuck" + (f"-s{seed}" if seed else ""))
    for seed, made in _STUCK_3.items()
} | {leg.name: replace(leg, name="mul4x4-stuck") for leg in four_digits(CHOSEN)[-1:]}
