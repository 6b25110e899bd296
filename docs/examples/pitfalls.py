"""
Pitfalls
========

Seventeen ways to a wrong number, each beside the right one. Both ran when this page was built:
every number is printed by the code above it, and the code asserts that the wrong way goes wrong
and the right one does not. The models are small; several of the mistakes stand in published work.
"""

# sphinx_gallery_thumbnail_path = 'figures/mul4x4-running-sums.png'

import numpy as np
import torch

import interp
import probes
from interp.engine import Mean, Replace, Zero
from interp.planted import build

model = interp.load("add5")
problems = interp.task("add:5").sample(256, seed=0)
batch = model.prompts(problems)
clean = interp.engine.run(model, batch)
tokens = torch.stack([batch.labels(role) for role in clean.logit_roles], dim=1)


def right(logits):
    """The logits [prompts, digits] of the right tokens."""
    return logits.gather(-1, tokens[..., None])[..., 0]


# %%
# 1. A raw logit has an offset
# ----------------------------
#
# Softmax does not see a number that is added to all logits, so no prediction depends on it. A
# relative change of one raw logit does.

cut = interp.engine.run(model, batch, [Replace("z", Zero(), layers=1, heads=3)])


def relative(offset):
    return float(
        ((right(cut.logits) - right(clean.logits)) / (right(clean.logits) + offset)).abs().mean()
    )


def lead(logits):
    return right(logits) - logits.mean(dim=-1)


def difference(offset):
    return float((lead(cut.logits + offset) - lead(clean.logits + offset)).abs().mean())


print(f"wrong: relative change {relative(0):.2%}, with 100 more {relative(100):.2%}")
print(f"right: change of the lead {difference(0):.3f}, with 100 more {difference(100):.3f}")
assert relative(0) > 2 * relative(100)
assert abs(difference(0) - difference(100)) < 1e-3

# %%
# 2. A swap that keeps the answer digit
# -------------------------------------
#
# Another operand digit does not always give another answer digit. Pairs in which it stays the
# same have nothing to show, and they dilute the mean.

changed = interp.attribution.counterfactual(model, problems, operand_digits=["a1"])
row, column = 0, changed.effect.axes[1].labels.index("c2")
every = float(changed.magnitude.values[row, column])
moved = float(np.nanmean(changed.changed[:, row, column]))
share = float(changed.oracle.values[row, column])
print(f"wrong: effect of a1 on c2 over all pairs {every:.2f} logits")
print(f"right: over the pairs whose c2 changes {moved:.2f}; it changes in {share:.0%} of pairs")
assert every < moved / 2 and share < 0.5

# %%
# 3. A probe without what the digits give for free
# ------------------------------------------------
#
# No model at all: a linear map of the one-hot operand digits reads a product of two digits.

target = "product[0,0]"
free = probes.one_hot_baseline("mul:3x3", [target], n=1500, seed=0).frame.iloc[0]
multiplier = interp.load("mul3x3-aux")
sweep = probes.probe(
    *(multiplier, "mul:3x3"),
    targets=[target],
    layers=[0],
    roles=["predicts(c0)"],
    n=1500,
    seed=0,
    controls=(),
    jobs=1,
)
best = sweep.best(target)
print(f"wrong: 'R² = {free['score']:.2f}: it is represented', of no model at all")
print(f"right: R² {best['score']:.3f}, a gain of {best['gain_low']:.3f} to {best['gain_high']:.3f}")
assert free["score"] > 0.8 and best["gain_low"] > 0

# %%
# 4. A random split leaks operand values
# --------------------------------------
#
# Give every value of an operand a random label. Nothing can predict the labels of values that
# were never seen, but after a random split every value stands on both sides, and the probe has
# learnt them by heart.

from probes.estimators import RidgeProbe

modular = interp.load("mod113")
pairs = interp.task("mod:113").sample(3000, seed=0)
states = interp.cache(modular, pairs, "resid_pre", layers=[0], roles=["a[0:3]"]).values.reshape(
    3000, -1
)
labels = np.random.default_rng(0).normal(size=113)[pairs.values(0).astype(int)]


def score(by):
    split = probes.split(pairs, by, seed=0)
    fitted = RidgeProbe(alpha=1e-3).fit(states[split.train], labels[split.train])
    return fitted.score(states[split.test], labels[split.test])


