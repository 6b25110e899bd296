"""Source of an adder's carries: shares by what the operands and the print say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from interp.arithmetic.proportions import Share, share_of
from interp.results.calls import asked_code
from interp.results.result import Result

RIGHT = 0.9  # of the agreeing prompts; below it the model adds too badly for a verdict
MAJORITY = 0.5  # which the lower bound of a share must exceed, in both disagreeing cells
SOURCES = ("operands", "print", "neither")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class CarryVerdict(Result):
    """Shares of answers that take the carry from the operands, the print, or neither.

    Args:
        least_first: whether the answer's lowest digit is printed first.
        rows: one row for each prompt run: `problem`; `neighbour`, "nine" or "other" (control);
            `forced`, "none", "neighbour" (the one digit) or "run" (every printed digit of the run);
            `digit`, the role read, and `forced_digit`; `length`, columns that sum to nine; the
            carries that `operands` and `print` say; `used`, the carry of the answer, -1 for
            neither digit; `margin`, logit of the operands' digit minus that of the other carry's;
            `later_changed`, whether a digit after the read one changes by the forcing.
    """

    analysis: ClassVar[str] = "carry_verdict"
    notes: ClassVar[tuple[str, ...]] = (
        "which heads bring the carry",
        "prompts that the model would print itself: a forced digit is a wrong one, and the control "
        "columns show what a wrong digit alone does",
    )
    meanings: ClassVar[dict[str, str]] = {
        "follows_operands": "share of forced answers with the carry that the operands say",
        "follows_print": "share of forced answers with the carry that the forced digit says",
        "follows_neither": "share of forced answers with the digit of neither carry",
        "follows_{source}_low": "lower bound of follows_{source}",
        "follows_{source}_high": "upper bound of follows_{source}",
        "agreeing_right": "share of unforced answers, where both sources agree, that are right",
        "control_right": "share of right answers above a forced digit that leaves the carry as it "
        "is",
        "run_follows_print": "follows_print where every printed digit of the run is forced",
        "later_changed": "share of forced prompts where a digit after the read one changes",
        "print_at_{length}": "follows_print with {length} columns in the run",
        "margin": "mean logit of the operands' digit minus that of the other carry's, forced",
    }

    least_first: bool
    rows: pd.DataFrame

    @property
    def frame(self) -> pd.DataFrame:
        """Shares by kind of column, forcing, and what operands and print say, and by length."""
        keys = ["neighbour", "forced", "operands", "print", "length"]
        every = self.rows.assign(length="all")
        nine = self.rows[self.rows["neighbour"] == "nine"]
        rows = pd.concat([every, nine.assign(length=nine["length"].astype(str))])
        found = [
            dict(zip(keys, key, strict=True)) | _shares(part)
            for key, part in rows.groupby(keys, sort=False)
        ]
        return pd.DataFrame(found)

    def share(self, source: str, *, forced: str = "neighbour", **where: int) -> Share:
        """Share of one source among scored prompts of one forcing, by column of `rows`."""
        rows = self._rows("nine", forced)
        for name, value in where.items():
            rows = rows[rows[name] == value]
        return _share(rows, source)

    @property
    def by_length(self) -> pd.DataFrame:
        """Shares by cascade length and forcing ("neighbour", "run"), one row a source."""
        scored = self.rows[(self.rows["neighbour"] == "nine") & (self.rows["forced"] != "none")]
        return pd.DataFrame(
            {"forced": forced, "length": length, "source": source} | _share(part, source)._asdict()
            for (forced, length), part in scored.groupby(["forced", "length"])
            for source in SOURCES
        )

    @property
    def agreeing_right(self) -> Share:
        """Share of right answers of the unforced prompts, where both sources agree."""
        return _share(self._rows("nine", "none"), "operands")

    @property
    def control_right(self) -> Share:
        """Share of right answers above a forced digit in a column that does not sum to nine."""
        return _share(self._rows("other", "neighbour"), "operands")

    @property
    def kind(self) -> str:
        """The verdict in a word.

        "look-ahead" or "autoregressive" where the lower bound of that source's share exceeds one
        half in both disagreeing cells; "mixed" where neither does; "undecided" where a disagreeing
        cell is empty, or under 90 % of the agreeing prompts are right; "by construction" for
        answers from the highest digit, which are look-ahead.
        """
        if not self.least_first:
            return "by construction"
        cells = [self._rows("nine", "neighbour").query(f"operands == {o}") for o in (0, 1)]
        if self.agreeing_right.share < RIGHT or not all(map(len, cells)):
            return "undecided"
        for source, kind in (("operands", "look-ahead"), ("print", "autoregressive")):
            if all(_share(cell, source).low > MAJORITY for cell in cells):
                return kind
        return "mixed"

    @property
    def metrics(self) -> dict[str, float]:
        """Shares of the forced prompts, with bounds, beside their controls."""
        found: dict[str, float] = {}
        for source in SOURCES:
            share = self.share(source)
            found[f"follows_{source}"] = share.share
            found[f"follows_{source}_low"], found[f"follows_{source}_high"] = share[1:3]
        forced = self._rows("nine", "neighbour")
        return {
            **found,
            "agreeing_right": self.agreeing_right.share,
            "control_right": self.control_right.share,
            "run_follows_print": self.share("print", forced="run").share,
            "later_changed": float(forced["later_changed"].mean()),
            "margin": float(forced["margin"].mean()),
            **{
                f"print_at_{length}": _share(part, "print").share
                for length, part in forced.groupby("length")
            },
        }

    @property
    def interval(self) -> str:
        return "95 % Wilson intervals, one column a problem"

    @property
    def code(self) -> str:
        return asked_code(
            self.model,
            self.settings,
            "interp.heads.carry",
            format=self.settings["format"],
            seed=self.seed,
            runs=None if self.settings["runs"] == "planted" else self.settings["runs"],
        )

    def conclusion(self) -> str:
        said = ", ".join(f"{source} {_text(self.share(source))}" for source in SOURCES)
        controls = (
            f"right where both agree: {_text(self.agreeing_right)}; beside a forced digit that "
            f"changes no carry: {_text(self.control_right)}"
        )
        if not self.least_first:
            return (
                "The answer is written from the highest digit: its carries are look-ahead by "
                f"construction. Digits just below a forced one follow: {said}. Controls: "
                f"{controls}."
            )
        why = ""
        if self.kind == "undecided":
            few = self.agreeing_right.share < RIGHT
            why = (
                ", since too few unforced answers are right"
                if few
                else ", since operands and print disagree in one direction only"
            )
        return (
            f"The carry is {self.kind}{why}. Forced apart, answers follow: {said}. Controls: "
            f"{controls}."
        )

    def _rows(self, neighbour: str, forced: str) -> pd.DataFrame:
        rows = self.rows
        return rows[(rows["neighbour"] == neighbour) & (rows["forced"] == forced)]


def _share(rows: pd.DataFrame, source: str) -> Share:
    """Share of the rows that use the carry of a source; operands and print may say the same."""
    if source == "neither":
        hits = (rows["used"] != rows["operands"]) & (rows["used"] != rows["print"])
    else:
        hits = rows["used"] == rows[source]
    return share_of(int(hits.sum()), len(rows))


def _shares(rows: pd.DataFrame) -> dict[str, float]:
    found: dict[str, float] = {"n": len(rows)}
    for source in SOURCES:
        share = _share(rows, source)
        found |= {source + "_share": share.share, source + "_low": share.low,
                  source + "_high": share.high}  # fmt: skip
    return found


def _text(share: Share) -> str:
    if not share.n:
        return "– (none)"
    return f"{share.share:.1%} ({share.low:.1%} to {share.high:.1%}, n = {share.n})"
