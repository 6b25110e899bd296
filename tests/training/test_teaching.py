"""The recipes of sample sizes, and their curves."""

import json
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

from bench.pages import filled
from bench.proofs import teaching_arithmetic as proof
from bench.proofs.kept_runs import Place
from interp.arithmetic.digits import to_integers
from interp.models.fixtures import fixtures_root
from interp.training import Recipe, recipe, recipe_names, teaching
from interp.training.evaluation import n_carries
from interp.training.stream import Stream


def test_formats_sizes_and_seeds_are_crossed():
    runs = teaching.RUNS.values()
    of_sizes = [made for made in runs if made.n_ctx is None]
    assert len(of_sizes) == 3 * 6 * 3
    assert len(teaching.RUNS) == len(of_sizes) + 2 * 3
    assert len({(m.format, m.fixed_rows, m.seed) for m in of_sizes}) == len(of_sizes)
    assert not set(teaching.RUNS) & set(recipe_names())


@pytest.mark.parametrize("name", teaching.RUNS)
def test_every_run_is_found_by_name_and_survives_json(name):
    made = recipe(name)
    assert made.name == name
    assert Recipe.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_a_format_is_all_that_differs():
    plain, reverse, pad = (teaching.sample_size(form, 4000) for form in teaching.FORMATS)
    for other, more in ((reverse, set()), (pad, {"objective"})):
        differ = {f.name for f in fields(plain) if getattr(plain, f.name) != getattr(other, f.name)}
        assert differ == {"name", "format"} | more


def test_the_examples_are_balanced_by_length_and_carries():
    problems = Stream(teaching.sample_size("plain", 10_000)).fixed().problems
    a, b = (to_integers(operand) for operand in problems.operands)
    longest = np.maximum(a, b)
    assert len(problems) == 10_000
    assert 60 <= (longest < 10).sum() <= 100  # all there are, but for those held out
    assert 950 <= (longest < 100).sum() <= 1150
    assert ((counts := np.bincount(n_carries(problems))) > 2000).all() and len(counts) == 4


def card(share: float) -> dict:
    interval = {"share": share, "low": share - 0.01, "high": share + 0.01, "n": 2000}
    return {"design": {"decoded": {"add:3": interval | {"readable": 1.0}}}}


def test_the_curves_are_those_of_the_cards(tmp_path):
    place = Place(tmp_path / "runs", tmp_path / "kept")
    for name, share in (("teach-plain-500", 0.2), ("teach-plain-500-s1", 0.4)):
        (place.kept / name).mkdir(parents=True)
        (place.kept / name / "card.json").write_text(json.dumps(card(share)))
    found = proof.curves(place)
    assert found[["format", "examples", "seed"]].to_numpy().tolist() == [
        ["plain", 500, 0], ["plain", 500, 1],
    ]  # fmt: skip
    table = proof.summary(found)
    assert table.loc[("add:3", "plain", 500), ["median", "min", "max", "count"]].tolist() == [
        30, 20, 40, 2,
    ]  # fmt: skip
    drawn = proof.figure(found)
    lines = {trace.name: list(trace.y) for trace in drawn.data if trace.mode == "lines"}
    assert lines["plain"] == pytest.approx([30])


def test_the_page_is_what_the_cards_say():
    page = proof.PAGE.read_text(encoding="utf-8")
    place = Place(proof.ROOT / "runs", fixtures_root() / "teaching")
    assert filled(page, proof.told(proof.curves(place))) == page


def test_rows_of_the_page_by_hand():
    def run(form: str, examples: int, seed: int, task: str, share: float) -> dict:
        return {"format": form, "examples": examples, "seed": seed, "task": task, "share": share,
                "trained": share / 2}  # fmt: skip

    found = pd.DataFrame(
        [
            *(run("plain", 500, seed, "add:3", 0.1 + seed / 5) for seed in range(3)),
            *(run("reversed", 2000, seed, "add:3", 0.995) for seed in range(3)),
            run("reversed", 500, 0, "add:3", 0.5), run("spaces", 10_000, 0, "add:4", 0.25),
        ]
    )  # fmt: skip
    told = proof.told(found)
    plain, backwards, pad, _, said = told["sizes"].splitlines()[2:]
    assert plain == "| plain | 30.0 (10.0–50.0) | — | — | — | — | — |"
    assert backwards.startswith("| reversed | 50.0 (50.0–50.0, 1 of 3 seeds) | — | 99.5 (99.5–")
    assert pad == "| scratchpad | — | — | — | — | — | — |"
    assert said == (
        "`plain` reaches 99 % at none of its 1 sizes so far; its best is 30.0 %, with 500 examples."
        " `reversed` reaches 99 % from 2,000 examples on. `scratchpad` has not run yet."
    )
    assert told["trained"].splitlines()[2].startswith("| plain | 15.0 (5.0–25.0) |")
    assert told["blanks"].splitlines()[-1] == (
        "| `random-spaces` | — | 25.0 (25.0–25.0, 1 of 3 seeds) |"
    )
