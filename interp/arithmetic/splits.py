"""Disjoint splits of problems for selection and scoring."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from interp.arithmetic.counterfactuals import check_operand
from interp.arithmetic.problems import Problems, as_keys
from interp.arithmetic.seeds import generator
from interp.errors import InputError


def split_by_pair(
    problems: Problems, shares: Sequence[float], seed: int, *, ordered: bool = False
) -> tuple[Problems, ...]:
    """Parts that share no problem: rows with the same operands and operators stay together.

    `shares` are the parts' shares of the *distinct* problems and add up to 1. Since 12 + 34 gives
    34 + 12 away, problems that differ only by exchanging operands across + or * count as the same;
    `ordered=True` tells them apart (the split of Nanda et al., 2301.05217). Rows keep their order.

    Raises InputError where the shares make no sense or a part would be empty.
    """
    rows = problems.rows if ordered else _exchanged(problems)
    return _split(problems, as_keys(rows), shares, seed, "distinct problems")


def split_by_operand(
    problems: Problems, shares: Sequence[float], seed: int, operand: int = 0
) -> tuple[Problems, ...]:
    """Parts that share no value of one operand, to test generalisation to unseen numbers.

    `shares` are the parts' shares of that operand's distinct values and add up to 1. The other
    operands' values do occur in several parts. Rows keep their order.

    Raises InputError where the operand does not exist, the shares make no sense, or a part would
    be empty.
    """
    check_operand(problems, operand)
    keys = as_keys(problems.operands[operand])
    return _split(problems, keys, shares, seed, f"values of operand {operand}")


def _exchanged(problems: Problems) -> NDArray[np.uint8]:
    """Rows of bytes in which operands that may be exchanged stand in one order."""
    operands = np.stack(_same_width(problems.operands), axis=1)
    minus = np.hstack([np.zeros((problems.n, 1), dtype=bool), problems.operators == "-"])
    # Subtracted operands are exchangeable among themselves: the mark keeps the two kinds apart.
    marked = np.concatenate([minus[:, :, None].astype(np.uint8), operands[:, :, ::-1]], axis=2)
    order = np.argsort(_item_keys(marked), axis=1)
    ordered = np.take_along_axis(marked, order[:, :, None], axis=1)
    return ordered.reshape(problems.n, -1)


def _same_width(operands: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    width = max(x.shape[1] for x in operands)
    return [np.pad(x, ((0, 0), (0, width - x.shape[1]))) for x in operands]


def _item_keys(marked: NDArray[np.uint8]) -> NDArray[np.int64]:
    """A rank for each operand `[n, operands]`; equal operands rank equally."""
    n, operands, width = marked.shape
    keys = as_keys(marked.reshape(n * operands, width))
    return np.unique(keys, return_inverse=True)[1].reshape(n, operands)


def _split(
    problems: Problems, keys: NDArray[np.void], shares: Sequence[float], seed: int, what: str
) -> tuple[Problems, ...]:
    _check_shares(shares)
    groups, inverse = np.unique(keys, return_inverse=True)
    cuts = np.round(np.cumsum(shares) * len(groups)).astype(int)
    sizes = np.diff(cuts, prepend=0)
    if (sizes == 0).any():
        raise InputError(
            f"{len(groups)} {what} cannot be split into shares {tuple(shares)} without an empty "
            "part: draw more problems, or change the shares"
        )
    part_of_group = np.repeat(np.arange(len(sizes)), sizes)
    part = generator(seed).permutation(part_of_group)[inverse]
    return tuple(problems[part == i] for i in range(len(sizes)))


def _check_shares(shares: Sequence[float]) -> None:
    values = np.asarray(shares, dtype=float)
    if values.ndim != 1 or len(values) == 0 or (values <= 0).any() or abs(values.sum() - 1) > 1e-9:
        raise InputError(f"shares must be positive and add up to 1, not {shares!r}")
