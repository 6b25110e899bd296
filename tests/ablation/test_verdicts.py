"""What Results say in a sentence: each claim with its control and its interval."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from interp.ablation.results.compare import AblationComparison
from interp.ablation.results.evaluate import AblationScore
from interp.ablation.results.grid import AblationGrid
from interp.results.grid import Grid
from tests.figures import ablation_results as made


def grid_of(keeps: float, constant: float) -> AblationGrid:
    """Width 0 keeps what the constant answer does, width 1 and more keep `keeps`."""
    result = made.grid(4, kl=False)
    exists = np.isfinite(result.faithfulness.values)
    values = np.where(exists, keeps, np.nan)
    values[:, 0] = constant
    axes = result.faithfulness.axes
    return replace(result, faithfulness=made.banded(values, *axes), constant=constant)


def test_a_cell_no_better_than_a_constant_answer_is_none_that_keeps_answers() -> None:
    found = grid_of(keeps=0.95, constant=0.95)
    assert found.not_above_constant.sum() == np.isfinite(found.faithfulness.values).sum()
    assert np.isnan(found.metrics["longest_wait"])
    told = str(found.verdict)
    assert told.startswith("No cell keeps 90 % of the right answers and is surely above")
    assert "the best keeps 95 % (90 to 100 %), the best constant answer 95 %" in told


def test_the_cell_that_is_told_of_is_not_crossed_out() -> None:
    found = grid_of(keeps=0.99, constant=0.91)
    assert (found.metrics["longest_wait"], found.metrics["narrowest_width"]) == (3, 1)
    told = str(found.verdict)
    assert "wait through 3 layers (indices 0 to 2) and then 1 layers transfer (index 3)" in told
    assert ": 99 % (94 to 100 %), the best constant answer 91 %." in told
    wait, width = (found.faithfulness.axis(name).labels for name in ("wait", "width"))
    assert not found.not_above_constant[wait.index("3"), width.index("1")]
    assert found.not_above_constant[wait.index("4"), width.index("0")]


def compared(*statuses: str) -> AblationComparison:
    """Alternatives without a schedule, each with its status as reason."""
    result = made.comparison()
    rows = result.table.iloc[: len(statuses)].copy()
    rows[["faithfulness", "low", "high"]] = np.nan
    return replace(result, table=rows.assign(status=statuses, reason=[f"{s}!" for s in statuses]))


def test_only_searches_that_came_to_their_end_say_that_there_is_no_subgraph() -> None:
    assert str(compared("none", "none").verdict).startswith("Under none of these alternatives is")
    told = str(compared("none", "uninformative", "uninformative", "refused").verdict)
    assert told == (
        "Whether there is such a subgraph is open. Of 4 alternatives, 1 without such a subgraph "
        "(none!); 1 refused (refused!); 2 uninformative (uninformative!)."
    )
    mixed = str(made.comparison().verdict)
    assert "of 12 alternatives keep more than the best constant answer (12 %)" in mixed
    assert "1 uninformative" in mixed and "1 refused (these prompts hold no such" in mixed


def test_searches_are_told_by_how_deep_tokens_wait_and_not_by_what_is_kept() -> None:
    """A search that finds no wait at all may keep the most."""
    result = made.comparison()
    shallow = result.table["replacement"] == "own"
    table = result.table.iloc[:6].assign(wait=np.where(shallow[:6], 0, 14))
    table.loc[shallow[:6], ["faithfulness", "low", "high"]] = 1.0
    searched = replace(result, table=table)
    told = str(searched.verdict)
    assert told.startswith("Layers that tokens may wait through, and layers of transfer behind")
    others = "zero full-peek, mean full-peek, role-mean full-peek, resample full-peek, cama"
    assert f": 14 and 3 with {others} full-peek; 0 and 3 with own full-peek." in told
    assert "Most is kept" not in told
    m = searched.metrics
    assert (m["wait own full-peek"], m["wait cama full-peek"]) == (0, 14)
    assert m["transfer_layers cama full-peek"] == 3
    assert np.isnan(result.metrics["wait cama window:2"])  # uninformative
    scored = replace(searched, settings=dict(result.settings) | {"schedule": made.SPEC})
    assert str(scored.verdict).startswith("Most is kept with own and full-peek: 100 %")


@pytest.mark.parametrize(
    ("kept", "target", "said"),
    [
        (0.95, 0.97, "95 % of the right answers stay right (85 to 99 %, below the target of 97 %"),
        (0.95, 0.9, "stay right (85 to 99 %, not surely at the target of 90 %"),
        (0.95, 0.8, "stay right (85 to 99 %, above the target of 80 %"),
    ],
)
def test_what_a_search_found_is_held_to_its_target_on_prompts_that_it_did_not_see(
    kept: float, target: float, said: str
) -> None:
    result = made.found()
    scores = result.scores.assign(
        faithfulness=kept, faithfulness_low=kept - 0.1, faithfulness_high=kept + 0.04
    )
    told = str(replace(result, scores=scores, target=target).verdict)
    assert said in told
    assert "below the target" in told or kept >= target


def test_the_layer_that_costs_most_is_told_with_its_interval() -> None:
    result = made.removal(20)
    told = str(result.verdict)
    assert "layer 14 alone, the one that costs most of 20, the full model keeps 30 % (25 to" in told
    assert "intervals of 3 layers lie below 100 %" in told  # 0.95 reaches up to it
    one_lost = np.where(np.arange(20) == 3, 0.99, 1.0)
    nearly = replace(result, full=made.banded(one_lost, *result.full.axes))
    assert nearly.metrics["worst_layer"] == -1
    assert "surely necessary. Without the transfer of layer 3 alone" in str(nearly.verdict)
    assert "99 % (94 to 100 %)" in str(nearly.verdict)


def test_every_result_tells_of_a_sink_that_differs_between_prompts() -> None:
    few = replace(made.grid(4), n_right_distinct=12)
    for result in (
        made.score(), made.grid(4), few, made.removal(), made.found(), made.refused(),
        made.comparison(),
    ):  # fmt: skip
        said = "The sink differs between prompts, and every token sees it"
        assert said not in str(result.verdict)
        told = replace(result, settings=dict(result.settings) | {"sink_differs": True})
        assert str(told.verdict).count(said) == 1, type(result)
    moved = made.transferred()
    assert "sink" not in str(moved.verdict)
    rows = moved.table.assign(sink_differs=[False, True, False, True, False, False])
    said = "The sink differs between prompts of af1-verbal, af1-instruction, and every token"
    assert said in str(replace(moved, table=rows).verdict)


def test_removal_warns_of_both_errors() -> None:
    """A layer without effect may be doubled; one with an effect may move something else."""
    without, with_effect = made.removal().notes
    assert "another may move the same" in without
    assert "moves operands" in with_effect and "inside the wait can cost much" in with_effect


def few_right(difference: np.ndarray, ablated: np.ndarray) -> AblationScore:
    """12 of 80 prompts right."""
    right = np.arange(80) < 12
    return replace(
        made.score(), right=right, kept=right, difference=difference, difference_ablated=ablated
    )


def test_where_few_are_right_a_score_concludes_from_logits() -> None:
    rng = np.random.default_rng(0)
    full, noise = rng.normal(5, 1, 80), rng.normal(0, 1, 80)
    for ablated, said in (
        (full / 2, "50 % (50 to 50 %) of the margin"),
        (noise, "is left, perhaps no more than a constant output leaves, over all 80 prompts; KL"),
    ):
        told = str(few_right(full, ablated).verdict)
        assert told.startswith("The full model gets 12 distinct prompts right, too few to tell")
        assert said in told
    unsure = few_right(noise, noise)
    assert np.isnan(unsure.metrics["logit_difference_low"])
    assert "nothing can be told by logits" in str(unsure.verdict)
    assert "above 0; KL from the full model" in str(unsure.verdict)


def test_where_few_are_right_a_grid_concludes_from_logits() -> None:
    few = replace(made.grid(4), n_right_distinct=12)
    values = np.where(np.isfinite(few.faithfulness.values), 0.5, np.nan)
    values[2, 1] = 0.95
    axes = few.faithfulness.axes
    kept = replace(few, logit_difference=Grid(values, axes, values - 0.1, values + 0.1))
    told = str(kept.verdict)
    assert "With 2 layers of waiting and 1 of transfer behind them, chosen on these" in told
    assert "95 % (85 to 105 %) of the margin" in told and " nats." in told
    lost = replace(few, logit_difference=Grid(values - 0.4, axes, values - 0.6, values))
    assert "In the best cell (none keeps 90%)" in str(lost.verdict)
    unknown = replace(few, logit_difference=Grid(values, axes))
    assert "nothing can be told by logits" in str(unknown.verdict)
