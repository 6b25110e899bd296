"""Attention patterns, and the tree of a product, on planted models."""

from __future__ import annotations

import re

import numpy as np

import interp
from interp.planted.asked import blocked
from tests.planted.subjects import Subject


def prove_attention(subject: Subject) -> None:
    """Every pattern is the key's; movers walk along their operand, with their own offset."""
    key = subject.key
    found = interp.heads.attention(subject.model, subject.batch)
    queries, keys = (found.plain.axis(name).labels for name in ("query", "key"))
    rows = [key.position(role[9:-1]) - 1 for role in queries]
    columns = [key.position(role) for role in keys]
    for head in key.heads:
        want = key.pattern(head.layer, head.head)[np.ix_(rows, columns)]
        got = found.plain.at(layer=head.layer, head=head.head).values
        assert np.abs(got - want).max() < 1e-6, head
        operand = [i for i, role in enumerate(keys) if re.fullmatch(r"[ab]\d+", role)]
        score = found.scores.query(
            "layer == @la and head == @h and attends_to == 'operand' and weights == 'plain'",
            local_dict={"la": str(head.layer), "h": str(head.head)},
        )
        assert np.allclose(score["score"], want[:, operand].sum(axis=1), atol=1e-6)
    stairs = found.staircase.set_index(["layer", "head", "operand"])
    walkers = set()
    for mover in key.movers:
        operand, shift = re.fullmatch(r"([ab])\[k(-1)?\]", mover.brings).groups()
        row = stairs.loc[(str(mover.layer), str(mover.head), operand)]
        walkers.add((str(mover.layer), str(mover.head), operand))
        if row.steps >= 3:
            assert row.offset == (-1 if shift else 0)
            assert abs(row.attention - 1) < 1e-6 and row.shuffled < row.attention
    assert len(walkers) == 4


def prove_tree(subject: Subject) -> None:
    """Exactly the key's products and sites for c1 by effect, and each effect the interpreter's."""
    key = subject.key
    problems = key.task.sample(60, seed=key.program.seed)
    found = interp.heads.tree(subject.model, problems, resamples=4)
    mine = found.products.query("answer_digit == 'c1' and route == 'effect'")
    got = {(row.site, row.i, row.j) for row in mine.itertuples()}
    want = set()
    for name in key.tree["c1"]:
        (i,), (j,) = (re.findall(r"\d", digit) for digit in key.tree[name])
        want.add((f"b{j}", int(i), int(j)))
    assert got == want
    assert found.pairs("c1") == {(1, 0), (0, 1), (0, 0)}
    fetched = found.links.query("answer_digit == 'c1' and route == 'effect' and part == 'fetch'")
    movers = {(m.layer, m.head) for m in key.movers}
    assert set(fetched["key"]) == {"b0", "b1"}
    assert set(zip(fetched["layer"], fetched["head"], strict=True)) <= movers
    score = found.scores.set_index(["route", "answer_digit"]).loc[("effect", "c1")]
    assert (score.coverage, score.carry_coverage, score.extra) == (1, 1, 0)
    _check_effects(subject, found, problems)


def _check_effects(subject: Subject, found: object, problems: object) -> None:
    """The cut of every edge of the tree, by the interpreter with that place invisible."""
    key = subject.key
    edges = found.edges.query("answer_digit == 'c1' and kept")  # type: ignore[attr-defined]
    label = key.tokens(problems)[:, key.position("c1")]  # type: ignore[arg-type]
    digits = [key.program.vocabulary.index(str(d)) for d in range(10)]
    length = len(key.program.layout)

    def margin(visible: object) -> float:
        x = key.logits(problems, ["c1"], visible=visible)[:, 0]  # type: ignore[arg-type]
        own = x[np.arange(len(x)), label]
        return float((own - (x[:, digits].sum(axis=1) - own) / 9).mean())

    whole = margin(None)
    assert len(edges) >= 5
    for row in edges.itertuples():
        at = [key.position(row.query)], [key.position(row.key)]
        cut = margin(blocked(length, [row.layer], *at, heads=[row.head]))
        assert abs((whole - cut) - row.effect) < 1e-3 * key.logit_scale, row
