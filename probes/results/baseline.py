"""Results of the one-hot baseline and of the running-sum figure."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.errors import InputError
from interp.results.calls import asked_of, call, model_call
from interp.results.display import number
from interp.results.result import Result
from probes.results.sweep import FALSE_DISCOVERIES, probe_code, split_option, with_represented


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class OneHotBaseline(Result):
    """Scores of linear probes of the one-hot operand digits alone, without a model.

    x has ten columns for each operand digit, and y = w·x + w_0 is fitted by ridge (classes: by
    softmax regression), so it finds every sum of functions of single digits in full, and of a
    product a·b only the additive part: R² = 2·20.25·8.25 / 402.19 = 0.83.

    Args:
        cells: one row a target: `target, kind, metric, score, low, high, mae, constant,
            constant_mae, n_train, n_test`; scores and mean absolute errors on held-out problems,
            `constant` the training mean's R² or the majority's accuracy, `constant_mae` the
            training median's.
    """

    analysis: ClassVar[str] = "one_hot_baseline"
    meanings: ClassVar[Mapping[str, str]] = {
        "score[{target}]": "R², or share of right classes, of {target} read from the one-hot "
        "operand digits, on held-out problems",
    }
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
        options = {
            name: self.settings.get(name) for name in ("targets", "split", "test", "folds", "turns")
        }
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

    Figures: the main one; "before", the same before the digit is written, where both were read.

    Args:
        cells: one row for each model, digit k and `when`; see `frame`.
        true, predicted: [rows of cells, m], the held-out problems.

    `model` is None: there are several, each with its hash in `cells`.
    """

    analysis: ClassVar[str] = "running_sums"
    notes: ClassVar[tuple[str, ...]] = (
        "that a model uses the sum: `probes.intervene` asks that",
        "the published models: these are trained here, and the published errors stand beside them "
        "for 4×4 digits alone",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "r2[{model},{digit},{when}]": "R² of running sum {digit} in {model}, read {when} its digit "
        "is written, on held-out problems",
        "mae[{model},{digit},{when}]": "mean absolute error of running sum {digit} in {model}, "
        "read "
        "{when} its digit is written",
        "gain[{model},{digit},{when}]": "R² of running sum {digit} in {model}, read {when} its "
        "digit is written, minus that of the one-hot digits",
    }

    cells: pd.DataFrame
    true: npt.NDArray[np.float32]
    predicted: npt.NDArray[np.float32]
    resampled: str

    @cached_property
    def _frame(self) -> pd.DataFrame:
        return with_represented(self.cells)

    @property
    def frame(self) -> pd.DataFrame:
        """One row for each model, digit k and `when`.

        model, as it was named here; source, what `interp.load` calls it; hash, digit, when, role;
        r2; mae with its bounds, beside constant_mae, of the training median, and published_mae;
        one_hot_r2 and one_hot_mae, of the operand digits; shown_r2 and shown_mae, of these and the
        answer printed by then; embedding_r2, untrained_r2 (random weights), shuffled_r2 (labels)
        and control_task_r2 as in `ProbeSweep`; gain = r2 − shown_r2 with its bounds, p, q over all
        rows and represented (interval above 0 and q ≤ 0.05); trained_in, whether a loss of the
        model's training asked for ĉ_k; n_train, n_test.
        """
        return self._frame.copy()

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
        sources = dict(zip(self.cells["model"], self.cells["source"], strict=True))
        starts = self.settings.get("starting_with") or {}
        models = ", ".join(
            f"{name!r}: {model_call(source, starts.get(name))}" for name, source in sources.items()
        )
        options = {name: self.settings.get(name) for name in ("digits", "split", "test", "folds")}
        options["split"] = split_option(self.settings)
        asked, sample = asked_of(self.settings)
        given = f"{{{models}}}"
        last = call("probes.running_sums", given, asked, **sample, **options, seed=self.seed)
        return probe_code(None, last)

    def conclusion(self) -> str | None:
        frame = self._frame
        before = frame[frame["when"] == "before"]
        told = [
            _held(name, before[before["model"] == name]) for name in dict.fromkeys(before["model"])
        ]
        left = self.settings.get("left_out") or {}
        also = (
            [f"Left out: {'; '.join(f'{at} ({why})' for at, why in left.items())}."] if left else []
        )
        return " ".join([*told, _against_constant(frame), *also]) if told else None

    def scatter(self, model: str, digit: int, when: str = "before") -> pd.DataFrame:
        """`true` and `predicted` sums of a model, digit and moment. InputError if missing."""
        cells = self.cells
        here = (cells["model"] == model) & (cells["digit"] == digit) & (cells["when"] == when)
        if not here.any():
            raise InputError(f"no running sum {digit} of {model!r} {when!r} emission was probed")
        cell = int(np.flatnonzero(here)[0])
        known = ~np.isnan(self.predicted[cell])
        return pd.DataFrame(
            {"true": self.true[cell][known], "predicted": self.predicted[cell][known]}
        )


def _held(name: str, mine: pd.DataFrame) -> str:
    """Sentence on one model's probe scores before the digits are written, beside the baselines."""
    asked = mine[mine["trained_in"]]
    which = "" if len(asked) == len(mine) else f" at {', '.join(map(str, asked['digit']))}"
    trained = f" (trained in{which})" if len(asked) else ""
    shown = f"the one-hot digits {_spread(mine['one_hot_r2'])}"
    if mine["untrained_r2"].notna().any():
        shown += f", random weights {_spread(mine['untrained_r2'])}"
    return (
        f"{name}{trained} holds ĉ beyond the digits shown at {int(mine['represented'].sum())} of "
        f"{len(mine)} digits before they are written (false-discovery q ≤ {FALSE_DISCOVERIES:g}): "
        f"R² {_spread(mine['r2'])}; {shown}."
    )


def _against_constant(frame: pd.DataFrame) -> str:
    """Sentence on whether an error exceeds a constant's, as the published fine-tuning errors do."""
    ratio = frame["mae"] / frame["constant_mae"]
    worse = frame["mae_low"] > frame["constant_mae"]
    counts = worse.groupby(frame["model"], sort=False).agg(["sum", "count"])
    where = ", ".join(
        f"{model} in {above} of {count}" for model, (above, count) in zip(
            counts.index, counts.to_numpy().tolist(), strict=True
        ) if above
    )  # fmt: skip
    exceeds = f"above a constant's: {where}" if where else "none above a constant's"
    return (
        f"Mean absolute errors are {_spread(ratio)} times those of a constant, {exceeds}; "
        "those published for plain fine-tuning on 4×4 digits are 1.6 to 3.4 times a constant's "
        "(arXiv 2510.00184, Fig. 3)."
    )


def _spread(values: pd.Series) -> str:
    """Text of the minimum and maximum."""
    ends = [number(float(f"{x:.3g}")) for x in (values.min(), values.max())]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)
