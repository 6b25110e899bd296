"""Recipes for long multiplication with three training objectives.

After "Why can't transformers learn multiplication?" (2510.00184): two layers and four heads, all
numbers least digit first. The three share shape, data and optimiser and differ in the objective.
The chain of thought also differs in the schedule, the batch (at first half as large) and, in its
last stage, the data and the initial weights.

    sft    the answer alone. The paper's model never learns the middle digits; ours learns them last
    aux    the answer, and a probe of the running sums at the heads of the second layer. The paper
           does not state λ and the heads: here λ goes from 5 to 30 on sums divided by 81, at all
           four heads
    icot   a chain of thought removed from the left. The paper removes eight tokens an epoch of
           80,800 problems in batches of 32; here the step or the loss decides

The paper's models are 768 wide and see a fixed set of 80,800 problems. These are 256 wide (3×3:
128) and see fresh problems. A third of the problems have operands of every length: 68 % of these
have a running sum ĉ_3 below 46 (uniform 4×4 problems: 18 %), with one to four products in the
column, so its last digit can be learnt step by step. A part has one non-zero digit in the
multiplier, which helped in 2407.15360. Muon trains the blocks' matrices and needs far fewer steps
here than AdamW alone. The cards give the accuracy of each model.
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

# The chain must be learnt before its removal: 1,000 steps with all of its 46 tokens. On a fixed
# schedule (a token every 187 or every 100 steps) the middle digits fall to chance and stay there,
# as without a chain. So a token is removed once the loss has recovered from the last removal.
# With 0.05 nats (one wrong digit in the whole remainder), fifteen tokens were gone after 8,300
# steps. With 0.08 the first sum of partial products is learnt without its chain after 9,700 steps.
# The middle of the second, half of its chain gone, is not learnt in another 2,000: the plateau of
# the plain learner, at three times the cost of a step. At that point the rest is removed.
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

# The shipped model continues from there with the batch of the others. After 16,000 steps without
# any chain, at half of their batch and a falling rate, the start had learnt the digits outside c2
# to c5 and was about to learn c2, like a plain learner after 9,000 steps. (Its own rate was raised
# to 3.5e-3 at step 27,000.) 6,500 more steps, the last 1,500 at 3e-3, teach c2 and c5. Another
# 9,500, the last 3,000 at 2e-3, bring c4 to 0.78 of the answers and c3 above chance. In the plain
# learner all four improve within 2,000 steps; here one after the other. All stages have the same
# seed, so the first 6,500 steps of the second see the problems of the first.
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

# c3 was not learnt. At its prediction position no head attended to b0 (a probe read b0 there in
# 0.09 of the prompts), and its sum was right in 0.78 of the products with b0 = 0. So the last stage
# starts from 0.4 of the matrices plus 0.6 of the initial ones (its seed is the same), and a third
# of its multipliers have two or three non-zero digits. It learns the middle digits within 3,000
# steps of each other, like the plain learner. The two changes were not tested apart.
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

# Smaller models for tests and notebooks: the same methods at half the width.
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
