"""Mistakes in the carry verdict, attention patterns and trees (`mutations`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from interp.heads.nines import Sums
from tests.planted.mutations import Mutation

Function = Callable[..., Any]
_CARRY = "interp.heads._carry"
_ATTENTION, _TREE = "interp.heads._attention", "interp.heads._tree"
_PRODUCTS = "interp.heads.products"


def _true_digit_printed(forced: Function) -> Function:
    def unforced(sums: Sums, at: Any, **options: Any) -> Any:
        _, longer = forced(sums, at, **options)
        return sums.digit[at.row], longer

    return unforced


def _next_digit_printed(forced: Function) -> Function:
    def rolled(sums: Sums, at: Any, **options: Any) -> Any:
        digits, longer = forced(sums, at, **options)
        changed = digits != sums.digit[at.row]
        return np.where(changed, (digits + 1) % 10, digits).astype(np.uint8), longer

    return rolled


def _column_below_read(longest_runs: Function) -> Function:
    def shifted(problems: Any) -> Any:
        found = longest_runs(problems)
        return found._replace(upper=np.maximum(found.upper - 1, 1))

    return shifted


def _digits_swapped(measured: Function) -> Function:
    def swapped(model: Any, batch: Any, plan: Any, **options: Any) -> Any:
        table = measured(model, batch, plan, **options)
        return table.assign(used=np.where(table["used"] < 0, -1, 1 - table["used"]))

    return swapped


def _rolled(axis: int) -> Callable[[Function], Function]:
    """A wrapper of `read_patterns` that takes the next layer, head, query or key for each."""

    def wrap(read_patterns: Function) -> Function:
        def rolled(*args: Any, **options: Any) -> Any:
            found = read_patterns(*args, **options)
            return found._replace(plain=np.roll(found.plain, 1, axis))

        return rolled

    return wrap


def _stairs_the_other_way(stairs: Function) -> Function:
    def turned(*args: Any) -> Any:
        return ((name, {-o: steps for o, steps in by.items()}) for name, by in stairs(*args))

    return turned


def _effects(change: Function) -> Callable[[Function], Function]:
    def wrap(cut_effects: Function) -> Function:
        def changed(*args: Any, **options: Any) -> Any:
            margin, effect = cut_effects(*args, **options)
            return margin, change(effect)

        return changed

    return wrap


def _own_digit_forgotten(meetings: Function) -> Function:
    return lambda site, here: meetings("", here)


def _nothing_fetched(tree_of: Function) -> Function:
    def own(edges: Any, asking: str) -> Any:
        found = tree_of(edges, asking)
        return found._replace(cached=tuple(c for c in found.cached if c.site == asking))

    return own


TREES: tuple[Mutation, ...] = (
    Mutation("carry", "the true digit printed", Sums, "forced", _true_digit_printed),
    Mutation("carry", "another wrong digit printed", Sums, "forced", _next_digit_printed),
    Mutation("carry", "columns off by one", _CARRY, "longest_runs", _column_below_read),
    Mutation("carry", "carries swapped", _CARRY, "_measured", _digits_swapped),
    *(
        Mutation("attention", f"{axis}s off by one", _ATTENTION, "read_patterns", _rolled(place))
        for place, axis in enumerate(("layer", "head", "query", "key"), 1)
    ),
    Mutation("attention", "offset negated", _ATTENTION, "_stairs", _stairs_the_other_way),
    Mutation("tree", "sign flipped", _TREE, "cut_effects", _effects(lambda x: -x)),
    Mutation(
        "tree", "edges off by one", _TREE, "cut_effects", _effects(lambda x: np.roll(x, 1, 1))
    ),
    Mutation(
        "tree", "digits off by one", _TREE, "cut_effects", _effects(lambda x: np.roll(x, 1, 2))
    ),
    Mutation("tree", "own digit forgotten", _PRODUCTS, "_meetings", _own_digit_forgotten),
    Mutation("tree", "nothing fetched", _TREE, "tree_of", _nothing_fetched),
)
