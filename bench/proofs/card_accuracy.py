"""Every shipped card's accuracy, measured again by asking the model: greedy answers, read as text.

Claim: `arithmoscope behaviour --model NAME --n 10000 --seed 1` gives the card's accuracy within
its interval. Both are estimates, so what is asserted is that their 95 % intervals overlap; whether
the new estimate itself lies in the card's interval is told beside it.

The card's problems are held out from training and these are drawn from the whole task: a model that
had learnt its training problems by heart would do better here.
"""

from __future__ import annotations

import argparse
from typing import Any

import interp
from bench.harness import record
from interp.models.fixtures import fixture_folders, read_card


def reproduce(name: str, n: int, seed: int) -> dict[str, Any]:
    """The card's accuracy of a shipped model beside the one measured here."""
    card = (read_card(fixture_folders()[name]) or {})["accuracy"]
    model = interp.load(name)
    found = interp.behaviour.accuracy(model, model.task or "", n=n, seed=seed)
    share, low, high = (found.metrics[f"exact_accuracy{end}"] for end in ("", "_low", "_high"))
    return {
        "hash": model.hash,
        "task": found.task,
        "format": found.format,
        "card": {key: card[key] for key in ("correct", "n", "share", "low", "high")},
        "measured": {"n": found.n, "share": share, "low": low, "high": high},
        "in_the_cards_interval": card["low"] <= share <= card["high"],
        "intervals_overlap": low <= card["high"] and card["low"] <= high,
        "code": found.code,
    }


def main() -> None:
    """Ask every shipped model, write what it said, and fail where one contradicts its card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--models", nargs="*", default=list(fixture_folders()))
    options = parser.parse_args()
    models = {name: reproduce(name, options.n, options.seed) for name in options.models}
    record("card_accuracy", options.seed, {"models": models})
    wrong = [name for name, found in models.items() if not found["intervals_overlap"]]
    assert not wrong, f"not what the card says: {', '.join(wrong)}"


if __name__ == "__main__":
    main()
