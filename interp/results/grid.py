"""Arrays with named axes and labels, the source of figures and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.errors import InputError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a `Grid`: its name and labels.

    >>> Axis("answer_digit", ("c0", "c1", "c2"))
    Axis(name='answer_digit', labels=('c0', 'c1', 'c2'))
    """

    name: str
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(str(label) for label in self.labels))
        if not self.name:
            raise InputError("an axis needs a name, such as 'layer'")
        if len(set(self.labels)) != len(self.labels):
            raise InputError(f"axis {self.name!r} names a place twice: {self.labels}")

    def index(self, label: object) -> int:
        """Index of `label` on the axis.

        Raises:
            InputError: for an unknown label; the message lists the labels.
        """
        try:
            return self.labels.index(str(label))
        except ValueError:
            known = ", ".join(self.labels)
            raise InputError(f"no {label!r} on axis {self.name!r}; it has {known}") from None


@dataclass(frozen=True, eq=False, slots=True)
class Grid:
    """Values with named axes and, where they were estimated, an interval for each.

    Args:
        values: float64, one dimension for each axis; NaN in unmeasured cells.
        axes: in the order of the dimensions; labels as long as each dimension.
        low, high: bounds of the same shape, both or neither.

    The arrays are copied and made read-only.
    """

    values: Floats
    axes: tuple[Axis, ...]
    low: Floats | None = None
    high: Floats | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", tuple(self.axes))
        shape = tuple(len(axis.labels) for axis in self.axes)
        if (self.low is None) != (self.high is None):
            raise InputError("an interval has two ends: give both low and high, or neither")
        names = [axis.name for axis in self.axes]
        if len(set(names)) != len(names):
            raise InputError(f"two axes share a name: {names}")
        for field in ("values", "low", "high"):
            array = getattr(self, field)
            if array is None:
                continue
            array = np.array(array, dtype=np.float64)
            if array.shape != shape:
                raise InputError(f"{field} has shape {array.shape}, but the axes say {shape}")
            array.setflags(write=False)
            object.__setattr__(self, field, array)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def axis(self, name: str) -> Axis:
        """The axis of that name. Raises InputError with the known names."""
        return self.axes[self._dimension(name)]

    def at(self, **labels: object) -> float | Grid:
        """The cell or slice at the given labels: `grid.at(answer_digit="c2")`."""
        index: list[int | slice] = [slice(None)] * len(self.axes)
        for name, label in labels.items():
            dimension = self._dimension(name)
            index[dimension] = self.axes[dimension].index(label)
        kept = tuple(axis for axis in self.axes if axis.name not in labels)
        place = tuple(index)
        low, high = (None if end is None else end[place] for end in (self.low, self.high))
        if not kept:
            return float(self.values[place])
        return Grid(self.values[place], kept, low, high)

    def frame(self, value: str = "value") -> pd.DataFrame:
        """Tidy table, one row per cell: a column per axis, then `value`, and `value_low` and
        `value_high` if there is an interval."""
        places = np.indices(self.shape).reshape(len(self.axes), -1)
        columns: dict[str, object] = {
            axis.name: np.asarray(axis.labels, dtype=object)[place]
            for axis, place in zip(self.axes, places, strict=True)
        }
        columns[value] = self.values.ravel()
        if self.low is not None and self.high is not None:
            columns[f"{value}_low"] = self.low.ravel()
            columns[f"{value}_high"] = self.high.ravel()
        return pd.DataFrame(columns)

    def to_xarray(self, name: str = "value") -> Any:
        """An xarray Dataset: `name` with the axes as dimensions and their labels as coordinates,
        and `{name}_low` and `{name}_high` where there is an interval.

        Raises:
            ImportError: where xarray is not installed, with the command that installs it.
        """
        try:
            import xarray
        except ImportError as error:
            raise ImportError(
                "Grid.to_xarray needs xarray: pip install xarray; or use Grid.frame()"
            ) from error
        dims = [axis.name for axis in self.axes]
        parts = {name: self.values, f"{name}_low": self.low, f"{name}_high": self.high}
        return xarray.Dataset(
            {key: (dims, part.copy()) for key, part in parts.items() if part is not None},
            coords={axis.name: list(axis.labels) for axis in self.axes},
        )

    def __repr__(self) -> str:
        """One line: the axes with their sizes, the range of the values, whether it has intervals
        or unknown cells."""
        sides = " × ".join(f"{axis.name} {len(axis.labels)}" for axis in self.axes) or "one cell"
        known = self.values[~np.isnan(self.values)]
        parts = [f"{known.min():.4g} to {known.max():.4g}"] if known.size else ["no value"]
        if missing := self.values.size - known.size:
            parts.append(f"{missing} of {self.values.size} cells NaN")
        parts += ["with intervals"] if self.low is not None else []
        return f"Grid({sides}: {', '.join(parts)})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grid):
            return NotImplemented
        pairs = ((self.values, other.values), (self.low, other.low), (self.high, other.high))
        return self.axes == other.axes and all(_same(a, b) for a, b in pairs)

    def __hash__(self) -> int:
        return hash((self.axes, self.values.tobytes()))

    def _dimension(self, name: str) -> int:
        names = [axis.name for axis in self.axes]
        if name not in names:
            raise InputError(f"no axis {name!r}; there are {', '.join(names)}")
        return names.index(name)


def stack(axis: Axis, grids: Sequence[Grid]) -> Grid:
    """Stack grids with the same axes along a new first axis."""
    if len(grids) != len(axis.labels) or len({grid.axes for grid in grids}) != 1:
        raise InputError("stacked grids need equal axes, and a label each on the new one")
    low = [grid.low for grid in grids if grid.low is not None]
    high = [grid.high for grid in grids if grid.high is not None]
    full = len(low) == len(grids)
    return Grid(
        np.stack([grid.values for grid in grids]),
        (axis, *grids[0].axes),
        np.stack(low) if full else None,
        np.stack(high) if full else None,
    )


def _same(a: Floats | None, b: Floats | None) -> bool:
    if a is None or b is None:
        return a is b
    return np.array_equal(a, b, equal_nan=True)
