"""A column of a 2×2-digit product, as a tree of two levels.

    c_1 = (a_1 b_0 + a_0 b_1 + ⌊a_0 b_0 / 10⌋) mod 10

Level one, at the digits of b: heads bring digits of a, neurons multiply (one for each pair of
digits), and the products stay there. Level two, where c_1 is predicted: heads fetch the products,
a table takes the last digit of their sum. After the trees of Bai et al. (arXiv 2510.00184).
"""

from itertools import product

import numpy as np

from interp.planted.circuit import DIGIT, Circuit, Sizes, operand_offsets
from interp.planted.draft import Draft, Move
from interp.planted.neurons import Neuron, Row, both, table

_SCALE = 1 / 8  # length of one unit of a product: 81 is 10 long

LAYOUT = ("bos", "a0", "a1", "op", "b0", "b1", "eq", "c0", "c1", "c2", "c3")
_B0, _B1, _ASK = 4, 5, 7  # c_1 is predicted at c_0


def column(rng: np.random.Generator, sizes: Sizes) -> Circuit:
    """`mul:2x2` in the format `reversed`; of its answer only c1."""
    draft = Draft(rng, sizes.layers, sizes.family)
    digit, sign = draft.block("digit", 10), draft.block("sign", 2)
    own: list[Row] = [{feature: 1.0} for feature in digit]
    cache_layer = draft.layer(0, sizes.layers - 2)
    sum_layer = draft.layer(cache_layer + 1, sizes.layers - 1)

    terms: Row = {}
    # Each head's digit of a, its target digit of b, the distance, and what is kept of both.
    for offset, site, i, j, tens in ((2, _B0, 1, 0, False), (3, _B0, 0, 0, True),
                                     (4, _B1, 0, 1, False)):  # fmt: skip
        other = draft.block(f"a[{i}] at b[{j}]", 10)
        draft.mover(
            draft.layer(0, cache_layer),
            offset,
            [Move(x, y) for x, y in zip(own, other, strict=True)],
            f"a[{i}]",
            [site],
        )
        name = f"carry[{i}]" if tens else f"product[{i},{j}]"
        kept, fetched = draft.feature(name, _SCALE), draft.feature(f"fetched {name}", _SCALE)
        draft.add(cache_layer, _products(other, digit, kept, tens))
        draft.mover(
            draft.layer(cache_layer + 1, sum_layer),
            _ASK - site,
            [Move({kept: 1.0}, fetched)],
            name,
            [_ASK],
        )
        terms = {**terms, fetched: 1.0}

    answer = draft.block("answer", 10)
    highest = 2 * 81 + 8
    draft.add(sum_layer, table(terms, highest, lambda t: {answer[t % 10]: 1.0}))
    return Circuit(
        draft=draft,
        task="mul:2x2",
        format="reversed",
        pattern=DIGIT,
        layout=LAYOUT,
        answers=("c1",),
        tokens={str(d): {digit[d]: 1.0} for d in range(10)}
        | {"*": {sign[0]: 1.0}, "=": {sign[1]: 1.0}},
        evidence={str(d): {answer[d]: 1.0} for d in range(10)},
        reads=own,
        read_scale=1.0,
        looks=operand_offsets(LAYOUT, ("c1",)),
        facts={
            "layers": {"cache": cache_layer, "sum": sum_layer},
            "readable_from": sum_layer,
            "saturated": True,
            "tree": {
                "c1": ["product[1,0]", "product[0,1]", "carry[0]"],
                "product[1,0]": ["a[1]", "b[0]"],
                "product[0,1]": ["a[0]", "b[1]"],
                "carry[0]": ["a[0]", "b[0]"],
            },
        },
    )


def _products(other: list[int], own: list[int], kept: int, tens: bool) -> list[Neuron]:
    """A neuron for each pair of digits with a non-zero product, or non-zero tens digit."""
    made: list[Neuron] = []
    for x, y in product(range(10), repeat=2):
        worth = x * y // 10 if tens else x * y
        if worth:
            made += both({other[x]: 1.0}, {own[y]: 1.0}, {kept: float(worth)})
    return made
