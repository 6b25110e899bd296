"""Two Results side by side: the difference, its interval, and what cannot be subtracted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

import interp
from interp.errors import InputError
from interp.many import _compare
from interp.results.grid import Axis, Grid
from interp.results.identity import ModelId
from interp.results.result import Result

N = 200


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Means(Result):
    """Means by role and layer, for these tests."""

    analysis: ClassVar[str] = "means_of_test_compare"
    means: Grid
    by_prompt: np.ndarray

    @property
    def frame(self) -> pd.DataFrame:
        return self.means.frame("mean")

    @property
    def metrics(self) -> dict[str, float]:
        return {}

    @property
    def code(self) -> str:
        return "result = None"


def means(
    values: Any, *, layers: str = "01", ends: bool = True, model: str = "m", problems: str = "p"
) -> Means:
    x = np.asarray(values, dtype=float)
    axes = (Axis("role", ("a0", "a1", "a2")), Axis("layer", tuple(layers)))
    half = 1.96 * x.std(axis=0) / np.sqrt(len(x))
    bounds = (x.mean(axis=0) - half, x.mean(axis=0) + half) if ends else ()
    return Means(
        model=ModelId(model, model * 64), task="add:5", n=len(x), n_distinct=len(x), seed=0,
        settings={"problems": problems}, means=Grid(x.mean(axis=0), axes, *bounds), by_prompt=x,
    )  # fmt: skip


def drawn(seed: int, shift: float = 0.0) -> Any:
    return np.random.default_rng(seed).normal(shift, 1.0, (N, 3, 2))


def test_the_difference_of_independent_samples_has_the_textbook_interval() -> None:
    first, second = means(drawn(0)), means(drawn(1, 1.0), model="o", problems="q")
    found = interp.compare(first, second)
    np.testing.assert_allclose(found.difference.values, second.means.values - first.means.values)
    spread = np.sqrt(drawn(0).var(axis=0) / N + drawn(1, 1.0).var(axis=0) / N)
    want = found.difference.values - 1.96 * spread
    np.testing.assert_allclose(found.difference.low, want, atol=1e-12)
    assert not found.paired and found.interval == "95 % intervals from both (MOVER)"
    assert found.metrics["cells_apart"] == 6 and found.metrics["cells"] == 6
    assert "other prompts" in found.caption and "oooooooooooo" in found.caption


def test_prompts_in_common_are_subtracted_one_by_one() -> None:
    """A hard prompt is hard for both: the paired interval is as narrow as the differences are."""
    hard = 10 * drawn(2)
    first, second = means(hard + 0.1 * drawn(3)), means(hard + 0.1 * drawn(4, 1.0))
    found = interp.compare(first, second)
    assert found.paired and found.metrics["cells_apart"] == 6
    assert (found.difference.high - found.difference.low).max() < 0.06
    apart = interp.compare(first, replace(second, settings={"problems": "other"}))
    assert not apart.paired and apart.metrics["cells_apart"] == 0


def test_equal_results_differ_nowhere() -> None:
    found = interp.compare(means(drawn(0)), means(drawn(0)))
    assert not found.difference.values.any() and found.metrics["cells_apart"] == 0
    assert found.names == ("m, seed 0 (first)", "m, seed 0 (second)")


def test_without_intervals_there_is_none_and_labels_in_one_alone_are_listed() -> None:
    found = interp.compare(means(drawn(0), ends=False), means(drawn(1), layers="12", problems="q"))
    assert found.difference.low is None and found.apart is None
    assert found.difference.shape == (3, 1) and found.first.shape == (3, 2)
    assert found.alone == ("layer 0 (first)", "layer 2 (second)")
    assert "no interval: not both have one" in found.caption
    assert found.conclusion().endswith("without an interval nothing tells it from chance.")
    assert np.isnan(found.metrics["cells_apart"])


def test_what_cannot_be_compared_is_refused(add5: Any) -> None:
    first = means(drawn(0))
    other = interp.load("add5").tokenisation(add5.task.sample(4, seed=0))
    for given, words in (
        ((first, "add:5"), "two Results, not a str"),
        ((first, other), "a Means and a TokenisationReport cannot be compared"),
        ((other, other), "holds no Grid to compare: interp.over_seeds"),
        ((first, means(drawn(0), layers="23")), "no layer is in both"),
    ):
        with pytest.raises(InputError, match=words):
            interp.compare(*given)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no Grid 'mean': choose means"):
        interp.compare(first, first, grid="mean")
    with pytest.raises(InputError, match="no '9' on axis 'layer'"):
        interp.compare(first, first, at={"layer": "9"})


def test_a_real_comparison_is_made_again_drawn_and_kept(add5: Any, tmp_path: Any) -> None:
    first, second = (
        interp.attribution.logit_lens(add5, task, n=30, seed=3) for task in ("add:5", "add:3")
    )
    found = interp.compare(first, second, at={"layer": "1"}, grid="logit")
    space: dict[str, Any] = {}
    exec(found.code, space)
    assert space["result"] == found == Result.load(found.save(tmp_path / "result"))
    whole = interp.compare(first, second)
    heat = whole.figure().data
    assert [len(trace.x) for trace in heat] == [6, 4, 4]
    shown = np.array(heat[2].z, dtype=float)[:, ::-1]  # most significant first
    np.testing.assert_allclose(shown, whole.difference.values)
    assert "answer digit c4 (first)" in whole.caption


def test_a_wrong_sign_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = _compare._difference
    monkeypatch.setattr(_compare, "_difference", lambda a, b, axes: plain(b, a, axes))
    with pytest.raises(AssertionError):
        test_the_difference_of_independent_samples_has_the_textbook_interval()
