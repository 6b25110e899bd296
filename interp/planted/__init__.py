"""Planted models: transformers with a known mechanism, and the key that says what it is.

>>> from interp.planted import build
>>> planted = build("addition", seed=7)
>>> planted.key.accuracy(planted.key.problems(100))
1.0
"""

from interp.planted.key import AnswerKey, Edge, HeadFact
from interp.planted.mechanisms import kinds
from interp.planted.planted import Planted, build, read_key

__all__ = ["AnswerKey", "Edge", "HeadFact", "Planted", "build", "kinds", "read_key"]
