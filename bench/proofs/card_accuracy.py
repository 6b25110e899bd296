"""Replicate the accuracy on every shipped card from greedy answers, read as text.

Claim: `arithmoscope behaviour --model NAME --n 10000 --seed 1` gives the card's accuracy within its
interval. Both are estimates: of two samples of one size, one lies outside the other's interval in
one of six cases though the model is the same, and a faultless sample lies outside that of 9,998 in
10,000. So what is asserted is that the new estimate lies in the card's interval, or else that
Fisher's exact test does not tell the two counts apart at 5 %. That is stricter than overlapping
intervals, which still overlap at p = 0.006. `outside` names the models of the second kind: of them
the claim as it stands is not true.

Both are of problems held out from training: the card's by the logits of the true digits, in
training, these by writing the answer and reading it. Where a task is small the two are of many of
the same problems: of mod:113 of all, and a card of mul:5x1 is of all 62,937, of which these are
10,000, so that its interval is narrower than they can hit.
"""

from __future__ import annotations

import argparse
from typing import Any

from scipy.stats import fisher_exact

import interp
from bench.harness import record
from interp.models.fixtures import fixture_folders, read_card

LEVEL = 0.05  # of the test that a card is held to where the new estimate is outside its interval


def reproduce(name: str, n: int, seed: int) -> dict[str, Any]:
    """Measure a shipped model's accuracy beside its card's."""
    card = (read_card(fixture_folders()[name]) or {})["accuracy"]
    model = interp.load(name)
    found = interp.behaviour.accuracy(model, model.task or "", n=n, seed=seed)
    share, low, high = (found.metrics[f"exact_accuracy{end}"] for end in ("", "_low", "_high"))
    correct = round(share * found.n)
    counts = [[correct, found.n - correct], [card["correct"], card["n"] - card["correct"]]]
    p = float(fisher_exact(counts).pvalue)
    inside = card["low"] <= share <= card["high"]
    return {
        "hash": model.hash,
        "task": found.task,
        "format": found.format,
        "card": {key: card[key] for key in ("correct", "n", "share", "low", "high")},
        "measured": {"correct": correct, "n": found.n, "share": share, "low": low, "high": high},
        "in_the_cards_interval": inside,
        "intervals_overlap": low <= card["high"] and card["low"] <= high,
        "p_of_a_difference": p,
        "reproduced": inside or p >= LEVEL,
        "code": found.code,
    }


def main() -> None:
    """Measure every shipped model, write the results, and fail if one contradicts its card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--models", nargs="*", default=list(fixture_folders()))
    options = parser.parse_args()
    models = {name: reproduce(name, options.n, options.seed) for name in options.models}
    outside = [name for name, found in models.items() if not found["in_the_cards_interval"]]
    record("card_accuracy", options.seed, {"outside": outside, "models": models})
    wrong = [name for name, found in models.items() if not found["reproduced"]]
    assert not wrong, f"not what the card says: {', '.join(wrong)}"


if __name__ == "__main__":
    main()
