"""
Attribution
===========

**Which operand digits does each answer digit depend on, and which must it?**

Formula
-------

Operand digit t is replaced, and the logit of answer digit k is read before and after::

    D[t, k] = mean over prompts of  logit_{c_k}(original) − logit_{c_k}(counterfactual_t)

(arXiv 2510.00184, Fig. 2). The *oracle* is the exact probability that arithmetic changes c_k when
t changes, over every other value of t.
"""

# %%
# Example
# -------
#
# ``add5`` adds five-digit numbers and writes the highest digit first. The problems are held out
# from its training.

# sphinx_gallery_thumbnail_path = 'figures/add5-attribution.png'
import interp

model = interp.load("add5")
result = interp.attribution.counterfactual(model, "add:5", n=128, seed=0)
result.figure()

# %%
# After which layer can each answer digit be read off?

lens = interp.attribution.logit_lens(model, "add:5", n=128, seed=0)
print(lens.verdict)
lens.figure()

# %%
# Control
# -------
#
# Cells where the oracle is 0: there nothing may happen. The headline is the ratio of the two
# kinds of cells; the noise floor is what moves when nothing is replaced.

for name in ("mean_abs_where_changes", "mean_abs_where_zero", "ratio_oracle", "noise_floor"):
    print(f"{name:>22} = {result.metrics[name]:<7.4g} {result.meaning(name)}")
assert result.metrics["ratio_oracle"] > 100

# %%
# Pitfall
# -------
#
# The answer's earlier digits stand before the one that is read. ``prefix="keep"`` leaves the
# original's there, and they tell the model a carry that the changed problem does not have;
# ``prefix="recompute"`` puts the changed problem's own. Only the second asks what the operands
# do.

for prefix in ("keep", "recompute"):
    again = interp.attribution.counterfactual(model, "add:5", n=128, seed=0, prefix=prefix)
    print(f"{prefix:>9}: ratio {again.metrics['ratio_oracle']:.0f}")

# %%
# See also pitfalls 1 (a raw logit has an offset), 2 (a swap that keeps the answer digit) and 8
# (the logit lens without the final norm) of :doc:`pitfalls`.
#
# Used in
# -------
#
# The figure of the front page; one prompt in detail with
# :py:func:`interp.attribution.swap_example`; components by :py:func:`interp.attribution.direct`.
# It says what an answer depends on; :doc:`heads` says where that happens.
