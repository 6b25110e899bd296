"""A fixed set of rows: the same ones in every epoch, none held out, the same after a kill."""

from dataclasses import replace

import numpy as np
import pytest

from interp.errors import InputError
from interp.training import draw, recipe, start, train
from interp.training.card import measure
from interp.training.evidence import asks_otherwise, never_asks_zeros
from interp.training.stream import Stream

ROWS, BATCH = 100, 32


@pytest.fixture
def fixed(tiny):
    mix = (draw("uniform", 0.6), draw("lengths", 0.4))
    return replace(tiny, task="mul:2x2", format="reversed", mix=mix, fixed_rows=ROWS, batch=BATCH)


def rows_of(stream, steps):
    return np.concatenate([stream.training(step).rows for step in range(steps)])


def ordered(rows):
    return rows[np.lexsort(rows.T)]


def test_every_epoch_has_each_row_once_and_in_another_order(fixed):
    stream = Stream(fixed)
    seen = rows_of(stream, 10)  # 320 rows: three epochs and a part of the fourth
    epochs = [seen[low : low + ROWS] for low in range(0, 3 * ROWS, ROWS)]
    whole = ordered(stream.fixed().problems.rows)
    assert len(whole) == ROWS
    for rows in epochs:
        assert np.array_equal(ordered(rows), whole)
    assert not np.array_equal(epochs[0], epochs[1])
    assert not np.array_equal(epochs[1], epochs[2])


def test_a_batch_larger_than_the_set_has_rows_several_times(fixed):
    stream = Stream(replace(fixed, fixed_rows=10))
    rows = ordered(stream.training(0).rows[:30])
    assert np.array_equal(rows, ordered(np.repeat(stream.fixed().problems.rows, 3, axis=0)))


def test_no_row_is_held_out(fixed):
    stream = Stream(replace(fixed, fixed_rows=2000))
    assert set(stream.split.part(stream.fixed().problems)) == {"train"}
    held_out = stream.held_out("test", 2000, seed=1)
    trained = {row.tobytes() for row in stream.fixed().problems.rows}
    assert not trained & {row.tobytes() for row in held_out.rows}


def test_a_step_needs_no_step_before_it_and_another_seed_has_other_rows(fixed):
    assert np.array_equal(Stream(fixed).training(7).rows, rows_of(Stream(fixed), 8)[-BATCH:])
    other = Stream(replace(fixed, seed=1)).fixed().problems.rows
    assert not np.array_equal(ordered(other), ordered(Stream(fixed).fixed().problems.rows))


def test_a_run_that_was_interrupted_gives_the_same_weights(fixed, tmp_path):
    fixed = replace(fixed, gradients_every=None, card_n=50)
    whole = train(fixed, tmp_path / "whole")
    assert train(fixed, tmp_path / "parts", budget_seconds=1e-9).stopped == "budget"
    parts = train(fixed, tmp_path / "parts")
    assert whole.card is not None
    assert parts.card is not None
    assert whole.card.weight_hash == parts.card.weight_hash
    steps = fixed.steps
    stated = parts.card.data["fixed_set"]
    assert stated["rows"] == ROWS
    assert stated["distinct"] == Stream(fixed).fixed().problems.n_distinct
    assert stated["epochs"] == pytest.approx(steps * BATCH / ROWS)
    assert parts.card.data["rows_trained_on"] == steps * BATCH


def test_cards_of_fresh_rows_say_what_they_said(tiny):
    run = start(tiny)
    data = measure(tiny, run.model, run.tokenizer, 12)["data"]
    assert set(data) == {"training", "rows_trained_on", "held_out", "scored_on"}


def test_rows_that_come_again_do_not_tell_when_a_digit_is_learnt(tiny):
    fresh = replace(tiny, mix=(draw("uniform"),))
    assert not asks_otherwise(fresh)
    assert asks_otherwise(replace(fresh, fixed_rows=ROWS))


def test_batches_without_leading_zeros_tell_where_held_out_problems_have_some(tiny):
    full = replace(tiny, mix=(draw("uniform", full_width=True),))
    assert never_asks_zeros(full) and not asks_otherwise(full)
    assert not never_asks_zeros(replace(tiny, mix=(draw("uniform"),)))
    again = replace(full, fixed_rows=ROWS)
    assert not never_asks_zeros(again) and asks_otherwise(again)
    mixed = replace(full, mix=(*full.mix, draw("lengths")))
    assert not never_asks_zeros(mixed) and asks_otherwise(mixed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fixed_rows": 0}, "fixed_rows=0: at least 1"),
        ({"fixed_rows": 9, "batch": None}, "needs a batch"),
        ({"fixed_rows": 9, "mix": (draw("uniform"), draw("cascades", stop=0.5))}, "drawn once"),
    ],
)
def test_a_fixed_set_that_does_not_fit_is_refused(tiny, change, message):
    with pytest.raises(InputError, match=message):
        replace(tiny, **change)


def test_the_published_number_of_rows():
    assert recipe("mul4x4-ours-fixed-set").fixed_rows == 80_800
