"""Interventions of a stack: small values with a text form, which `parse` reads back.

| value    | text                                            | effect                            |
| Head     | head L0H1 zero; head L0H1 mean at c2            | z of the head ← 0, or its mean    |
| Mlp      | mlp L1 zero; mlp L1 mean at c2                  | the MLP's output ← 0, or its mean |
| Wait     | wait 2 layers                                   | tokens wait until layer 2 (CAMA)  |
| Frequency | frequency 2 at layer 1 role a0                  | h − P(h − μ), P onto the wave    |
| Probe    | probe carry[0] to 1 at layer 1 role predicts(c1) | h + δ, so that the probe reads 1 |

Without "at ROLE" every position is edited. Frequencies and probes act on the residual stream after
their layer. All edits of a stack act in one pass, so their order does not matter; a probe's step
starts from the activation that the other edits leave.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from interp.errors import InputError

By = Literal["zero", "mean"]
_COMMA = re.compile(r",(?![^\[(]*[\])])")  # outside brackets
_ROLE = r"(?P<role>[\w().\[\]:]+)"
_BY, _AT = r"(?P<by>zero|mean)", rf"(?: at {_ROLE})?"
_PLACE = rf"at layer (?P<layer>\d+) role {_ROLE}"


@dataclass(frozen=True)
class Head:
    """One head off: its output before the projection replaced by zeros or by its mean."""

    layer: int
    head: int
    by: By = "zero"
    role: str | None = None

    def __str__(self) -> str:
        return f"head L{self.layer}H{self.head} {self.by}{_at(self.role)}"


@dataclass(frozen=True)
class Mlp:
    """One MLP off: its output replaced by zeros or by its mean."""

    layer: int
    by: By = "zero"
    role: str | None = None

    def __str__(self) -> str:
        return f"mlp L{self.layer} {self.by}{_at(self.role)}"


@dataclass(frozen=True)
class Wait:
    """Tokens wait: before layer `layers` each but the sink is replaced by its conditional mean."""

    layers: int

    def __str__(self) -> str:
        return f"wait {self.layers} layer{'' if self.layers == 1 else 's'}"


@dataclass(frozen=True)
class Frequency:
    """The wave of one frequency removed from the residual stream after `layer` at `role`."""

    frequency: int
    layer: int
    role: str

    def __str__(self) -> str:
        return f"frequency {self.frequency} at layer {self.layer} role {self.role}"


@dataclass(frozen=True)
class Probe:
    """What a probe of `target` reads after `layer` at `role` moved to `value`."""

    target: str
    value: float
    layer: int
    role: str

    def __str__(self) -> str:
        place = f"at layer {self.layer} role {self.role}"
        return f"probe {self.target} to {self.value:.12g} {place}"


Edit = Head | Mlp | Wait | Frequency | Probe
KINDS: tuple[type[Edit], ...] = (Head, Mlp, Wait, Frequency, Probe)

_FORMS: tuple[tuple[str, Callable[[re.Match[str]], Edit]], ...] = (
    (
        rf"head L(?P<layer>\d+)H(?P<head>\d+) {_BY}{_AT}",
        lambda m: Head(int(m["layer"]), int(m["head"]), _by(m["by"]), m["role"]),
    ),
    (
        rf"mlp L(?P<layer>\d+) {_BY}{_AT}",
        lambda m: Mlp(int(m["layer"]), _by(m["by"]), m["role"]),
    ),
    (r"wait (?P<layers>\d+) layers?", lambda m: Wait(int(m["layers"]))),
    (
        rf"frequency (?P<frequency>\d+) {_PLACE}",
        lambda m: Frequency(int(m["frequency"]), int(m["layer"]), m["role"]),
    ),
    (
        rf"probe (?P<target>\S+) to (?P<value>-?\d+(?:\.\d+)?) {_PLACE}",
        lambda m: Probe(m["target"], float(m["value"]), int(m["layer"]), m["role"]),
    ),
)
EXAMPLES = (
    *("head L0H1 zero", "mlp L1 mean", "wait 1 layer", "frequency 2 at layer 1 role a0"),
    "probe carry[0] to 1 at layer 1 role predicts(c1)",
)


def parse(text: str) -> Edit:
    """The intervention that `text` writes, the inverse of `str`.

    >>> parse("head L0H1 zero")
    Head(layer=0, head=1, by='zero', role=None)
    >>> str(parse("wait 1 layers"))
    'wait 1 layer'

    Raises:
        InputError: for any other text, with one example of each kind.
    """
    words = " ".join(str(text).split())
    for pattern, make in _FORMS:
        if found := re.fullmatch(pattern, words, re.ASCII):
            return make(found)
    raise InputError(f"cannot read the intervention {text!r}: write {'; '.join(EXAMPLES)}")


def parse_stack(given: str | Edit | Iterable[str | Edit]) -> tuple[Edit, ...]:
    """The interventions of a stack: values, texts, or one text with commas between them.

    Raises:
        InputError: as `parse`, and for one that stands in it twice.
    """
    if isinstance(given, str):
        given = [part for part in _COMMA.split(given) if part.strip()]
    elif isinstance(given, KINDS):
        given = [given]
    elif not isinstance(given, Iterable):
        raise InputError(f"a stack is a list of interventions, not {given!r}: {list(EXAMPLES[:1])}")
    found = tuple(one if isinstance(one, KINDS) else parse(str(one)) for one in given)
    if twice := [one for i, one in enumerate(found) if one in found[:i]]:
        raise InputError(f"{str(twice[0])!r} stands twice in the stack: leave one out")
    return found


def write_stack(stack: Sequence[Edit]) -> str:
    """The stack as one text, the inverse of `parse_stack`."""
    return ", ".join(map(str, stack))


def _at(role: str | None) -> str:
    return "" if role is None else f" at {role}"


def _by(text: str) -> By:
    return "mean" if text == "mean" else "zero"
