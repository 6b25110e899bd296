"""
Heads and circuits
==================

**Which heads, MLPs and paths carry the answer, and how few are enough?**

Formula
-------

A pair is a clean prompt with right token r and a corrupted one, with another operand and right
token r'. *Denoising* puts one clean activation into the corrupted run::

    effect = [x(r) − x(r')] of the patched run − [x(r) − x(r')] of the corrupted run

in logits. *Noising* puts a corrupted activation into the clean run. The first shows what is
enough, the second what is needed. A circuit C is scored by its faithfulness, the share of the
whole model's effect that it keeps while everything else carries the corrupted activation.
"""

# %%
# Example
# -------

# sphinx_gallery_thumbnail_path = 'figures/add5-heads.png'
import interp

model = interp.load("add5")
patched = interp.heads.patch(model, "add:5", n=64, seed=0)
print(patched.verdict)
patched.figure()

# %%
# How few heads and MLPs keep the answer?

circuit = interp.heads.circuit(model, "add:5", n=64, seed=0)
print(circuit.verdict)
circuit.figure()

# %%
# Control
# -------
#
# For patching: a source with other operands and the same answer, which must bring nothing that
# the answer needs; a head drawn at random; and a false-discovery rate over all cells. Nodes are
# chosen on one half of the prompts and scored on the other. For circuits: random sets of the same
# size, and what everything else keeps.

columns = ["rank", "node", "chosen", "scored", "random", "random_high"]
print(patched.chosen[columns].head(3).round(2).to_string(index=False))
same = patched.metrics["same_answer"]
print(f"in the largest cell a source with the same answer moves {same:.2f} logits")
assert patched.metrics["largest_effect"] > 5 * same

# %%
# Pitfall
# -------
#
# A head can look at an operand and do nothing with it (pitfall 16 of :doc:`pitfalls`), and a head
# at zero can break a model that does not need what it says (pitfall 7).
#
# Used in
# -------
#
# :doc:`/heads` has every method of the family with its numbers on the shipped models,
# :doc:`/trees` attention trees of products, :doc:`/carry` the verdict on carries.
