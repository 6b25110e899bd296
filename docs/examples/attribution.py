"""
Attribution
===========

Which operand digits does each answer digit depend on, and which must it?
"""

# sphinx_gallery_thumbnail_path = 'figures/add5-attribution.png'

import interp

model = interp.load("add5")
result = interp.attribution.counterfactual(model, "add:5", n=128, seed=0)
print(result.describe())

# %%
# The figure.

result.figure()
