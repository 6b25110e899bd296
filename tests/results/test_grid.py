import sys

import numpy as np
import pytest

from interp.errors import InputError
from interp.results.grid import Axis, Grid, stack

LAYER, DIGIT = Axis("layer", ("0", "1")), Axis("answer_digit", ("c0", "c1", "c2"))
VALUES = np.arange(6.0).reshape(2, 3)


def test_frame_names_every_cell():
    frame = Grid(VALUES, (LAYER, DIGIT), VALUES - 1, VALUES + 1).frame("effect")
    assert list(frame) == ["layer", "answer_digit", "effect", "effect_low", "effect_high"]
    row = frame[(frame.layer == "1") & (frame.answer_digit == "c0")].iloc[0]
    assert (row.effect, row.effect_low, row.effect_high) == (3.0, 2.0, 4.0)
    assert len(frame) == 6


def test_at_picks_cells_and_slices():
    grid = Grid(VALUES, (LAYER, DIGIT), VALUES - 1, VALUES + 1)
    assert grid.at(layer=1, answer_digit="c2") == 5.0
    assert grid.at(answer_digit="c1") == Grid(
        VALUES[:, 1], (LAYER,), VALUES[:, 1] - 1, VALUES[:, 1] + 1
    )
    with pytest.raises(InputError, match="no 'c9' on axis 'answer_digit'; it has c0, c1, c2"):
        grid.at(answer_digit="c9")
    with pytest.raises(InputError, match="no axis 'head'; there are layer, answer_digit"):
        grid.at(head=0)


def test_grid_cannot_be_changed_from_outside():
    values = VALUES.copy()
    grid = Grid(values, (LAYER, DIGIT))
    values[0, 0] = 99
    assert grid.values[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        grid.values[0, 0] = 1


def test_equality_holds_nan_and_intervals():
    gaps = np.where(VALUES == 3, np.nan, VALUES)
    assert Grid(gaps, (LAYER, DIGIT)) == Grid(gaps, (LAYER, DIGIT))
    assert Grid(gaps, (LAYER, DIGIT)) != Grid(VALUES, (LAYER, DIGIT))
    assert Grid(VALUES, (LAYER, DIGIT)) != Grid(VALUES, (LAYER, DIGIT), VALUES, VALUES)
    assert hash(Grid(gaps, (LAYER, DIGIT))) == hash(Grid(gaps, (LAYER, DIGIT)))


def test_stack():
    grids = [Grid(VALUES + i, (LAYER, DIGIT), VALUES, VALUES + 9) for i in range(2)]
    both = stack(Axis("head", ("0", "1")), grids)
    assert both.at(head=1, layer=0, answer_digit="c0") == 1.0
    assert both.low is not None
    with pytest.raises(InputError, match="equal axes"):
        stack(Axis("head", ("0",)), grids)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Grid(VALUES.T, (LAYER, DIGIT)), "the axes say"),
        (lambda: Grid(VALUES, (LAYER, DIGIT), low=VALUES), "two ends"),
        (lambda: Grid(VALUES[:, :2], (LAYER, Axis("layer", ("a", "b")))), "share a name"),
        (lambda: Axis("", ("a",)), "needs a name"),
        (lambda: Axis("layer", ("0", "0")), "names a place twice"),
    ],
)
def test_bad_grids(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_repr_is_one_line():
    grid = Grid(VALUES, (LAYER, DIGIT), VALUES - 1, VALUES + 1)
    assert repr(grid) == "Grid(layer 2 × answer_digit 3: 0 to 5, with intervals)"
    gaps = np.where(VALUES == 0, np.nan, VALUES)
    told = "Grid(layer 2 × answer_digit 3: 1 to 5, 1 of 6 cells NaN)"
    assert repr(Grid(gaps, (LAYER, DIGIT))) == told
    assert "no value" in repr(Grid(np.full((2, 3), np.nan), (LAYER, DIGIT)))
    assert repr(Grid(np.asarray(0.5), ())) == "Grid(one cell: 0.5 to 0.5)"


def test_xarray_has_names_labels_and_bounds():
    pytest.importorskip("xarray")
    found = Grid(VALUES, (LAYER, DIGIT), VALUES - 1, VALUES + 1).to_xarray("effect")
    assert list(found.data_vars) == ["effect", "effect_low", "effect_high"]
    assert found["effect"].dims == ("layer", "answer_digit")
    assert float(found["effect"].sel(layer="1", answer_digit="c2")) == 5.0
    assert float(found["effect_low"].sel(layer="1", answer_digit="c2")) == 4.0
    assert list(Grid(VALUES, (LAYER, DIGIT)).to_xarray().data_vars) == ["value"]


def test_without_xarray_the_error_names_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ImportError, match=r"pip install xarray; or use Grid\.frame"):
        Grid(VALUES, (LAYER, DIGIT)).to_xarray()
