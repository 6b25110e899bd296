"""Recipes of long multiplication: one task, three ways to learn it.

After "Why can't transformers learn multiplication?" (2510.00184): two layers and four heads, all
numbers least digit first. The three share shape, data and optimiser; what differs is the objective
and, for the chain of thought, the schedule, the batch, at first half as large, and in its last
stage the data and what it starts from.

    sft    the answer alone. The paper's fails in the middle digits for good; here they come last
    aux    the answer, while the heads of the second layer know the running sums. The paper's λ and
           heads are not stated: here λ goes from 5 to 30 on sums divided by 81, at all four heads
    icot   a chain of thought that is taken away from the left. The paper takes eight tokens an
           epoch of 80,800 problems in batches of 32; here steps or the loss decide

The paper's models are 768 wide and see a fixed set of 80,800 problems. These are 256 wide (3×3:
128) and see fresh problems. A third have operands of every length: of uniform 4×4 problems 18 %
have a running sum ĉ_3 below 46, of these 68 %, with one to four products in the column, so that its
last digit can be learnt step by step. A part has one non-zero digit in the multiplier, as
2407.15360 found to help. The blocks' matrices are trained with Muon, which needs far fewer steps
here than AdamW alone. The cards say what each reached.
"""

from dataclasses import replace

from interp.training.objectives.answer import AnswerLoss
from interp.training.objectives.icot import ImplicitChain
from interp.training.objectives.running_sum import RunningSumLoss
from interp.training.recipes import Recipe, draw

_SHARED = Recipe(
    name="mul4x4-sft",
    task="mul:4x4",
    format="reversed",
    d_model=256,
    batch=256,
    mix=(draw("uniform", 0.5), draw("lengths", 0.35), draw("simple", 0.15, share=1.0)),
    objective=AnswerLoss(),
    learning_rate=1.5e-3,
    muon_rate=2.5,
    steps=20_000,
    target=0.997,
    gradients_every=500,
    evaluate_every=1000,
    card_n=10_000,
)

_RUNNING_SUMS = RunningSumLoss(weight=5.0, end=30.0)

_AUX = replace(_SHARED, name="mul4x4-aux", objective=_RUNNING_SUMS)

# The chain must be known before it is taken away: 1,000 steps with all of its 46 tokens. By the
# clock, at a token every 187 steps as at one every 100, the middle digits are lost on the way and
# wait at chance as if there had been no chain: so a token goes when the last one is hardly missed.
# At 0.05 nats, a single digit lost of all that is left, fifteen had gone after 8,300 steps. At 0.08
# the first sum of partial products is known without its chain after 9,700 steps, and the middle of
# the second is not for 2,000 with its own half gone: what a plain learner waits for, at three times
# its price a step. So there the rest goes.
_ICOT_START = replace(
    _SHARED,
    name="mul4x4-icot-start",
    format="icot",
    batch=128,
    steps=40_000,
    stop_after=31_500,
    log_every=25,
    objective=ImplicitChain(
        removed=1, caught_up=0.08, patience=2_500, pretrain=1_000, restart=False
    ),
)

# What ships goes on from there with the batch of the others: after 16,000 steps without any of its
# chain, at half of their batch and a falling rate, the start had learnt the digits outside c2 to c5
# and was about to learn c2, as a plain learner is after 9,000 steps. (Its own rate was raised to
# 3.5e-3 at step 27,000.) With 6,500 steps more, the last 1,500 at 3e-3, c2 and c5 are learnt; with
# another 9,500, the last 3,000 at 2e-3, c4 is right in 0.78 of the answers and c3 leaves chance. In
# the plain learner all four move within 2,000 steps: here each comes after the other. The seed is
# the same in all stages, so the first 6,500 steps of the second see what those of the first saw.
_ICOT_MIDDLE = replace(
    _SHARED,
    name="mul4x4-icot-middle",
    format="icot",
    base="runs/mul4x4-icot-start",
    objective=ImplicitChain(stage=1, removed=1, all_beyond=0, restart=False),  # all goes at once
    steps=10_000,
    stop_after=6_500,
)

_ICOT_LATE = replace(
    _ICOT_MIDDLE,
    name="mul4x4-icot-late",
    base="runs/mul4x4-icot-middle",
    learning_rate=1e-3,
    steps=12_000,
    stop_after=9_500,
)

# c3 did not come. Where it is predicted no head looked at b0 (a probe read b0 there in 0.09 of the
# prompts), and its sum was right in 0.78 of the products with b0 = 0. So the last stage starts from
# 0.4 of the matrices and 0.6 of those that the training began with (its seed is the same), and the
# middle digits are learnt within 3,000 steps of each other, as in the plain learner; a third of its
# multipliers have two or three digits that are not zero. Which of the two does it was not tried.
_ICOT = replace(
    _ICOT_MIDDLE,
    name="mul4x4-icot",
    base="runs/mul4x4-icot-late",
    shrink=0.4,
    mix=(
        draw("uniform", 0.4),
        draw("lengths", 0.2),
        draw("simple", 0.05, share=1.0),
        draw("simple", 0.2, share=1.0, places=2),
        draw("simple", 0.15, share=1.0, places=3),
    ),
    learning_rate=1.5e-3,
    steps=12_000,
    stop_after=None,
)

# The siblings for tests and notebooks: the same methods at half the width.
_SFT_3 = replace(
    _SHARED,
    name="mul3x3-sft",
    task="mul:3x3",
    d_model=128,
    learning_rate=2e-3,
    steps=8_000,
    target=0.9995,
    evaluate_every=500,
)

_AUX_3 = replace(_SFT_3, name="mul3x3-aux", objective=_RUNNING_SUMS)

_ICOT_3 = replace(
    _SFT_3,
    name="mul3x3-icot",
    format="icot",
    batch=128,
    decay="linear",
    steps=12_000,
    target=None,
    objective=ImplicitChain(stage=800, removed=4, pretrain=1_000),
)

FOUR_DIGITS = (_SHARED, _AUX, _ICOT_START, _ICOT_MIDDLE, _ICOT_LATE, _ICOT)
THREE_DIGITS = (_SFT_3, _AUX_3, _ICOT_3)