print(f"wrong: R² on held-out problems {score('problem'):.3f}")
print(f"right: R² on held-out values of the operand {score('operand:a'):.3f}")
assert score("problem") > 0.9 and score("operand:a") < 0.1

# %%
# 5. Least or most significant digit first
# ----------------------------------------
#
# A model may write the lowest digit first. Text that is read in the wrong order looks like a
# model that cannot add.

from interp.arithmetic.formats import format

reverse = interp.load("add5-reversed")
asked = interp.task("add:5").sample(128, seed=1)
written = interp.engine.generate(reverse, reverse.prompts(asked, answer="none"), max_new_tokens=6)
texts = ["".join(reverse.pieces(row)) for row in written.tolist()]
reading = format(reverse.formats[0])
forward = [int(text) for text in texts]
backward = [reading.read_answer(text, asked.task).value for text in texts]
read_forward, read_backward = (np.mean(asked.answers() == found) for found in (forward, backward))
print(f"{asked.values(0)[0]} + {asked.values(1)[0]}: it writes {texts[0]}")
print(f"wrong: read as a number {read_forward:.1%} right")
print(f"right: read in its own format {read_backward:.1%} right")
assert read_forward < 0.05 and read_backward > 0.95

# %%
# 6. Chosen and scored on the same prompts
# ----------------------------------------
#
# The best of many neurons is good on the prompts that chose it, whatever the label. Here the
# label is shuffled: nothing can be found.

neurons = interp.cache(model, batch, "mlp_post", layers=[1], roles=["predicts(c2)"]).values.reshape(
    256, -1
)
label = np.random.default_rng(0).permutation(problems.truth["carry[1]"].to_numpy().astype(float))


def correlations(rows):
    return np.nan_to_num([np.corrcoef(one, label[rows])[0, 1] for one in neurons[rows].T])


first, second = np.arange(128), np.arange(128, 256)
with np.errstate(invalid="ignore"):
    chosen = np.abs(correlations(first)).argmax()
    on_first, on_second = abs(correlations(first)[chosen]), abs(correlations(second)[chosen])
print(
    f"wrong: best of {neurons.shape[1]} neurons, on the prompts that chose it: |r| = {on_first:.2f}"
)
print(f"right: the same neuron on the other half: |r| = {on_second:.2f}")
assert on_first > 0.2 and on_second < on_first / 2

# %%
# 7. Zero is not nothing
# ----------------------
#
# A head whose output has a mean that later layers rely on breaks the model when it is set to
# zero, though it carries nothing about the prompt.


def accuracy(source):
    ablated = interp.engine.run(model, batch, [Replace("z", source, layers=0, heads=1)])
    return float((ablated.logits.argmax(dim=-1) == tokens).all(dim=1).double().mean())


print(f"wrong: head 1 of layer 0 at zero: {accuracy(Zero()):.1%} right, so 'it is needed'")
print(f"right: at its mean: {accuracy(Mean()):.1%} right; what it says of the prompt is not needed")
assert accuracy(Zero()) < 0.8 and accuracy(Mean()) > 0.95

# %%
# 8. The logit lens without the final norm
# ----------------------------------------
#
# Logits are read behind the final norm. Read without it, even the last layer's stream does not
# give the model's own logits.

stream = interp.engine.run(model, batch, reads=["resid_post.1"]).activations["resid_post", 1]
at = batch.position_array("predicts(c2)")
stream = stream[torch.arange(len(at)), torch.from_numpy(at)]
own = clean.logit("c2")
W_U, bias = interp.engine.unembedding(model)
without = float((stream @ W_U + bias - own).abs().max())
behind = float((interp.engine.unembed(model, stream) - own).abs().max())
print(f"wrong: W_U on the bare stream is up to {without:.2f} logits off")
print(f"right: behind the final norm {behind:.2g}")
assert without > 1 and behind < 1e-4

# %%
# 9. A norm folded into the weights
# ---------------------------------
#
# Direct attribution divides a logit difference among the parts of the stream. A column of W_U is
# not the direction that they are read along: the final norm's weight stands between.
# TransformerLens folds it in (`enable_compatibility_mode`), which changes W_U; mix the two, and
# the parts no longer sum to the logit.

