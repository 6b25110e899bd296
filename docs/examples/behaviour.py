"""
Behaviour
=========

**What does a model get right, how is it wrong, and which fault predicts its wrong answers?** Ask
this first: how a model adds is no question if it does not add.

Formula
-------

Of n distinct problems, s are answered to the last digit. Accuracy is s / n with Wilson's
interval, z = 1.96::

    (s + z²/2 ± z √(s (n − s) / n + z²/4)) / (n + z²)

by answer digit, by carry class and by operand size. A *fault* is a rule of wrong arithmetic, such
as dropping every carry. It explains a wrong answer if it gives that answer, every digit of it.
"""

# %%
# Example
# -------
#
# A planted adder: its weights were written down, and with them a fault. Behaviour alone has to
# say which.

# sphinx_gallery_thumbnail_path = 'figures/add5-behaviour.png'
import contextlib
import tempfile

import interp
from interp.planted import build

planted = build("careless", seed=3, digits=4)
with contextlib.chdir(tempfile.mkdtemp()):
    planted.save("careless")
    model = interp.load("careless")

accuracy = interp.behaviour.accuracy(model, "add:4", n=512, seed=0)
print(accuracy.verdict)
accuracy.figure()

# %%
# What do the wrong answers look like, and which fault gives them?

explained = interp.behaviour.explain_errors(model, "add:4", n=512, seed=0)
print(explained.verdict)
explained.figure()

# %%
# Control
# -------
#
# The same fault against the wrong answers of other problems (`chance`), and its false alarms:
# problems that the model answers rightly where the fault says a wrong answer. Two faults give all
# of these wrong answers here. The false alarms tell them apart, and the answer key agrees.

table = explained.frame.set_index("simulator")[["share", "low", "high", "chance", "false_alarms"]]
print(table.head(3).round(3).to_string())
print(f"planted: {planted.key.fault}")
assert table["share"][planted.key.fault] == 1 and table["false_alarms"][planted.key.fault] == 0
assert table["chance"][planted.key.fault] < 0.2

# %%
# Pitfall
# -------
#
# A prompt in a format that the model never saw, or an answer read in the wrong order, looks like
# a model that cannot add: pitfalls 5 and 11 of :doc:`pitfalls`. Digits behind the true ones look
# better than behind the model's own (pitfall 13).
#
# Used in
# -------
#
# Every other method: it tells the prompts that are answered rightly. Column classes after arXiv
# 2402.02619, kinds of errors after 2402.14903. Figures of trained and of language models are in
# the :doc:`gallery </gallery>`.
