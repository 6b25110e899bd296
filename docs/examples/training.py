"""
Training
========

**In which order were the digits and subtasks learnt, and when does a model generalise?**

Formula
-------

A digit is learnt at the first logged step from which its smoothed loss stays below a threshold, 1
nat by default::

    learnt_at(k) = min { t : loss_k(s) < threshold for all s ≥ t }
"""

# %%
# Example
# -------
#
# Addition modulo 113: the training pairs first, the held-out pairs long after.

# sphinx_gallery_thumbnail_path = 'figures/mod113-learning.png'
import interp

grokked = interp.training.dynamics("mod113")
print(grokked.verdict)
grokked.figure()

# %%
# A four-digit multiplier, digit by digit.

multiplier = interp.training.dynamics("mul4x4-sft")
print(multiplier.verdict)
multiplier.figure()

# %%
# Control
# -------
#
# Held-out problems beside those of training, and what other seeds do.

for name in ("mod113", "mod113-s1", "mod113-s2"):
    found = interp.training.dynamics(name).metrics
    seen, unseen = found["learnt_at_train"], found["learnt_at_validation"]
    print(f"{name:>9}: training pairs at step {seen:.0f}, held-out ones at {unseen:.0f}")
    assert unseen > 2 * seen

# %%
# Pitfall
# -------
#
# The order depends on the threshold. State it, and try another.

for threshold in (0.1, 1.0, 2.0):
    ranks = interp.training.dynamics("mul4x4-sft", threshold=threshold).order
    order = ranks.sort_values("learnt_at")["group"].tolist()
    print(f"threshold {threshold} nats: {' '.join(order)}")

# %%
# Used in
# -------
#
# The order of digits and the grokking of ``mod113`` in the :doc:`gallery </gallery>`; any
# analysis over checkpoints: :doc:`seeds_and_checkpoints`.
