"""
Seeds and checkpoints
=====================

**Which findings do all seeds share, and how does a finding come about during training?**

Formula
-------

For the cells x and y of two models, Spearman's rank correlation, mean over all pairs of models,
beside the largest 95 % quantile of the same with shuffled cells.
"""

# %%
# Example
# -------
#
# Three trainings that differ in their seed only, and any analysis of the catalogue.

# sphinx_gallery_thumbnail_path = 'figures/add5-seeds.png'
import interp

names = interp.seeds_of("add5")
shared = interp.over_seeds(names, interp.attribution.counterfactual, "add:5", n=64, seed=0)
print(shared.verdict)
shared.figure()

# %%
# The same over the checkpoints of one training.

steps = [0, 250, 1000, 1250, 4000]
series = interp.over_checkpoints(
    "mod113", interp.behaviour.accuracy, "mod:113", n=64, steps=steps, seed=0
)
accuracy = series.frame[series.frame["metric"] == "exact_accuracy"]
print(accuracy[["step", "value"]].to_string(index=False))
series.figure()

# %%
# Control
# -------
#
# Shuffled cells. It is a mild control: neighbouring cells depend on each other, and shuffled ones
# do not.

found = shared.metrics
lowest, shuffled = found["magnitude_agreement_lowest"], found["magnitude_shuffled"]
print(
    f"rank correlation of two models' cells at least {lowest:.2f}, of shuffled ones {shuffled:.2f}"
)
assert lowest > shuffled

# %%
# Pitfall
# -------
#
# Heads have other indices in each seed: head 3 of one model is not head 3 of another. Compare
# what does not depend on the numbering, as above, or say `exchangeable`.
#
# Used in
# -------
#
# Head roles over all shipped seeds in :doc:`/heads`; the phases of ``mod113`` in
# :doc:`/geometry`.
