"""The carry verdict on planted adders: carry from the print, from the operands, or wrong."""

from __future__ import annotations

import re

import numpy as np
import torch

import interp
from interp import engine
from interp.engine import Scale, Variant
from interp.heads.results.carry import CarryVerdict
from interp.planted.compile import module
from interp.planted.interpret import interpret, read_out
from tests.planted.subjects import Subject

_N = 90
_KINDS = {"print": "autoregressive", "operands": "look-ahead", None: "undecided"}


def prove_carry(subject: Subject) -> None:
    """The key's source, and every answer as the interpreter and longhand arithmetic have it."""
    key = subject.key
    found = interp.heads.carry(subject.model, key.task, n=_N, seed=key.program.seed)
    rows = found.rows
    nine = rows[rows["neighbour"] == "nine"]
    assert set(zip(nine["operands"], nine["print"], strict=True)) == {
        (0, 0), (0, 1), (1, 0), (1, 1),
    }  # fmt: skip
    assert found.kind == _KINDS[key.carry_from]
    if key.carry_from:
        assert found.agreeing_right.share == found.control_right.share == 1
        source = {"print": "print", "operands": "operands"}[key.carry_from]
        for forced in ("neighbour", "run"):
            assert found.share(source, forced=forced).share == 1
    assert rows["used"].tolist() == _used(subject, found)


def _used(subject: Subject, found: CarryVerdict) -> list[int]:
    """The carry of each answer, from token rows written by hand and run by the interpreter."""
    key, program = subject.key, subject.key.program
    tokens, wanted = [], []
    for row in found.rows.itertuples():
        a, b = map(int, re.split(r"\+", row.problem))
        sums = [a // 10**k % 10 + b // 10**k % 10 for k in range(found_digits(found))]
        carries = [0]
        for total in sums:
            carries.append(int(total + carries[-1] >= 10))
        digits = [(s + r) % 10 for s, r in zip(sums, carries, strict=False)]
        forced = int(row.forced_digit[1:])
        changed = {"none": (), "neighbour": (forced,),
                   "run": range(forced - row.length + 1, forced + 1)}[row.forced]  # fmt: skip
        for k in changed:
            digits[k] = (sums[k] + 1 - carries[k]) % 10
            assert row.neighbour == "other" or sums[k] == 9
        read = int(row.digit[1:])
        assert read == forced + 1 and row.operands == carries[read]
        flipped = row.neighbour == "nine" and row.forced != "none"
        assert row.print == (1 - row.operands if flipped else row.operands)
        tokens.append(_tokens(subject, a, b, digits))
        wanted.append((read, [(sums[read] + r) % 10 for r in (0, 1)]))
    stream = interpret(program, np.array(tokens)).resid_post[-1]
    said = read_out(program, stream).argmax(axis=-1)
    by_hand = []
    for row, (read, choices) in zip(said, wanted, strict=True):
        digit = program.vocabulary[row[key.position(f"c{read}") - 1]]
        by_hand.append(choices.index(int(digit)) if int(digit) in choices else -1)
    return by_hand


def found_digits(found: CarryVerdict) -> int:
    """Digits of the answer."""
    return int(found.task.removeprefix("add:")) + 1


def _tokens(subject: Subject, a: int, b: int, digits: list[int]) -> list[int]:
    program, n = subject.key.program, len(digits) - 1
    text = [*reversed(f"{a:0{n}d}"), "+", *reversed(f"{b:0{n}d}"), "=", *map(str, digits)]
    return [program.vocabulary.index(token) for token in ("<bos>", *text)]


def prove_lookahead(subject: Subject) -> None:
    """The planted model adds rightly, needs each of its movers, and reads no printed digit."""
    key = subject.key
    drawn = key.task.sample(60, seed=key.program.seed, sampler="cascades", share=1.0)
    tokens = torch.from_numpy(key.tokens(drawn))
    with torch.no_grad():
        logits = module(key.program).float()(tokens).logits
    for role in key.answers:
        place = key.position(role)
        assert (logits[:, place - 1].argmax(-1) == tokens[:, place]).all()

    def without(heads: tuple[object, ...]) -> Variant:
        edits = [Scale("z", 0.0, layers=h.layer, heads=h.head) for h in heads]  # type: ignore[attr-defined]
        return Variant("without", tuple(edits))

    variants = [Variant("clean"), without(key.distractors), *(without((h,)) for h in key.movers)]
    runs = engine.run_variants(subject.model, subject.model.prompts(drawn), variants)
    clean, idle, *cut = (run.logits / key.logit_scale for run in runs)
    assert (idle - clean).abs().max() < 1e-3
    assert all((logits - clean).abs().max() > 0.2 for logits in cut)
    assert not any(edge.source.startswith("c") for edge in key.edges)