direct = interp.attribution.direct(model, batch)
centred = stream - stream.mean(dim=-1, keepdim=True)
unit = centred / centred.pow(2).mean(dim=-1, keepdim=True).sqrt()
answer = batch.labels("c2")
unfolded = float(
    ((unit * W_U.T[answer]).sum(dim=-1) - own.gather(-1, answer[:, None])[:, 0]).abs().max()
)
print(f"wrong: parts along the raw W_U miss the logit by up to {unfolded:.2f}")
print(f"right: with the norm's weight and bias the parts miss it by {direct.difference:.2g}")
assert unfolded > 1 and direct.difference < 1e-3

# %%
# 10. '12' may be one token
# -------------------------
#
# Positions counted in characters are wrong as soon as a tokenizer packs digits. Here a number is
# a token.

packed = build("waiting", seed=11, digits=2).model()
two = packed.prompts(interp.task("add:2").problems([12], [34]))
print(f"{two.texts[0]}: roles {two.roles}")
pieces = packed.pieces(two.tokens[0])
character, where = two.texts[0].index("4"), two.find("b[0:2]")[0]
print(
    f"wrong: the character 4 is number {character}, and token {character} is {pieces[character]!r}"
)
print(f"right: the role b[0:2] is token {where}, {pieces[where]!r}")
try:
    two.predicts("b0")
except interp.RoleError as error:
    print(f"and a digit without a token of its own is refused: {error}")
assert "4" not in pieces[character] and pieces[where] == "34"

# %%
# 11. A prompt in a format that it never saw
# ------------------------------------------
#
# A model that was trained on one format looks as if it could not add in another. `interp.suggest`
# and `arithmoscope doctor` look for its own.

foreign = interp.behaviour.accuracy(model, "add:5", n=64, format="reversed", strict=False).metrics
native = interp.behaviour.accuracy(model, "add:5", n=64).metrics
print(
    f"wrong: format 'reversed' {foreign['exact_accuracy']:.1%} right, and every answer can be read"
)
print(f"right: its own format {model.formats[0]!r} {native['exact_accuracy']:.1%} right")
assert foreign["exact_accuracy"] < 0.05 < 0.95 < native["exact_accuracy"]

# %%
# 12. R² of a constant
# --------------------
#
# Without a carry among the prompts, the probe of the carry is perfect, and so is a constant.
# scikit-learn calls R² of a constant 1; here the target is refused.

from sklearn.metrics import r2_score

small = interp.task("add:5").problems(
    [11111 * (i % 4) + i % 3 for i in range(120)], [22222 + i % 2 for i in range(120)]
)
carry = small.truth["carry[1]"].to_numpy().astype(float)
print(f"carries among the prompts: {carry.sum():.0f}")
print(f"wrong: R² {r2_score(carry, np.zeros(len(carry))):.2f} of a probe that always says 0")
try:
    probes.probe(
        model,
        small,
        targets=["carry[1]"],
        layers=[0],
        roles=["last"],
        controls=(),
        split="problem",
        jobs=1,
    )
    refused = ""
except interp.InputError as error:
    refused = str(error)
print(f"right: {refused}")
assert carry.sum() == 0 and r2_score(carry, np.zeros(len(carry))) == 1 and refused

# %%
# 13. Teacher forcing is not generating
# -------------------------------------
#
# With the right digits before each one the model is never led astray by a digit of its own, so
# digits look better. Whole answers agree: the first wrong digit is the same in both. float64,
# because a half-trained model has near ties: in float32 its logits of 7 and 8 for one digit of
# 742 × 776 differ by less than their rounding, and the choice depends on the processor.

weak = interp.load("mul3x3-sft-s2", dtype="float64")
forced, greedy = (
    interp.behaviour.accuracy(weak, "mul:3x3", n=512, seed=0, mode=mode).metrics
    for mode in ("forced", "greedy")
)
print(f"wrong: {forced['digit_accuracy']:.1%} of the digits right, behind the true ones")
print(f"right: {greedy['digit_accuracy']:.1%} behind its own")
print(f"whole answers: {forced['exact_accuracy']:.1%} and {greedy['exact_accuracy']:.1%}")
assert forced["digit_accuracy"] > greedy["digit_accuracy"] + 0.01
assert forced["exact_accuracy"] == greedy["exact_accuracy"]

