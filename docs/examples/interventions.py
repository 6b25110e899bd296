"""
Interventions
=============

**What happens to the answer if this activation were another?** Every method of these pages is a
way to ask that.

Formula
-------

An intervention is a value: what to do (replace, add, scale, project, mask attention, freeze), at
which site, layers, roles and heads, with which source. A run applies a list of them::

    Δ = logits(run with interventions) − logits(clean run)
"""

# %%
# Example
# -------
#
# Positions have names, whatever the tokenizer: ``a0`` is the lowest digit of the first operand,
# ``predicts(c2)`` the position whose logits write c2.

# sphinx_gallery_thumbnail_path = 'figures/add5-knockout.png'
import torch

import interp
from interp.engine import Clean, MaskAttention, Mean, Replace, Variant, run, run_variants

model = interp.load("add5")
batch = model.prompts(interp.task("add:5").sample(128, seed=0))
print(batch.texts[0], *batch.roles)

# %%
# One pass for all variants: each head of the first layer at its mean.

heads = [Variant(f"L0H{h}", [Replace("z", Mean(), layers=0, heads=h)]) for h in range(4)]
clean, *runs = run_variants(model, batch, [Variant("clean"), *heads])
for variant, one in zip(heads, runs, strict=True):
    moved = float((one.logits - clean.logits).abs().mean())
    print(f"{variant.name}: logits move by {moved:.3f} on average; fired {sum(one.fired)} times")

# %%
# Control
# -------
#
# A patch by an activation's own value must change nothing: what it moves is the noise floor, and
# no effect below it is one.

own = run(model, batch, [Replace("z", Clean(), layers=0, heads=3)])
print(
    f"its own value: {float((own.logits - clean.logits).abs().max()):.1g}; changed: {own.changed}"
)
assert torch.equal(own.logits, clean.logits)

# %%
# Pitfall
# -------
#
# A hook on a name that does not exist fires on nothing, and the run looks like a model that does
# not need it. Here that raises, and a run says whether any logit changed.

try:
    run(model, batch, [Replace("attn_result", Mean(), layers=0)])
except interp.SiteError as error:
    print(error)
blind = run(model, batch, [MaskAttention(keys="a0", layers=0)])
print(f"no head may look at a0 in layer 0: changed {blind.changed}")
assert blind.changed

# %%
# Used in
# -------
#
# :doc:`heads`, :doc:`ablation`, the causal tests of probes and of geometry. All names:
# :doc:`/reference/interp.engine`.
