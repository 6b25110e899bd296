"""
Probes
======

**What is represented, where, beyond what the digits give for free, and does the model use it?**

Formula
-------

A linear probe w reads a quantity y of the schoolbook algorithm off an activation h, on held-out
prompts::

    R² = 1 − Σ (y − w·h − b)² / Σ (y − mean y)²,    gain = score − score of the reference

The reference is the same probe on the one-hot digits of everything printed so far, or on the
token's embedding where that is better. A quantity is *represented* where the gain's interval lies
above 0 and q, its false-discovery rate over all cells, is at most 0.05.
"""

# %%
# Example
# -------
#
# The carries of five-digit sums. Values of b are split, so probes are scored on numbers that they
# never saw.

# sphinx_gallery_thumbnail_path = 'figures/mul4x4-running-sums.png'
import interp
import probes

model = interp.load("add5")
roles = ["last", "predicts(c2)", "c2", "predicts(c3)", "c3"]
sweep = probes.probe(
    model, "add:5", targets=["carry[1]", "carry[2]"], roles=roles, n=300, seed=0, jobs=1
)
print(sweep.verdict)
sweep.figure()

# %%
# Control
# -------
#
# Beside the score of the best cell: a constant, what the question gives for free (`shown`), the
# token's own embedding, random weights, shuffled labels and a random label for each token.

best = sweep.best("carry[1]")
controls = ["constant", "shown", "embedding", "untrained", "shuffled", "control_task"]
print(best[["layer", "role", "score", *controls]].to_string())
assert best["score"] > best[controls].astype(float).max()

# %%
# Presence is not use. The causal test moves what the probe reads, where c2 is about to be
# written, and compares the answer with the one that arithmetic gives for the other carry.

fitted = probes.fit(
    *(model, "add:5", "carry[1]"), site="resid_post", layer=0, role="predicts(c2)", n=400, seed=0
)
use = probes.intervene(model, fitted, n=128, seed=0)
print(use.verdict)
use.figure()

# %%
# Pitfall
# -------
#
# Four of the :doc:`pitfalls` are about probes: no reference (3), a random split that leaks
# operand values (4), scored where it was chosen (6), a constant target (12).
#
# Used in
# -------
#
# Running sums and partial products of multipliers, and what a language model knows of a number:
# :doc:`gallery </gallery>`. Flags of the command: :doc:`/using`.