# %%
# 14. Small effects in half precision
# -----------------------------------
#
# An effect is the difference of two runs, and each of them is rounded. In bfloat16 the rounding
# of a logit is as large as the effect of a head that hardly matters.

half = interp.load("add5", dtype="bfloat16")
few, edit = batch[:64], [Replace("z", Mean(), layers=1, heads=3)]


def effect(of):
    plain, edited = (interp.engine.run(of, few, edits).logits for edits in ([], edit))
    truth = tokens[:64, :, None]
    return (edited.float().gather(-1, truth) - plain.float().gather(-1, truth)).flatten()


exact, rounded, again = effect(model), effect(half), effect(model)
size = float(exact.abs().mean())
error = float((rounded - exact).abs().mean())
print(
    f"wrong: in bfloat16 the effect of head 3 of layer 1 is off by {error / size:.0%} of its size"
)
print(f"right: in float32 {size:.4f} logits, again within {float((again - exact).abs().max()):.1g}")
assert error > 0.1 * size and bool((again == exact).all())

# %%
# 15. As many waves as numbers
# ----------------------------
#
# The waves k = 0 … 5 are ten columns. On ten digits they explain anything, so R² = 1 is no
# finding; six columns explain more than half of noise.

n = np.arange(10)
noise = np.random.default_rng(0).normal(size=(400, 10))


def explained(frequencies):
    waves = [
        np.ones(10),
        *(f(2 * np.pi * k * n / 10) for k in frequencies for f in (np.cos, np.sin)),
    ]
    basis = np.linalg.qr(np.column_stack(waves))[0]
    basis = basis[:, np.abs(basis.T @ np.column_stack(waves)).max(axis=1) > 1e-9]
    rest = noise - noise @ basis @ basis.T
    return float(
        np.median(
            1
            - (rest**2).sum(axis=1) / ((noise - noise.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
        )
    )


print(f"wrong: R² {explained([1, 2, 3, 4, 5]):.2f} with k = 1 … 5, of random rows")
print(f"right: beside its null: k = 1, 2, 5 explain {explained([1, 2, 5]):.2f} of random rows")
assert explained([1, 2, 3, 4, 5]) > 0.999 and 0.4 < explained([1, 2, 5]) < 0.7

# %%
# 16. Attention is not effect
# ---------------------------
#
# A planted model has heads that look at operand digits and write what nothing reads. An attention
# map shows them like any other.

planted = build("relay", seed=2)
adder, fact = planted.model(), planted.key.distractors[0]
sums = adder.prompts(planted.key.problems(64))
whole = interp.engine.run(adder, sums, reads=[f"pattern.{fact.layer}"])
pattern = whole.activations["pattern", fact.layer]
looks = float(pattern[:, fact.head].amax(dim=-1).mean())
removal = Replace("z", Zero(), layers=fact.layer, heads=fact.head)
without = interp.engine.run(adder, sums, [removal]).logits
moved = float((without - whole.logits).abs().max())
print(
    f"wrong: head {fact.head} of layer {fact.layer} puts {looks:.0%} of its attention on one token"
)
largest = float(whole.logits.abs().max())
print(f"right: without it no logit moves by more than {moved / largest:.0e} of the largest")
assert looks > 0.9 and moved < 1e-6 * largest

# %%
# 17. A prompt counted twice
# --------------------------
#
# There are 100 sums of one digit. Ten thousand draws of them are not ten thousand pieces of
# evidence.

from interp.results import wilson

draws = np.random.default_rng(0).integers(0, 100, size=10_000)
right_ones = np.random.default_rng(1).random(100) < 0.9
wide, narrow = wilson(right_ones.sum(), 100), wilson(right_ones[draws].sum(), 10_000)
print(f"wrong: n = 10,000: {right_ones[draws].mean():.1%} ({narrow.low:.1%} to {narrow.high:.1%})")
print(f"right: 100 distinct: {right_ones.mean():.1%} ({wide.low:.1%} to {wide.high:.1%})")
assert (wide.high - wide.low) > 5 * (narrow.high - narrow.low)
