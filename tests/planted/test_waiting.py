"""Attention cut in float32, as ablations do it: what may wait, what must move, and when."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from interp import engine
from interp.engine import MaskAttention, Scale
from interp.planted.asked import all_visible, own_only
from interp.planted.key import AnswerKey
from interp.planted.planted import build
from tests.planted.subjects import SEEDS, Subject

EXACT = 1e-3  # of the logit scale: float32, which rounds the table of `column` by 2e-4
_ROWS = 60


class _Model:
    """A planted model in float32, some problems, and what it says to them under masks."""

    def __init__(self, key: AnswerKey, model: object) -> None:
        self.key, self.model = key, model
        self.problems = key.task.sample(_ROWS, seed=key.program.seed)
        self.batch = model.prompts(self.problems)  # type: ignore[attr-defined]
        self.last = key.position("last")

    def logits(self, interventions: Iterable[object]) -> np.ndarray:
        run = engine.run(self.model, self.batch, list(interventions), logits=self.key.answers)  # type: ignore[arg-type]
        return run.logits.numpy() / self.key.logit_scale

    def self_peek(self, layers: Iterable[int], positions: Iterable[int]) -> list[MaskAttention]:
        """Tokens that see themselves and the sink alone; the first two can do nothing else."""
        roles = [self.key.program.layout[i] for i in positions if i > 1]
        where = tuple(layers)
        return [
            MaskAttention(layers=where, roles=role, keys=("bos", role), mode="only")
            for role in roles
            if where
        ]

    def schedule(self, wait: int, transfer: Iterable[int]) -> list[MaskAttention]:
        """All wait; then the last token looks in the transfer layers, the others never do."""
        layers = set(range(self.key.program.n_layers))
        return [
            *self.self_peek(sorted(layers), range(self.last)),
            *self.self_peek(sorted(set(range(wait)) | (layers - set(transfer))), [self.last]),
        ]

    def right(self, interventions: Iterable[object]) -> float:
        labels = np.stack([self.batch.labels(role) for role in self.key.answers], axis=1)
        return float((self.logits(interventions).argmax(axis=-1) == labels).all(axis=1).mean())


@pytest.fixture(params=SEEDS, ids="PLANTED_SEED={}".format)
def waiting(request: pytest.FixtureRequest) -> _Model:
    planted = build("waiting", seed=request.param)
    return _Model(planted.key, planted.model())


@pytest.fixture(params=SEEDS, ids="PLANTED_SEED={}".format)
def early(request: pytest.FixtureRequest) -> _Model:
    planted = build("early", seed=request.param)
    return _Model(planted.key, planted.model())


def _window(key: AnswerKey) -> range:
    return range(min(key.transfer_layers), max(key.transfer_layers) + 1)


def test_masks_that_keep_the_sink_work_in_float32(planted: Subject) -> None:
    """Every token sees itself and the sink alone, and logits are those of the interpreter."""
    key = planted.key
    about = _Model(key, build(key.kind, seed=key.program.seed).model())
    length = len(key.program.layout)
    half = range(key.program.n_layers // 2, key.program.n_layers)
    want = key.logits(about.problems, visible=own_only(length, half)) / key.logit_scale
    got = about.logits(about.self_peek(half, range(length)))
    assert np.abs(got - want).max() < EXACT


def test_the_schedule_of_the_key_is_enough(waiting: _Model) -> None:
    key = waiting.key
    assert key.only_last_looks and key.wait == min(key.transfer_layers) > 0
    clean, found = waiting.logits([]), waiting.logits(waiting.schedule(key.wait, _window(key)))
    assert np.abs(found - clean).max() < EXACT
    length = len(key.program.layout)
    layers = set(range(key.program.n_layers))
    rules = [
        own_only(length, sorted(layers), range(waiting.last)),
        own_only(length, sorted(layers - set(key.transfer_layers)), [waiting.last]),
    ]
    want = key.logits(waiting.problems, visible=all_visible(*rules)) / key.logit_scale
    assert np.abs(found - want).max() < EXACT


def test_nothing_less_is_enough(waiting: _Model) -> None:
    """One layer more of waiting, one less of transfer, or one transfer head less."""
    key, window = waiting.key, _window(waiting.key)
    assert waiting.right(waiting.schedule(key.wait, window)) == 1
    assert waiting.right(waiting.schedule(key.wait + 1, window)) < 0.5
    assert waiting.right(waiting.schedule(key.wait, window[:-1])) < 0.5
    for layer, head in key.transfer_heads:
        assert waiting.right([Scale("z", 0.0, layers=layer, heads=head)]) < 0.5


def test_the_transfer_heads_are_enough(waiting: _Model) -> None:
    """All other heads, at every token, may be silent."""
    key = waiting.key
    idle = [(h.layer, h.head) for h in key.heads if (h.layer, h.head) not in key.transfer_heads]
    silent = [Scale("z", 0.0, layers=layer, heads=head) for layer, head in idle]
    edits = [*silent, *waiting.schedule(key.wait, _window(key))]
    assert np.abs(waiting.logits(edits) - waiting.logits([])).max() < EXACT


def test_the_opposite_cannot_wait(early: _Model) -> None:
    """Whatever the schedule: b must see a, and then the answer needs nobody but b."""
    key = early.key
    n_layers = key.program.n_layers
    assert not key.only_last_looks and early.right([]) == 1
    best = max(early.right(early.schedule(w, range(w, n_layers))) for w in range(n_layers))
    assert best < 0.5
    (meet,) = [edge for edge in key.edges if edge.brings == "a"]
    others = [role for role in early.batch.roles if role not in ("bos", meet.target)]
    waiting = [
        edit
        for edit in early.self_peek(range(n_layers), range(early.last))
        if edit.roles and edit.roles[0] in others
    ]
    assert early.right(waiting) == 1
