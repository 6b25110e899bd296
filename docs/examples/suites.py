"""
Suites
======

**Other people's questions, asked of any model: what do wrong digits do to the digits after them,
how far does its knowledge of numbers go, how good are its rough answers?**

Formula
-------

Noisy prefixes replace the answer's digits before the one that is read: all of them at random, all
by one more or less, or a single one. The number is the share of right digits behind each, with
Wilson's interval.
"""

# %%
# Example
# -------
#
# ``add5-reversed`` writes the lowest digit first and takes its carries from the digit just
# printed.

# sphinx_gallery_thumbnail_path = 'figures/gpt-errors.png'
import interp

model = interp.load("add5-reversed")
noisy = interp.suites.noisy_prefix(model, "add:5", n=128, seed=0)
print(noisy.verdict)
noisy.figure()

# %%
# Control
# -------
#
# The true prefix, and a model that writes from the highest digit, which cannot take a carry from
# what it has printed.

for name in ("add5-reversed", "add5"):
    found = interp.suites.noisy_prefix(interp.load(name), "add:5", n=128, seed=0).metrics
    true, random = found["clean"], found["random"]
    print(f"{name:>13}: behind the right digits {true:.1%}, behind random ones {random:.1%}")
    assert true == 1 and (random < 0.9) == (name == "add5-reversed")

# %%
# Published answers come through the same door: kinds of errors in the answers of GPT models
# (arXiv 2402.14903), beside shuffled answers.

published = interp.behaviour.published_errors()
print(published.verdict)
published.figure()

# %%
# Pitfall
# -------
#
# A digit that is off by one behind a random prefix may be a right digit with the carry that the
# prefix announced. Count it as wrong, and a model that reads its own print looks confused;
# `random_relaxed` has the share that is right but for that.
#
# The wordings of StreetMath's questions are compared by resampling questions, not by a
# two-proportion test: every wording asks the same questions, so its answers are not independent of
# another's. ``interp.suites.grades.compare_shares`` is that test, for answers to different
# questions.
#
# An interval over few problems is wide: even 34 right answers of 34 leave a share below 0.9
# possible. The Number Cookbook's surely learned lengths need 35 problems or more.
#
# Used in
# -------
#
# :py:func:`interp.suites.cookbook` (Number Cookbook) and :py:func:`interp.suites.approximation`
# (StreetMath) ask language models; :doc:`/carry` separates print and operands exactly.
