"""Attention trees of products, by attention and by the effect of cut edges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from interp.results.calls import asked_code
from interp.results.result import Result

ROUTES = ("effect", "attention")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class AttentionTree(Result):
    """The tree of each answer digit of a product.

    Further figures: "cK", the tree of answer digit K by effect beside the one by attention.

    Args:
        digits: the digits of the two operands.
        asking: answer digit → the site that predicts it.
        sites: all roles in order of print.
        edges: every candidate edge (layer, head, query, key, mean attention) for each answer digit:
            `effect`, the fall of its margin by the cut in logits; `share` of the margin; `q`; and
            whether it is `kept`.
        products: each product of each tree: route, answer_digit, site, layer, heads, i, j, and
            kind: "column" where i + j = k, "carry" below, "extra" above.
        links: the edges of each tree: route, answer_digit, part ("cache": a digit to a site,
            "fetch": a site to the answer digit), layer, head, query, key, attention, share.
        scores: route, answer_digit, number of `products`; `coverage` of {i + j = k}, and `chance`,
            that of as many random products; `carry_coverage` of {i + j < k}; `extra` products;
            `sites`; `stability`, the mean Jaccard of the products over resampled prompts with its
            2.5th and 97.5th percentile, and `stability_random`, that of random sets of this size.
    """

    analysis: ClassVar[str] = "attention_tree"
    notes: ClassVar[tuple[str, ...]] = (
        "that a site holds the product of the digits that meet there: probes show what it holds",
        "edges whose work another head can do: they have no effect alone",
        "what a site passes on through a second site",
    )
    meanings: ClassVar[dict[str, str]] = {
        "coverage": "mean share of the products i + j = k in the trees by effect, over the "
        "answer digits",
        "coverage_chance": "the same for as many products at random",
        "coverage_attention": "coverage of the trees by attention alone",
        "coverage_attention_chance": "the same for as many products at random",
        "carry_coverage": "mean share of the products i + j < k in the trees by effect",
        "extra": "mean number of products with i + j > k in the trees by effect",
        "extra_attention": "the same of the trees by attention",
        "stability": "mean Jaccard of a tree by effect with those of resampled prompts",
        "stability_random": "the same of random sets of the same size",
        "coverage_{digit}": "share of its column's products in the tree of {digit}, by effect",
    }

    digits: tuple[int, int]
    asking: Mapping[str, str]
    sites: tuple[str, ...]
    edges: pd.DataFrame
    products: pd.DataFrame
    links: pd.DataFrame
    scores: pd.DataFrame

    @property
    def frame(self) -> pd.DataFrame:
        """The scores, one row for each route and answer digit."""
        return self.scores

    def pairs(self, answer_digit: str, route: str = "effect") -> set[tuple[int, int]]:
        """The products of one tree as pairs (i, j)."""
        rows = self.products[
            (self.products["answer_digit"] == answer_digit) & (self.products["route"] == route)
        ]
        return set(zip(rows["i"].tolist(), rows["j"].tolist(), strict=True))

    @property
    def metrics(self) -> dict[str, float]:
        """Coverage beside chance, extra products, stability."""
        by = {route: self.scores[self.scores["route"] == route] for route in ROUTES}
        effect, attention = by["effect"], by["attention"]
        return {
            "coverage": float(effect["coverage"].mean()),
            "coverage_chance": float(effect["chance"].mean()),
            "coverage_attention": float(attention["coverage"].mean()),
            "coverage_attention_chance": float(attention["chance"].mean()),
            "carry_coverage": float(effect["carry_coverage"].mean()),
            "extra": float(effect["extra"].mean()),
            "extra_attention": float(attention["extra"].mean()),
            "stability": float(effect["stability"].mean()),
            "stability_random": float(effect["stability_random"].mean()),
            **{
                f"coverage_{role}": float(value)
                for role, value in zip(effect["answer_digit"], effect["coverage"], strict=True)
                if value == value
            },
        }

    @property
    def interval(self) -> str:
        return f"stability over {self.settings['resamples']} bootstrap samples of the prompts"

    @property
    def code(self) -> str:
        names = ("least_attention", "least_effect", "resamples")
        return asked_code(
            self.model,
            self.settings,
            "interp.heads.tree",
            format=self.settings["format"],
            seed=self.seed,
            **{name: self.settings[name] for name in names},
        )

    def conclusion(self) -> str:
        found = self.metrics
        return (
            f"By the effect of cut edges, the trees hold {found['coverage']:.0%} of the products "
            f"of their column ({found['coverage_chance']:.0%} at random), and {found['extra']:.1f} "
            f"a digit that no answer needs. By attention alone it is "
            f"{found['coverage_attention']:.0%} ({found['coverage_attention_chance']:.0%} at "
            f"random) and {found['extra_attention']:.1f}. Resampled prompts give the same products "
            f"by {found['stability']:.2f} (Jaccard; random sets {found['stability_random']:.2f})."
        )
