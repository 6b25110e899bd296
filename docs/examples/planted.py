"""
Planted models
==============

**Does a method find what is known to be there, and nothing where nothing is?**

Formula
-------

A mechanism is written down first, then compiled to the weights of a standard transformer. A
method's finding is compared with the answer key::

    precision = found and planted / found,    recall = found and planted / planted

The seed draws sizes, layers, heads and directions, so no method can know them.
"""

# %%
# Example
# -------
#
# Where does the carry come from? Two planted adders give the same right answers: one reads the
# digit that it has just printed, the other looks ahead in the operands.

# sphinx_gallery_thumbnail_path = 'figures/add5-reversed-carry.png'
import contextlib
import tempfile

import interp
from interp.planted import build

for kind in ("addition", "lookahead"):
    planted = build(kind, seed=7, digits=3)
    with contextlib.chdir(tempfile.mkdtemp()):
        planted.save(kind)
        model = interp.load(kind)
    found = interp.heads.carry(model, planted.key.task, n=128, seed=0)
    print(f"{kind:>9}: planted {planted.key.carry_from:>8}, found {found.kind}")
    assert (
        found.kind == {"print": "autoregressive", "operands": "look-ahead"}[planted.key.carry_from]
    )
found.figure()

# %%
# Control
# -------
#
# Every planted model is filled up with distractors: heads that look at operand digits and write
# what nothing reads. A method that finds them is wrong. Patching finds the movers and nothing
# else.

relay = build("relay", seed=2)
with contextlib.chdir(tempfile.mkdtemp()):
    relay.save("relay")
    model = interp.load("relay")
wanted = {f"L{head.layer}H{head.head}" for head in relay.key.movers}
found = set()
for operand in "ab":
    pairs = interp.heads.patch(model, relay.key.task, n=64, seed=0, swap=operand, direction="noise")
    found |= set(pairs.found)
print(f"planted {sorted(wanted)}, found {sorted(found)}; distractors {len(relay.key.distractors)}")
assert found == wanted

# %%
# Pitfall
# -------
#
# A method that passes finds mechanisms of these kinds: attention here is sharp and depends on the
# position alone, and no features share a direction. :doc:`/planted` says what the bench does not
# show.
#
# Used in
# -------
#
# The tests of every method; ``bench/proofs`` has precision and recall over twenty seeds a kind.
