"""Validation of an estimator's rows and labels, row blocks, progress and cancellation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import NotFittedError
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from interp.errors import InputError

if TYPE_CHECKING:  # the engine brings torch, which no estimator needs
    from interp.engine.requests import Cancel


Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

BLOCK = 2**19  # entries of a block of rows: 4 MiB in float64, which stays in a core's cache
REMEDY = "Leave out the rows or positions that have no activation there, or read them again"


def training(estimator: Any, X: ArrayLike, y: ArrayLike | None, **options: Any) -> Any:
    """Rows and labels to fit to, at least two, by scikit-learn's rules."""
    options = {"dtype": (np.float64, np.float32), "ensure_min_samples": 2, **options}
    X, y = readable("activations", X), None if y is None else readable("targets", y)
    with _remedies():
        return validate_data(estimator, X, y, **options)


def training_classes(estimator: Any, X: ArrayLike, y: ArrayLike | None) -> Any:
    """Rows and class labels to fit to, at least two, by scikit-learn's rules."""
    X, y = training(estimator, X, y)
    with _remedies():
        check_classification_targets(y)
    return X, y


def unseen(estimator: Any, X: ArrayLike) -> Any:
    """Rows to predict for, of the features that `estimator` was fitted to."""
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        name = type(estimator).__name__
        raise Unfitted(f"this {name} is not fitted yet: call fit(X, y) first.") from error
    X = readable("activations", X)
    with _remedies():
        return validate_data(estimator, X, dtype=(np.float64, np.float32), reset=False)


class Unfitted(InputError, NotFittedError):
    """An estimator that was not fitted; scikit-learn's NotFittedError too."""


class WrongType(InputError, TypeError):
    """Values that are no numbers; the TypeError that scikit-learn expects too."""


def readable(what: str, values: Any) -> Any:
    """`values` as numpy can read them. Raises InputError with the conversion for a tensor that
    numpy has no type for, needs its gradient dropped or lies on another device, and for text."""
    if hasattr(values, "detach") and hasattr(values, "dtype"):  # a tensor, without torch
        try:
            np.asarray(values)
        except (TypeError, RuntimeError) as error:
            dtype, device = str(values.dtype).removeprefix("torch."), values.device
            raise InputError(
                f"{what} are a {dtype} tensor on {device}, which numpy cannot read as it stands: "
                f"give tensor.detach().cpu().float()."
            ) from error
    elif values is None or (
        isinstance(values, str | bytes | dict | set) and not hasattr(values, "shape")
    ):  # a sparse matrix of scipy may be a dict, with a shape; scikit-learn says what it is
        raise InputError(
            f"{what} are numbers, one row an example, not a {type(values).__name__}: give an array."
        )
    return values


@contextmanager
def _remedies() -> Iterator[None]:
    """Convert scikit-learn's validation errors to InputError, adding a remedy if there is none."""
    try:
        yield
    except (TypeError, ValueError) as error:
        nonfinite = any(word in str(error) for word in ("NaN", "infinity"))
        kind = WrongType if isinstance(error, TypeError) else InputError
        raise kind(f"{error}\n{REMEDY}" if nonfinite else str(error)) from error


def matrix(X: Any) -> Any:
    """`X` as a float matrix [n, d], without a copy if it already is one (memmaps included)."""
    X = readable("activations", X)
    X = X if isinstance(X, np.ndarray) else np.asarray(X)
    if X.ndim != 2 or 0 in X.shape:
        raise InputError(
            f"activations have shape {tuple(X.shape)}; give a matrix [rows, features] with both, "
            "one row an example"
        )
    if X.dtype not in (np.float32, np.float64):
        X = np.asarray(X, dtype=np.float64)
    return X


def targets(Y: ArrayLike, n: int) -> Floats:
    """`Y` as float64 [n, targets]; every column must be finite and not constant."""
    try:
        Y = np.asarray(readable("targets", Y), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"targets must be numbers [rows, targets]: {error}") from error
    Y = Y[:, None] if Y.ndim == 1 else Y
    if Y.ndim != 2 or len(Y) != n:
        raise InputError(f"targets have shape {Y.shape} for {n} rows; give [rows, targets]")
    if not np.isfinite(Y).all():
        raise InputError(f"a target holds NaN or infinity. {REMEDY.replace('activation', 'truth')}")
    constant = np.flatnonzero((Y[:1] == Y).all(axis=0))
    if constant.size:
        raise InputError(
            f"target {constant[0]} is constant ({Y[0, constant[0]]:g}): nothing can be probed. "
            "Draw problems in which it varies, or leave the target out"
        )
    return Y


def penalties_at_least_zero(alphas: ArrayLike) -> Floats:
    """`alphas` as float64 [a], each finite and at least 0."""
    alphas = np.atleast_1d(np.asarray(alphas, dtype=np.float64))
    if alphas.ndim != 1 or not alphas.size or not np.isfinite(alphas).all() or alphas.min() < 0:
        raise InputError(f"penalties must be finite and at least 0, and one at least; got {alphas}")
    return alphas


def fold_labels(folds: ArrayLike, n: int) -> NDArray[Any]:
    """`folds` as [n] with two labels or more, at least two rows held out and two kept each time."""
    folds = np.asarray(folds)
    if folds.shape != (n,):
        raise InputError(f"folds have shape {folds.shape} for {n} rows; give one label a row")
    _, counts = np.unique(folds, return_counts=True)
    if len(counts) < 2 or counts.min() < 2:
        raise InputError(
            f"folds of {counts.tolist()} rows: at least two folds of two rows are needed. "
            "Use fewer folds, or more examples"
        )
    return folds


def within(memory: int, entries: int, what: str) -> None:
    """Raise unless `entries` float64 numbers fit into `memory` bytes."""
    if 8 * entries > memory:
        raise InputError(
            f"{what} needs {8 * entries / 2**30:.1f} GiB, and memory= allows "
            f"{memory / 2**30:.1f}. Probe fewer features (one head or site at a time), give fewer "
            "rows than features, use fewer folds, or raise memory="
        )


def block_size(width: int) -> int:
    """Number of rows (or columns) of `width` numbers per block."""
    return max(1, BLOCK // width)


def blocks(rows: Rows, width: int) -> Iterator[Rows]:
    """Split `rows` into runs whose float64 copy of `width` columns fits into a block."""
    step = block_size(width)
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


Progress = Callable[[int, int], None]


class Watch:
    """Counts the `total` steps of a computation; raises Cancelled between two of them."""

    def __init__(self, total: int, progress: Progress | None, cancel: Cancel | None) -> None:
        self._total, self._progress, self._cancel = total, progress, cancel
        self._done = 0
        self.check()

    def step(self) -> None:
        """Count one finished step."""
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)
        self.check()

    def check(self) -> None:
        """Raise Cancelled if cancellation was requested."""
        if self._cancel is not None:
            self._cancel.check()
