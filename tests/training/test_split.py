import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.arithmetic.held_out import Split
from interp.arithmetic.tasks import Addition, Multiplication, task
from interp.errors import InputError
from interp.training import draw, recipe
from interp.training.stream import Stream, shares


@given(a=st.integers(0, 10**5 - 1), b=st.integers(0, 10**5 - 1), seed=st.integers(0, 99))
def test_symmetric_problems_are_on_the_same_side(a, b, seed):
    split = Split(0.3, 0.3, seed)
    mixed = task("addsub:5")
    sides = [
        *split.part(Addition(5).problems([a, b], [b, a])),
        *split.part(mixed.problems([a, b], [b, a], operators=["-", "+"])),
        *split.part(Addition(20).problems([a], [b])),  # leading zeros make no other number
    ]
    assert len(set(sides)) == 1


def test_shares_of_the_parts_are_as_asked():
    parts = Split(0.2, 0.05).part(Addition(5).sample(100_000, seed=3))
    assert np.mean(parts == "test") == pytest.approx(0.2, abs=0.005)
    assert np.mean(parts == "validation") == pytest.approx(0.05, abs=0.003)


def test_every_digit_of_wide_numbers_counts():
    a = np.zeros((20, 20), dtype=np.uint8)
    a[np.arange(20), np.arange(20)] = 1
    problems = Multiplication(20, 20).problems(a, np.zeros_like(a))
    sides = [Split(0.5, 0.25, seed).part(problems) for seed in range(16)]
    patterns = {tuple(column) for column in np.stack(sides, axis=1)}
    assert len(patterns) == 20


def test_another_seed_is_another_split():
    problems = Addition(3).sample(2000, seed=0)
    same = Split(0.5, 0.1, 0).part(problems) == Split(0.5, 0.1, 1).part(problems)
    assert 0.3 < same.mean() < 0.6


def test_an_unknown_part_is_refused():
    with pytest.raises(InputError, match="no part 'dev' of the data; there are test, validation"):
        Split(0.1, 0.1).keeps(Addition(1).grid(), "dev")


def test_training_never_sees_what_is_held_out(tiny_add5):
    stream = Stream(tiny_add5)
    batches = [stream.training(step) for step in range(12)]
    seen = {batch.text(row) for batch in batches for row in range(batch.n)}
    for part in ("test", "validation"):
        held_out = stream.held_out(part, 500, seed=1)
        assert set(stream.split.part(held_out)) == {part}
        assert not seen & {held_out.text(row) for row in range(held_out.n)}
        assert held_out.n_distinct == held_out.n


def test_a_small_task_is_held_out_in_full(tiny):
    stream = Stream(tiny)
    grid = stream.task.grid()
    everything = stream.held_out("test", 10**6, seed=0)
    assert everything.n == stream.split.keeps(grid, "test").sum()
    assert stream.held_out("test", 10, seed=0).n == 10


def test_full_batch_is_the_training_part_of_the_grid(tiny):
    stream = Stream(replace(tiny, batch=None))
    training = stream.training(0)
    assert training == stream.training(7)
    assert training.n == training.n_distinct
    held_out = [stream.held_out(part, 10**6, seed=0).n for part in ("test", "validation")]
    assert training.n + sum(held_out) == stream.task.n_problems


@given(weights=st.lists(st.floats(0.01, 5), min_size=1, max_size=5), n=st.integers(1, 1000))
def test_batches_are_divided_in_proportion(weights, n):
    counts = shares(np.array(weights), n)
    exact = np.array(weights) / sum(weights) * n
    assert counts.sum() == n
    assert (np.abs(counts - exact) < len(weights) + 1e-6).all()


def test_a_step_draws_the_same_again_and_another_step_does_not(tiny_add5):
    first, again = Stream(tiny_add5), Stream(tiny_add5)
    first.training(3)  # an earlier draw must not matter
    assert first.training(4) == again.training(4)
    assert first.training(4) != first.training(5)


def test_windows_make_a_curriculum(tiny):
    mix = (draw("carries", stop=0.5), draw("uniform", start=0.5))
    by_half = Stream(replace(tiny, mix=mix, steps=10, batch=3000))
    counts = [(by_half.training(step).columns("carry") > 0).sum(1) for step in (0, 9)]
    shares_of_two = [np.mean(count == 2) for count in counts]
    assert shares_of_two[0] == pytest.approx(1 / 3, abs=0.03)
    assert shares_of_two[1] == pytest.approx(0.25, abs=0.03)


def test_a_sampler_that_finds_nothing_to_train_on_says_so(tiny):
    one = replace(
        tiny,
        task="add:1",
        mix=(draw("uniform"),),
        test_share=0.98,
        validation_share=0.0199,
        batch=64,
    )
    with pytest.raises(InputError, match="too few train problems of add:1: give it a wider choice"):
        Stream(one).training(0)


@pytest.mark.parametrize(
    ("name", "step", "digest"),
    [
        ("add5", 100, "62ac56bebbec577f"),
        ("addsub5", 7, "3dd11a5d584c9da8"),
        ("mod113", 3, "2c7ca4551cdea058"),
        ("mul4x4-icot", 50, "2586d27fc7fbe677"),
    ],
)
def test_the_rows_of_a_step_stay_what_shipped_models_were_trained_on(
    name: str, step: int, digest: str
) -> None:
    """A resumed or repeated training draws them again."""
    rows = Stream(recipe(name)).training(step).rows
    assert hashlib.blake2b(rows.tobytes(), digest_size=8).hexdigest() == digest
