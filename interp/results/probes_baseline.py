"""What a linear map finds in the question itself, and the running-sum figure beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.errors import InputError
from interp.results.calls import call, model_call
from interp.results.display import number
from interp.results.probes import probe_code, split_option
from interp.results.result import Result


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class OneHotBaseline(Result):
    """Linear probes of the one-hot operand digits, and of nothing else: no model took part.

    x has ten columns for each operand digit, and y = w·x + w_0 is fitted by ridge (classes: by
    softmax regression), so every function that is a sum over single digits is found whole, and of a
    product a·b what the two digits say each on its own: R² = 2·20.25·8.25 / 402.19 = 0.83.

    Args:
        cells: one row a target: `target, kind, metric, score, low, high, mae, constant,
            constant_mae, n_train, n_test`; scores and mean absolute errors on held-out problems,
            `constant` the training mean's R² or the majority's accuracy, `constant_mae` the
            training median's.
    """

    analysis: ClassVar[str] = "one_hot_baseline"
    notes: ClassVar[tuple[str, ...]] = ("what a probe that is not linear finds in the digits",)

    cells: pd.DataFrame
    resampled: str

    @property
    def frame(self) -> pd.DataFrame:
        return self.cells.copy()

    @property
    def metrics(self) -> dict[str, float]:
        scores = dict(zip(self.cells["target"], self.cells["score"], strict=True))
        return {f"score[{name}]": float(value) for name, value in scores.items()}

    @property
    def interval(self) -> str:
        return f"95 % bootstrap intervals over {self.resampled} of the held-out problems"

    @property
    def code(self) -> str:
        options = {name: self.settings.get(name) for name in ("targets", "split", "test", "folds")}
        options["split"] = split_option(self.settings)
        problems = str(self.settings["problems"])
        return probe_code(
            None, call("probes.one_hot_baseline", problems, **options, seed=self.seed)
        )

    def conclusion(self) -> str | None:
        real = self.cells[self.cells["metric"] == "r2"]
        if real.empty:
            return None
        return (
            f"A linear map of the operand digits alone reaches R² {number(real['score'].min())} to "
            f"{number(real['score'].max())}: a probe of a model must beat that."
        )


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class RunningSums(Result):
    """True against predicted running sums ĉ_k, each model probed on its own activations.

    ĉ_k = s_k + r_{k-1} (arXiv 2510.00184, Fig. 3), read by ridge regression with intercept from the
    last layer's resid_mid, at the token c_k (`when` "after": c_k = ĉ_k mod 10 is then part of the
    input, as it was in the paper) and where c_k is predicted ("before").

    Args:
        cells: one row for each model, digit k and `when`: `model, hash, digit, when, role, r2,
            mae, mae_low, mae_high, constant_mae, one_hot_r2, one_hot_mae,
            shown_r2, shown_mae, gain, gain_low, gain_high, published_mae, trained_in, n_train,
            n_test`. The gain is R² beyond `shown`, the one-hot digits of operands and printed
            answer.
        true, predicted: [rows of cells, m], the held-out problems.

    `model` is None: there are several, each with its hash in `cells`.
    """

    analysis: ClassVar[str] = "running_sums"
    notes: ClassVar[tuple[str, ...]] = (
        "that a model uses the sum: `probes.use` asks that",
        "the published models: these are trained here, and the published errors stand beside them "
        "for 4×4 digits alone",
    )

    cells: pd.DataFrame
    true: npt.NDArray[np.float32]
    predicted: npt.NDArray[np.float32]
    resampled: str

    @property
    def frame(self) -> pd.DataFrame:
        return self.cells.copy()

    @property
    def metrics(self) -> dict[str, float]:
        """`r2[model,k,when]`, `mae[…]` and `gain[…]`."""
        found = {}
        for row in self.cells.to_dict("records"):
            for name in ("r2", "mae", "gain"):
                found[f"{name}[{row['model']},{row['digit']},{row['when']}]"] = float(row[name])
        return found

    @property
    def interval(self) -> str:
        return f"95 % bootstrap intervals over {self.resampled} of the held-out problems"

    @property
    def code(self) -> str:
        names = dict.fromkeys(self.cells["model"])
        starts = self.settings.get("starting_with") or {}
        models = ", ".join(f"{name!r}: {model_call(name, starts.get(name))}" for name in names)
        options = {name: self.settings.get(name) for name in ("digits", "split", "test", "folds")}
        options["split"] = split_option(self.settings)
        problems = str(self.settings["problems"])
        last = call("probes.running_sums", f"{{{models}}}", problems, **options, seed=self.seed)
        return probe_code(None, last)

    def conclusion(self) -> str | None:
        told = []
        for name in dict.fromkeys(self.cells["model"]):
            mine = self.cells[(self.cells["model"] == name) & (self.cells["when"] == "before")]
            beyond = mine[mine["gain_low"] > 0]
            worse = mine[mine["mae"] > mine["constant_mae"]]
            if len(worse):
                told.append(f"{name} is worse than a constant on {len(worse)} digits")
            told.append(
                f"{name} holds ĉ beyond the one-hot digits at {len(beyond)} of {len(mine)} digits "
                f"before they are written (R² {number(mine['r2'].min())} to "
                f"{number(mine['r2'].max())})"
            )
        return "; ".join(told) + "." if told else None

    def scatter(self, model: str, digit: int, when: str = "before") -> pd.DataFrame:
        """`true` and `predicted` sums of one model, digit and moment; InputError if not there."""
        cells = self.cells
        here = (cells["model"] == model) & (cells["digit"] == digit) & (cells["when"] == when)
        if not here.any():
            raise InputError(f"no running sum {digit} of {model!r} {when!r} emission was probed")
        cell = int(np.flatnonzero(here)[0])
        known = ~np.isnan(self.predicted[cell])
        return pd.DataFrame(
            {"true": self.true[cell][known], "predicted": self.predicted[cell][known]}
        )
