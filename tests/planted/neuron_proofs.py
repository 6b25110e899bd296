"""Ranking neurons finds the planted ones and no other, and cosines are those of the features."""

from __future__ import annotations

from typing import Any

import numpy as np

from interp import heads
from interp.heads.effects import halves
from interp.planted.interpret import normed
from interp.planted.program import ANCHOR, Floats, Program, basis
from tests.planted.subjects import Subject

_PROMPTS = 32
_SHARE = 1e-3  # of the largest number: a Llama takes its norms in float32


def prove_neurons(subject: Subject) -> None:
    """On a sum that neurons alone compute: the ranking is the set of planted neurons, exact and
    estimated effects are those of the program, and patching the set is patching everything."""
    key, seed = subject.key, subject.key.program.seed
    problems = key.task.sample(_PROMPTS, seed=seed)
    corrupted = problems[np.roll(np.arange(_PROMPTS), 1)]
    planted = planted_neurons(key.program)
    found = heads.neurons(
        subject.model, problems, corrupted=corrupted, top=len(planted), answers=key.answers,
        seed=seed,
    )  # fmt: skip
    table, rows = found.effects, halves(problems, seed)[1]
    assert {*table.loc[table["chosen"], "neuron"]} == planted
    by_prompt = effects(subject, problems, corrupted, table["neuron"])
    want = np.nanmean(by_prompt[:, rows], axis=1)
    size = np.abs(want).max()
    assert np.abs(table["exact"] - want).max() <= _SHARE * size
    assert np.abs(table["estimate"] - want).max() <= _SHARE * size
    assert found.agreement["pearson"] > 0.999
    m = found.metrics
    assert abs(m["together"] - 1) <= _SHARE and abs(m["all_neurons"] - 1) <= _SHARE
    assert m["random"] == 0 or abs(m["random"]) <= _SHARE * size
    prove_cosines(subject, problems, found)


def planted_neurons(program: Program) -> set[str]:
    """The neurons whose output the unembedding reads."""
    return {
        f"L{number}N{i}"
        for number, layer in enumerate(program.layers)
        for i in np.flatnonzero((program.unembed @ layer.neurons.write).any(axis=0))
    }


def activations(program: Program, stream: Floats, layer: int) -> Floats:
    """Neurons [n, T, m] of a stream of features."""
    neurons, seen = program.layers[layer].neurons, normed(program, stream, True)
    one = seen[..., ANCHOR : ANCHOR + 1] if program.family == "llama" else 1.0
    return np.asarray(np.maximum(seen @ neurons.read.T + neurons.bias * one, 0.0) * one)


def effects(subject: Subject, problems: Any, corrupted: Any, names: Any) -> Floats:
    """What each neuron, corrupted, costs the logit difference of each prompt, [neurons, n], by the
    interpreter; NaN where both problems have one answer."""
    key = subject.key
    streams = [key.trace(x, prefix=problems).resid_mid for x in (problems, corrupted)]
    place, rows = key.position(key.answers[0]), np.arange(len(problems))
    right, other = (key.tokens(x)[:, place] for x in (problems, corrupted))

    def difference(edit: Any) -> Floats:
        x = key.logits(problems, edit=edit)[:, 0]
        return np.asarray(np.where(right == other, np.nan, x[rows, right] - x[rows, other]))

    plain, lost = difference(None), []
    for layer, number in (map(int, name[1:].split("N")) for name in names):
        write = key.program.layers[layer].neurons.write
        if number >= write.shape[1]:  # a padded one
            lost.append(0 * plain)
            continue
        before, after = (activations(key.program, x[layer], layer)[..., number] for x in streams)
        moved = (after - before)[..., None] * write[:, number]

        def edit(site: str, at: int, x: Floats, where: int = layer, by: Floats = moved) -> Floats:
            return x + by if (site, at) == ("mlp", where) else x

        lost.append(plain - difference(edit))
    return np.array(lost)


def prove_cosines(subject: Subject, problems: Any, found: Any) -> None:
    """Cosines are those of the program's features, and the layer that sums leads random ones."""
    key, program = subject.key, subject.key.program
    (answer,) = key.answers
    tokens, trace = key.tokens(problems), key.trace(problems)
    places = [i for i, role in enumerate(program.layout) if role[0] in "abc" and role != "bos"]
    known = np.unique(tokens[:, places])
    reads = program.unembed @ (basis(program) / program.scale**2).T
    directions = reads[known] - reads[known].mean(axis=0)
    right = tokens[:, key.position(answer)]
    own = directions[np.searchsorted(known, right)]
    asking = key.position(answer) - 1
    for side, streams in (("input", trace.resid_mid), ("output", trace.mlp)):
        for layer, features in enumerate(streams):
            h = features[:, asking] @ basis(program).T
            lengths = np.linalg.norm(h, axis=1) * np.linalg.norm(own, axis=1)
            if not lengths.all():  # no output: only rounding has a direction there
                continue
            want = float(((h * own).sum(axis=1) / lengths).mean())
            got = found.cosine.at(side=side, token="answer", layer=layer, answer_digit=answer)
            assert abs(got - want) <= _SHARE, f"{side} of layer {layer}: {got}, not {want}"
    layer = key.layers["sum"]
    at = {"side": "output", "token": "answer", "layer": layer, "answer_digit": answer}
    beside = found.random.high[tuple(found.random.axis(k).index(v) for k, v in at.items())]
    assert found.cosine.at(**at) > beside
