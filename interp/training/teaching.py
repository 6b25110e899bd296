"""Recipes after "Teaching arithmetic to small transformers" (2307.03381): how many examples does a
format need? And after "Positional description matters" (2311.14737): random blanks beside padding.

`recipe(NAME)` and `arithmoscope train NAME` find them; none ships as a model.
`python -m bench.proofs.teaching_arithmetic` trains all, and its cards make the curves.

Three-digit sums on a fixed set of N examples: a tenth of them up to two digits long, balanced by
length (of 1,000 about 85 have one digit, all that are not held out), the others balanced by the
number of carries.
Formats, each with an end that the model learns as well:

    plain       $128+367=495$
    reversed    $128+367=594$
    scratchpad  A->5 , C->1 … and then the sum, all of it learnt

As published: AdamW, batch 256, peak rate 1e-3 after 100 steps, betas 0.9 and 0.99. Not as
published: two layers of width 96 (there six of 384), 2,000 steps (5,000), no dropout (0.2), and
test problems whose operands, in both orders, no example has. In float32: many
processors have no bfloat16 products and take longer in it.
"""

from dataclasses import replace

from interp.training.objectives.answer import AnswerLoss
from interp.training.objectives.scratchpad import ScratchpadLoss
from interp.training.recipes import Recipe, draw

FORMATS = {
    "plain": "${a}+{b}={c}$",
    "reversed": "${a}+{b}={c:reversed}$",
    "scratchpad": "scratchpad",
}
SIZES = (500, 1_000, 2_000, 4_000, 10_000, 20_000)
SEEDS = (0, 1, 2)

SPACES = {"padded": "padded", "spaces": "random-spaces"}
SPACES_SIZE = 10_000

_BASE = Recipe(
    name="teach",
    task="add:3",
    d_model=96,
    mix=(draw("lengths", 0.1, longest=2), draw("carries", 0.9)),
    batch=256,
    steps=2000,
    warmup=100,
    learning_rate=1e-3,
    betas=(0.9, 0.99),
    precision="float32",
    evaluate_every=250,
    evaluate_n=1000,
    log_every=50,
    checkpoint_every=250,
    card_n=10_000,
)


def sample_size(form: str, rows: int, seed: int = 0) -> Recipe:
    """The recipe of a format, a key of `FORMATS`, on so many examples."""
    return replace(
        _BASE,
        name=_named(f"teach-{form}-{rows}", seed),
        format=FORMATS[form],
        objective=ScratchpadLoss() if form == "scratchpad" else AnswerLoss(),
        fixed_rows=rows,
        seed=seed,
    )


def spaces(form: str, seed: int = 0) -> Recipe:
    """The recipe of padded sums with or without random blanks; the context has room for sums of one
    digit more."""
    return replace(
        _BASE,
        name=_named(f"teach-{form}", seed),
        format=SPACES[form],
        mix=(draw("uniform"),),
        fixed_rows=SPACES_SIZE,
        n_ctx=24,
        seed=seed,
    )


def _named(name: str, seed: int) -> str:
    return f"{name}-s{seed}" if seed else name


# By name; seed by seed, so that a part of the runs is a whole set of curves.
RUNS: dict[str, Recipe] = {
    made.name: made
    for seed in SEEDS
    for made in (
        *(sample_size(form, rows, seed) for rows in SIZES for form in FORMATS),
        *(spaces(form, seed) for form in SPACES),
    )
}
