"""SmolLM2's most effective heads, the ones that the recipe `smollm2-arith-heads` trains.

First-order mean ablation on training problems of `smollm2-arith`'s tasks and styles
(`interp.training.adapters.head_scores`). Claim: the heads of the recipe are those with the highest
scores, and the two halves of the prompts agree on the order.
"""

from __future__ import annotations

import argparse

import interp
from bench.harness import record
from interp.training import AdapterRecipe
from interp.training.adapters.head_scores import head_scores


def main() -> None:
    """Score all heads, compare with the recipe's and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=8, help="problems of each task in each style")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    recipe = interp.training.recipe("smollm2-arith-heads")
    assert isinstance(recipe, AdapterRecipe)
    table = head_scores(interp.load(recipe.base), recipe, n=options.n, seed=options.seed)
    best = table.head(len(recipe.heads))
    same = set(zip(best["layer"].tolist(), best["head"].tolist(), strict=True)) & set(recipe.heads)
    halves = table[["first_half", "second_half"]].rank().corr().iloc[0, 1]
    body = {
        "n": options.n,
        "rank_correlation_of_halves": float(halves),
        "heads_in_the_recipe": len(recipe.heads),
        "of_which_among_the_best": len(same),
        "scores": table.head(60).to_dict("records"),
    }
    record("effective_heads", options.seed, body)
    assert len(same) == len(recipe.heads)
    assert halves > 0.8


if __name__ == "__main__":
    main()
