"""The engine does to a planted model what the interpreter says: every activation, every edit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

from interp import engine
from interp.engine import (
    Add,
    Constant,
    Freeze,
    MaskAttention,
    Mean,
    Project,
    Read,
    Replace,
    Rows,
    Scale,
    Variant,
    Zero,
)
from interp.planted.asked import at, blocked, together
from interp.planted.interpret import Edit, Trace, Visible
from tests.planted.subjects import Subject


def prove(subject: Subject) -> None:
    prove_activations(subject)
    prove_interventions(subject)
    prove_gradients(subject)


def prove_activations(subject: Subject) -> None:
    """Logits, the stream before and after each sublayer, what each writes, and attention."""
    key, model, batch = subject.key, subject.model, subject.batch
    trace = key.trace(subject.problems)
    sites = {"resid_pre": trace.resid_pre, "resid_mid": trace.resid_mid, "mlp_out": trace.mlp,
             "resid_post": trace.resid_post,
             "attn_out": [heads.sum(axis=0) for heads in trace.heads]}  # fmt: skip
    reads = [Read(site) for site in (*sites, "pattern")]
    run = engine.run(model, batch, reads=reads, logits=key.answers)
    subject.assert_close(run.logits, key.logits(subject.problems), "logits")
    for site, by_layer in sites.items():
        for layer, want in enumerate(by_layer):
            got = key.features_of(run.activations[site, layer].numpy())
            subject.assert_close(got, want, f"{site} of layer {layer}")
    for layer in range(key.program.n_layers):
        pattern = run.activations["pattern", layer]  # [n, queries, heads, keys]
        for head in range(key.program.n_heads):
            want = np.broadcast_to(key.pattern(layer, head), pattern[:, :, head].shape)
            subject.assert_close(pattern[:, :, head], want, f"attention of {layer}.{head}")


class Case(NamedTuple):
    """Interventions, and the same done to the program."""

    name: str
    interventions: tuple[Any, ...]
    edit: Edit | None = None
    visible: Visible | None = None


def prove_interventions(subject: Subject) -> None:
    """Every kind of edit of the movers, at the token where they matter, moves logits as it must."""
    key = subject.key
    cases = [case for head in _chosen(subject) for case in _cases(subject, *head)]
    variants = [Variant(case.name, case.interventions) for case in cases]
    runs = engine.run_variants(subject.model, subject.batch, variants, logits=key.answers)
    for case, run in zip(cases, runs, strict=True):
        want = key.logits(subject.problems, edit=case.edit, visible=case.visible)
        subject.assert_close(run.logits, want, case.name)


def prove_gradients(subject: Subject) -> None:
    """Gradient times activation of every head: nothing where units are saturated."""
    key, role = subject.key, subject.key.answers[-1]
    run = engine.gradients(subject.model, subject.batch[:4], [Read("z")], logits=[role])
    want = key.head_effects(subject.problems[:4], [role]).set_index(["layer", "head"])["slope"]
    for (_, layer), slope in run.gradients.items():
        by_head = (slope * run.activations["z", layer]).sum(dim=(1, 3)).abs().mean(dim=0)
        for head, got in enumerate(by_head.tolist()):
            off = abs(got - want[layer, head])
            assert off <= 1e-4 * key.logit_scale, f"gradient of {layer}.{head}: off by {off:.3g}"


def _chosen(subject: Subject) -> list[tuple[int, int, int]]:
    """(layer, head, target position) of the lowest and the highest mover and of a distractor."""
    key = subject.key
    rng = np.random.default_rng(key.program.seed)
    movers = [*key.movers[:1], *key.movers[-1:]]
    targets = [rng.choice(key.program.layers[m.layer].heads[m.head].targets) for m in movers]
    found = [(m.layer, m.head, int(t)) for m, t in zip(movers, targets, strict=True)]
    if key.distractors:
        idle = key.distractors[int(rng.integers(len(key.distractors)))]
        found.append((idle.layer, idle.head, key.position("last")))
    return found


def _cases(subject: Subject, layer: int, head: int, target: int) -> Iterator[Case]:
    key = subject.key
    layout, fact = key.program.layout, key.program.layers[layer].heads[head]
    clean, other = key.trace(subject.problems), key.trace(subject.others)
    role, where = layout[target], [target]
    this: dict[str, Any] = {"layers": layer, "heads": head, "roles": role}

    def heads(change: Any) -> Edit:
        return at("heads", layer, where, change, heads=[head])

    tag = f" of {layer}.{head} at {role}"
    yield Case("zero" + tag, (Replace("z", Zero(), **this),), heads(lambda x: 0.0 * x))
    # Turned round, not halved; below, ten more, not one: a saturated unit would not notice those.
    yield Case("turned" + tag, (Scale("z", -1.0, **this),), heads(lambda x: -x))
    mean = heads(lambda x: x.mean(axis=1, keepdims=True))
    yield Case("mean" + tag, (Replace("z", Mean(), **this),), mean)

    theirs = subject.model.prompts(subject.others)
    reads = [Read("z", layer, role), Read("resid_post", layer, role)]
    seen = engine.run(subject.model, theirs, reads=reads, logits=None)
    patch = heads(lambda x: other.heads[layer][[head]][:, :, where])
    yield Case("patch" + tag, (Replace("z", Rows.of(seen, "z"), **this),), patch)
    stream = at("resid_post", layer, where, lambda x: other.resid_post[layer][:, where])
    rows = Replace("resid_post", Rows.of(seen, "resid_post"), layers=layer, roles=role)
    yield Case("stream" + tag, (rows,), stream)
    yield from _direction_cases(subject, clean, layer, head, target)

    source = target - fact.offset
    # Kept from looking there, the head looks at the sink, or is told so of the sink's neighbour.
    if 0 <= source != target:
        cut = MaskAttention(layers=layer, heads=head, roles=role, keys=layout[source])
        visible = blocked(len(layout), [layer], where, [source], [head])
        yield Case("mask" + tag, (cut,), None, visible)


def _direction_cases(
    subject: Subject, clean: Trace, layer: int, head: int, target: int
) -> Iterator[Case]:
    key = subject.key
    role, where = key.program.layout[target], [target]
    feature = int(key.program.layers[layer].heads[head].write[:, 0].argmax())
    name = key.program.features[feature]
    unit = np.eye(len(key.program.features))[feature]
    vector = Constant(torch.from_numpy(key.direction(name).copy()))
    tag = f" of {name!r} in layer {layer} at {role}"
    yield Case(
        "more" + tag,
        (Add("resid_mid", vector, 10.0, layers=layer, roles=role),),
        at("resid_mid", layer, where, lambda x: x + 10 * unit),
    )
    yield Case(
        "none" + tag,
        (Project("resid_mid", vector, layers=layer, roles=role),),  # before anything reads it
        at("resid_mid", layer, where, lambda x: x * (1 - unit)),
    )
    above = range(layer, key.program.n_layers)
    freezes = [
        at("mlp", la, where, lambda x, la=la: clean.mlp[la][:, where])  # type: ignore[misc]
        for la in above
    ]
    yield Case(
        f"direct path of {layer}.{head} at {role}",
        (
            Replace("z", Zero(), layers=layer, heads=head, roles=role),
            Freeze("mlp_out", layers=tuple(above), roles=role),
        ),
        together(at("heads", layer, where, lambda x: 0.0 * x, heads=[head]), *freezes),
    )
