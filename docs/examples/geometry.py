"""
Geometry
========

**What shape have the numbers, beyond chance, and does the answer follow along it?**

Formula
-------

Rows x over the numbers 0 … p − 1 are fitted by waves of the frequencies k::

    x ≈ F C,    F = [1, cos 2πkn/p, sin 2πkn/p, …],    R² = 1 − ‖x − F C‖² / ‖x − mean x‖²

With as many columns as numbers R² is 1 whatever the rows are, so each stands beside the same rows
with permuted numbers.
"""

# %%
# Example
# -------
#
# A planted model of addition modulo 31: its frequencies are known.

# sphinx_gallery_thumbnail_path = 'figures/add5-operand-grids.png'
import contextlib
import tempfile

import interp
from interp.planted import build

planted = build("modular", seed=5, modulus=31)
with contextlib.chdir(tempfile.mkdtemp()):
    planted.save("modular")
    model = interp.load("modular")

modular = interp.geometry.modular(model)
print(modular.verdict)
print(f"planted: {sorted(one['frequency'] for one in planted.key.frequencies)}")
modular.figure()

# %%
# Digits of a trained multiplier.

multiplier = interp.load("mul3x3-icot")
fits = interp.geometry.fourier(
    multiplier, "mul:3x3", objects=("embedding", "logits"), permutations=100, n=256, seed=0
)
fits.figure()

# %%
# Control
# -------
#
# Permuted numbers, the same permutation for every row, and the best of as many places as were
# looked at (`p_best`).

columns = ["object", "layer", "role", "r2", "adjusted", "null", "p_best"]
print(fits.places[columns].round(3).to_string(index=False))
assert (fits.places["r2"] > fits.places["null"]).all()

# %%
# Does the answer follow along the figure? Each number is moved along the waves, and beside it by
# random steps of the same length.

shape = interp.geometry.figure(
    multiplier, "mul:3x3", role="predicts(c2)", permutations=60, randoms=1, n=256, seed=0
)
waves, steps = shape.metrics["followed"], shape.metrics["followed_random"]
print(f"answers that follow: moved along the waves {waves:.1%}, by random steps {steps:.1%}")
assert waves > 0.5 > steps

# %%
# Pitfall
# -------
#
# As many waves as numbers explain anything: pitfall 15 of :doc:`pitfalls`. And a shape without a
# causal test is a shape that may be used by nothing.
#
# Used in
# -------
#
# :doc:`/geometry` has the six analyses of the family beside the published numbers (arXiv
# 2510.00184, 2301.05217, 2502.00873).
