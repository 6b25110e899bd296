"""Ways to write a problem that a tokenizer has tokens for: what the doctor tries."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from interp.arithmetic.tasks import Task
from interp.behaviour.ways import Blanks, Signs, Way
from interp.models.model import Model

_SMALL = 256  # tokens of a vocabulary whose every sign is tried as a delimiter
_SIGNS = "$#^&@<>|;:.,!?_~%()[]/'\"`"


class Choices:
    """The values of each field that a model's tokenizer can write."""

    def __init__(self, model: Model, task: Task) -> None:
        self._model, self._task = model, task
        blank = self._known(" ")
        self.blanks: list[Blanks] = ["none", *(["around signs", "everywhere"] if blank else [])]  # type: ignore[list-item]
        self.begins = ["", *filter(self._known, self._delimiters())]

    def _delimiters(self) -> list[str]:
        small = self._model.shape.d_vocab <= _SMALL
        return ["\n", "$", *(sign for sign in _SIGNS[1:] if small)]

    def _known(self, text: str) -> bool:
        """True if the tokenizer has tokens of its own for the text."""
        tokens = self._model.tokens
        ids = tokens.tokenizer(text, add_special_tokens=False)["input_ids"]
        unknown = tokens.tokenizer.unk_token_id
        return bool(ids) and unknown not in ids and max(ids) < self._model.shape.d_vocab

    @property
    def signs(self) -> list[Signs]:
        if self._task.arithmetic == "modular":
            return ["no operator", "nothing", "formula"]
        operators = all(self._known(one) for gap in self._task.operators for one in gap)
        if operators and self._known("="):
            return ["formula"]
        if self._known("="):
            return ["no operator"]
        return ["zeros", "nothing"]

    def core(self) -> Iterator[Way]:
        """Every order and padding of operands and answer, with each kind of signs."""
        orders, paddings = ("most first", "least first"), ("none", "zeros")
        if self._task.arithmetic == "modular":
            yield from (Way(signs=signs, whole="whole") for signs in self.signs)
        for signs, *rest in product(self.signs, orders, paddings, orders, paddings):
            way = Way(signs, *rest)  # type: ignore[arg-type]
            if signs != "zeros" or way.operand_padding == way.answer_padding == "zeros":
                yield way

    def around(self, way: Way) -> Iterator[Way]:
        """The ways that differ from this one in one field."""
        yield from (way._replace(begin=begin) for begin in self.begins)
        if way.signs == "formula" and not way.whole:
            yield from (way._replace(blanks=blanks) for blanks in self.blanks)
        for other in self.core():
            fields = zip(way[:5], other[:5], strict=True)
            if sum(mine != its for mine, its in fields) == 1 and other.whole == way.whole:
                yield way._replace(**dict(zip(Way._fields[:5], other[:5], strict=True)))  # type: ignore[arg-type]

    def all(self) -> Iterator[Way]:
        """The full product of the fields but `end`."""
        for way, begin, blanks in product(self.core(), self.begins, self.blanks):
            if blanks == "none" or (way.signs == "formula" and not way.whole):
                yield way._replace(begin=begin, blanks=blanks)
