"""Result of the helix fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import pandas as pd

from interp.results.calls import asked_code
from interp.results.display import number, percent
from interp.results.result import MIN_DISTINCT, Result


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class HelixFit(Result):
    """R² of the helix and its rivals on held-out values by layer, and patched fits.

    Further figures: "circles" (circular probes), "patched", "removal" (accuracy by digit with the
    plane removed or kept), "errors" (what is said then).

    Args:
        fits: layer, fit, columns (constant aside), r2_train, r2_test (values held out of the fit),
            ahead (r2_test of the helix minus this one's, with ahead_low and ahead_high over
            resampled held-out values). "PCA of the activation" sees the held-out activation itself.
        patched: layer, patched, logit_difference, low, high, gain (paired difference to the helix
            with permuted values, with gain_low and gain_high), n (prompts whose answer differs),
            n_distinct; empty without right prompts.
        circles: layer, probe ("base 10", "base 11", "base 10, values permuted"), accuracy on values
            held out of the fit, chance.
        removal: arm ("clean", "remove", "keep", each with " random" and " values permuted"),
            answer_digit, accuracy, low, high, n; at the best layer, empty without a causal test.
        errors: arm, answer_digit, offset (said − right, mod 10; −1: no number), share.
        contrasts: arm, against, difference, low, high, n (`interp.geometry.causal.plane_tables`).
    """

    analysis: ClassVar[str] = "helix_fit"
    notes: ClassVar[tuple[str, ...]] = (
        "that the model uses a helix rather than what it approximates",
        "how two helices become one of the sum",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "layer": "layer with the best held-out R² of the helix (index)",
        "r2_helix": "R² of the helix on held-out values at that layer",
        "r2_circle": "the same without the linear term",
        "r2_polynomial": "the same of a polynomial with as many columns",
        "r2_permuted": "the same of the helix with permuted values",
        "difference_helix": "logit difference of the patched helix at its best layer, logits",
        "difference_activation": "the same of the patched activation",
        "difference_permuted": "the same of the helix with permuted values",
        "gain_helix": "paired difference of the two at that layer, logits",
        "gain_helix_low": "its lower bound, 95 %",
        "gain_moved": "the same of moving along the helix, permuted values as control, logits",
        "gain_moved_low": "its lower bound, 95 %",
        "circle_base_10": "share of last digits that a circular probe reads right on held-out "
        "values, best layer",
        "circle_base_11": "the same in base 11, the control",
        "circle_permuted": "the same in base 10 with permuted values",
        "accuracy_clean": "share of answer digits that are right, mean over digits",
        "accuracy_removed": "the same with the plane of the helix removed at that layer",
        "accuracy_removed_random": "the same with a random plane of as many dimensions removed",
        "accuracy_removed_permuted": "the same with the plane of permuted values removed",
        "accuracy_kept": "the same with nothing of the number but the plane of the helix kept",
        "accuracy_kept_random": "the same with a random plane kept",
        "accuracy_kept_permuted": "the same with the plane of permuted values kept",
        "lost": "accuracy lost by removing the plane of the helix beyond a random one: mean over "
        "prompts of the share of their digits, paired",
        "lost_low": "its lower bound, 95 %",
        "lost_permuted": "the same beyond the plane of permuted values",
        "lost_permuted_low": "its lower bound, 95 %",
        "left": "accuracy left by keeping the plane of the helix beyond a random one, paired",
        "left_low": "its lower bound, 95 %",
        "left_permuted": "the same beyond the plane of permuted values",
        "left_permuted_low": "its lower bound, 95 %",
    }

    fits: pd.DataFrame
    patched: pd.DataFrame
    circles: pd.DataFrame
    removal: pd.DataFrame = field(default_factory=pd.DataFrame)
    errors: pd.DataFrame = field(default_factory=pd.DataFrame)
    contrasts: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def frame(self) -> pd.DataFrame:
        """One row a layer and fit."""
        return self.fits

    @property
    def best_layer(self) -> int:
        """The layer with the largest held-out R² of the helix."""
        own = self.fits[self.fits["fit"] == "helix"]
        return int(own.loc[own["r2_test"].idxmax(), "layer"])

    @property
    def metrics(self) -> dict[str, float]:
        """See `meanings`."""
        here = self.fits[self.fits["layer"] == self.best_layer].set_index("fit")["r2_test"]
        found = {
            "layer": float(self.best_layer),
            "r2_helix": float(here["helix"]),
            "r2_circle": float(here["circle"]),
            "r2_polynomial": float(here["polynomial"]),
            "r2_permuted": float(here["helix, values permuted"]),
        }
        best = self.circles.pivot(index="layer", columns="probe", values="accuracy").max()
        found["circle_base_10"] = float(best["base 10"])
        found["circle_base_11"] = float(best.get("base 11", float("nan")))
        found["circle_permuted"] = float(best["base 10, values permuted"])
        if len(self.patched):
            table = self.patched.pivot(index="layer", columns="patched", values="logit_difference")
            row = table.loc[table["helix"].idxmax()]
            found |= {
                "difference_helix": float(row["helix"]),
                "difference_activation": float(row["activation"]),
                "difference_permuted": float(row["helix, values permuted"]),
            }
        if "gain" in self.patched:
            here = self.patched[self.patched["layer"] == table["helix"].idxmax()]
            gains = here.set_index("patched")[["gain", "gain_low"]]
            for short, name in (("helix", "helix"), ("moved", "moved along the helix")):
                found[f"gain_{short}"] = float(gains.loc[name, "gain"])
                found[f"gain_{short}_low"] = float(gains.loc[name, "gain_low"])
        return found | self._plane

    @property
    def _plane(self) -> dict[str, float]:
        """Accuracy without the plane and with it alone, beside the controls."""
        if not len(self.removal):
            return {}
        means = self.removal.groupby("arm")["accuracy"].mean()
        found = {"accuracy_clean": float(means["clean"])}
        for arm, said in (("remove", "removed"), ("keep", "kept")):
            found[f"accuracy_{said}"] = float(means[arm])
            for control, short in (("random", "random"), ("values permuted", "permuted")):
                if f"{arm} {control}" in means.index:
                    found[f"accuracy_{said}_{short}"] = float(means[f"{arm} {control}"])
        for row in self.contrasts.itertuples():
            name = "lost" if row.arm == "remove" else "left"
            name += "" if row.against == "random" else "_permuted"
            found |= {name: float(row.difference), f"{name}_low": float(row.low)}
        return found

    @property
    def interval(self) -> str:
        s = self.settings
        return f"{s['values']} values, {s['values_held_out']} held out of the fit"

    @property
    def code(self) -> str:
        s = self.settings
        own = {name: s[name] for name in ("operand", "site", "pairs")}
        own["randoms"] = s.get("randoms")
        own["layers"] = None if s["layers"] is None else list(s["layers"])
        own["periods"] = list(s["periods"])
        return asked_code(
            self.model, s, "interp.geometry.helix", **own, format=s["format"], seed=self.seed
        )

    def conclusion(self) -> str:
        m = self.metrics
        rival = max(m["r2_circle"], m["r2_polynomial"], m["r2_permuted"])
        better = (
            "better than" if self._ahead and m["r2_helix"] > max(rival, 0) else "no better than"
        )
        told = (
            f"At layer {number(m['layer'])} a helix of {self.settings['columns']} columns explains "
            f"{number(m['r2_helix'])} of the held-out values' spread, {better} its rivals (at most "
            f"{number(rival)})"
        )
        few = not len(self.patched) or self.patched["n_distinct"].min() < MIN_DISTINCT
        if few:
            return (
                f"{told}; of patching nothing is concluded: too few prompts are answered rightly."
                f"{self._removed(m)}"
            )
        used = "" if m.get("gain_helix_low", 1.0) > 0 else ": no effect of the helix is shown"
        return (
            f"{told}; patched in, it moves the answer's logits by {number(m['difference_helix'])}, "
            f"the activation itself by {number(m['difference_activation'])}, permuted values by "
            f"{number(m['difference_permuted'])}{used}.{self._removed(m)}"
        )

    def _removed(self, m: dict[str, float]) -> str:
        """Sentence on the plane removed and kept, with a leading blank; "" without the test."""
        if "lost_low" not in m:
            return ""
        needed = "needed" if m["lost_low"] > 0 else "not shown to be needed"
        enough = "more than" if m["left_low"] > 0 else "no more than"
        return (
            f" Without its plane {percent(m['accuracy_removed'])} % of the answer's digits "
            f"are right (clean {percent(m['accuracy_clean'])} %, without a random plane "
            f"{percent(m['accuracy_removed_random'])} %): it is {needed}. With this plane "
            f"alone {percent(m['accuracy_kept'])} % are, {enough} with a random one "
            f"({percent(m['accuracy_kept_random'])} %)."
        )

    @property
    def _ahead(self) -> bool:
        """Whether the helix beats each rival of as many columns beyond resampled values."""
        here = self.fits[self.fits["layer"] == self.best_layer].set_index("fit")
        if "ahead_low" not in here:
            return True
        return bool((here.loc[["circle", "polynomial"], "ahead_low"] > 0).all())
