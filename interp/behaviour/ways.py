"""Ways to write a problem: templates made from fields.

begin             text in front: none, a line break, `$` and other signs of a small vocabulary
signs             formula `a+b=`, no operator `a b =`, nothing `a b`, or zeros `0a00b0`, where
                  the vocabulary has no other sign
operand_order     most or least significant digit first; `answer_order` likewise
operand_padding   as long as the number is, or zeros up to the task's width; `answer_padding`
blanks            none, around the signs, or between all digits and signs
end               text behind the answer
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Self

from interp.arithmetic.tasks import Task

Order = Literal["most first", "least first"]
Padding = Literal["none", "zeros"]
Signs = Literal["formula", "no operator", "nothing", "zeros"]
Blanks = Literal["none", "around signs", "everywhere"]


class Way(NamedTuple):
    """One way to write a problem. `whole` writes a token a number."""

    signs: Signs = "formula"
    operand_order: Order = "most first"
    operand_padding: Padding = "none"
    answer_order: Order = "most first"
    answer_padding: Padding = "none"
    blanks: Blanks = "none"
    begin: str = ""
    end: str = ""
    whole: Literal["", "whole"] = ""

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Self | None:
        """The way of a row of the doctor's table; None of a format that is none."""
        if not row.get("signs"):
            return None
        return cls(**{name: row[name] for name in cls._fields})

    def template(self, task: Task) -> str:
        """The template of this way (`interp.arithmetic.formats.language`)."""
        wide = " " if self.blanks != "none" else ""
        operands = [self._number(name, self._operand) for name in task.operand_names]
        return "".join(
            [_text(self.begin), self._question(operands, task, wide),
             self._number("c", self._answer), _text(self.end)]
        )  # fmt: skip

    def _question(self, operands: Sequence[str], task: Task, wide: str) -> str:
        if self.signs == "zeros":
            return f"0{'00'.join(operands)}0"
        if self.signs == "nothing":
            return " ".join([*operands, ""])
        if self.signs == "no operator":
            return f"{' '.join(operands)} ={wide}"
        text = operands[0]
        for gap, operand in zip(task.operators, operands[1:], strict=True):
            sign = gap[0] if all(len(one) == 1 for one in task.operators) else "{op}"
            text += f"{wide}{sign}{wide}{operand}"
        return f"{text}{wide}={wide}"

    def _number(self, name: str, options: Sequence[str]) -> str:
        return f"{{{name}:{','.join(options)}}}" if options else f"{{{name}}}"

    @property
    def _operand(self) -> list[str]:
        return self._options(self.operand_order, self.operand_padding)

    @property
    def _answer(self) -> list[str]:
        return self._options(self.answer_order, self.answer_padding)

    def _options(self, order: Order, padding: Padding) -> list[str]:
        chosen = {
            "reversed": order == "least first",
            "pad": padding == "zeros",
            "spaced": self.blanks == "everywhere",
            "whole": bool(self.whole),
        }
        return [name for name, holds in chosen.items() if holds]


def _text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("@", "\\@")
    return escaped.replace("{", "{{").replace("}", "}}")


NAMED = {  # the formats by name that are ways
    "plain": Way(),
    "padded": Way(operand_padding="zeros", answer_padding="zeros"),
    "reversed": Way("formula", "least first", "zeros", "least first", "zeros"),
    "reversed-answer": Way("formula", "most first", "zeros", "least first", "zeros"),
}


def described(way: Way, other: Way | None = None) -> list[str]:
    """What is special about a way, a phrase a field; only what differs from `other`."""
    phrases = {
        "signs": {
            "formula": "operator and '=' are written",
            "no operator": "no operator is written",
            "nothing": "neither operator nor '=' is written",
            "zeros": "zeros stand for operator and '='",
        },
        "operand_order": _orders("operands are"),
        "operand_padding": _paddings("operands"),
        "answer_order": _orders("the answer is"),
        "answer_padding": _paddings("the answer"),
        "blanks": {
            "none": "there are no blanks",
            "around signs": "blanks stand around the signs",
            "everywhere": "blanks stand between all digits",
        },
    }
    plain = Way() if other is None else other
    found = []
    for field, words in phrases.items():
        if getattr(way, field) != getattr(plain, field):
            found.append(f"{words[getattr(way, field)]} ({field})")
    for field, verb in (("begin", "begins"), ("end", "ends")):
        text = getattr(way, field)
        if text != getattr(plain, field):
            found.append(f"the line {verb} with {text!r} ({field})" if text else f"no {field}")
    return found


def _orders(what: str) -> dict[str, str]:
    return {
        "most first": f"{what} written most significant digit first",
        "least first": f"{what} written least significant digit first",
    }


def _paddings(what: str) -> dict[str, str]:
    verb = "is" if what == "the answer" else "are"
    return {
        "none": f"{what} {verb} not padded",
        "zeros": f"{what} {verb} padded with zeros",
    }
