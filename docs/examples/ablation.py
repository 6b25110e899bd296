"""
Ablation
========

**Until which layer may tokens wait, in which layers must information move, and where is the
answer computed?**

Formula
-------

A *schedule* gives every layer a mode. In its first *wait* layers no token has read another; in
*transfer* layers the last token looks at the others; in *compute* layers every token sees itself
and the sink. Then::

    faithfulness = rightly answered prompts that the ablated run answers rightly / rightly answered

A waiting token's state is replaced by the mean over prompts that share its own token (CAMA, arXiv
2509.09650).
"""

# %%
# Example
# -------
#
# A planted model whose tokens wait: the schedule is known beforehand.

# sphinx_gallery_thumbnail_path = 'figures/smollm2-arith-af1.png'
import contextlib
import tempfile

import interp
from interp.planted import build

planted = build("waiting", seed=11, layers=5, family="llama", digits=1)
with contextlib.chdir(tempfile.mkdtemp()):
    planted.save("waiting")
    model = interp.load("waiting")
batch = model.prompts(interp.task("add:1").grid())

grid = interp.ablation.grid(model, batch)
grid.figure()

# %%
# The search chooses on one half of the prompts and reports on the other.

found = interp.ablation.af1(model, batch)
print(found.verdict)
print(f"planted: wait {planted.key.wait}, transfer in {sorted(planted.key.transfer_layers)}")
assert found.wait == planted.key.wait
assert set(found.transfer) == set(planted.key.transfer_layers)

# %%
# Control
# -------
#
# The best constant answer: a schedule that keeps no more of the answers than always saying the
# same supports no claim (the crosses above).

kept, constant = found.metrics["faithfulness"], found.metrics["constant"]
print(f"faithfulness {kept:.3f}, best constant {constant:.3f}")
assert kept > 0.9 > constant

# %%
# Pitfall
# -------
#
# What stands in for the waiting token decides what is asked. A mean that forgets the token, or
# zero, takes away what the token itself says, and the same schedule seems to fail.

schedule = interp.ablation.Schedule.of(found.schedule)
compared = interp.ablation.compare(model, batch, schedule).table
columns = ["replacement", "mask", "faithfulness", "low", "high"]
print(compared[columns].round(3).to_string(index=False))
kept = compared[compared["mask"] == "full-peek"].set_index("replacement")["faithfulness"]
assert kept["zero"] < kept.max()

# %%
# Used in
# -------
#
# The all-for-one subgraphs of language models (arXiv 2509.09650), in the :doc:`gallery
# </gallery>`; the terms are explained in :doc:`/using`.
