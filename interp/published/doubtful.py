"""The page of doubtful claims, docs/doubtful-claims.md: each with the control that decides it, and
its numbers from the recorded rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from interp.published.rows import Row, rows
from interp.results.display import number

CONSTANT = {"c2": 28.97, "c3": 33.43, "c4": 29.99, "c5": 24.71, "c6": 17.26}
"""Mean absolute error of the median of ĉ_k on the paper's own 1,000 validation problems, units."""
ZERO = {"c2": 64.76, "c3": 92.29, "c4": 74.71, "c5": 51.60, "c6": 30.08}
"""Of 0 there, which is the mean of ĉ_k."""
ROOT_MEAN_SQUARE = {"c2": 74.12, "c3": 101.43, "c4": 83.62, "c5": 60.02, "c6": 37.02}
"""Of ĉ_k there: a bound on the error of least squares without a bias, on the fitted prompts."""

_TEXT = """# Four doubtful claims, each with the control that decides it

Numbers of ours come from the recorded run of `arithmoscope rerun` ([Published numbers beside \
ours](reproductions.md)); this page is generated with it.

## The probe of the fine-tuned model (2510.00184, Fig. 3)

*The claim.* A linear probe reads the running sums ĉ_2 … ĉ_6 from the model with implicit chain of \
thought with a mean absolute error of 0.56 to 2, and from the fine-tuned model with one of 28 to \
113: the one that works holds them, the one that fails does not.

*The control.* Errors that need no activations. The published probe has no bias, so it can fall \
back to 0, not to a constant. A least-squares fit has, on the very prompts that it was fitted on, \
an error of at most the root mean square of ĉ_k; the published one was fitted by AdamW, stopped \
early, and scored on other prompts, where no bound holds. On the paper's validation problems:

{floors}

So the errors at {beyond} are above what least squares has where it was fitted, whatever the \
activations hold: only a fit that does not carry over to the prompts it is scored on exceeds that. \
Those at {within} are not, and say only that the probe reads nothing. All five are larger than a \
constant's.

*What would give such numbers.* The public script records activations of one model, the one with \
implicit chain of thought, and gives them to both probes. Done with ours, the probe of \
`mul4x4-stuck` (trained on the answer alone and failing) fitted as there, and scored on held-out \
prompts:

{crossed}

A probe that reads its own model reads nothing in another's directions, and errors of the order of \
the published ones come out: {crossed_verdicts}. Their size depends on the fit, since least \
squares on one model leaves free what only the other's activations fill, and on how long the \
failing model was trained. So such a mix-up gives numbers of the published kind; that it is what \
happened is not shown: the published checkpoint could not be run here.

*Ours.* Probes on a model's own activations, problems without leading zeros. `mul4x4-icot`: \
{icot}. `mul4x4-sft`, trained on the answer alone and able to multiply: {sft}. `mul4x4-stuck`, \
trained on the answer alone in a condition like the published one (its rate is ten times theirs) \
and failing ({stuck_right} of products right): {stuck}. {failing}

## R² = 1 for k = 0 … 5 (2510.00184, Table 1)

*The claim.* Digit embeddings, the last MLP's output weights and the final hidden state lie on the \
waves k = 0 … 5 with R² = 1.

*The control.* Random rows. These waves are ten columns of rank ten, and a digit has ten values: \
any ten numbers lie on them. Random rows have a median R² of {random}. The smaller basis, k = 0, \
1, 2 and 5, does say something: 5/9 = 0.556 is what it gives a random row in the mean; ours has, \
in the median of an object's rows, {waves}. Each of these has its own null, by permuted digits, in \
`interp.geometry.fourier`.

## Approximation read off hidden states (StreetMath, 2510.25776)

*The claim.* A probe tells from the hidden state of a number whether it lies near a multiple of K, \
in digits and in words.

*The control.* The larger class. "Within 1 of a multiple of 5" holds for three numbers of five, so \
"yes" is right in {near5} of cases; for 10 "no" in {near10}, for 9 in {near9}, for 7 in {near7}, \
and even and odd are alike. A probe that always says the larger class scores that share, so each \
published share stands beside it with Wilson's interval at its n = 1,500:

{street}

The public results of "Falcon-H1-7B" near 5 and near 10 are of falcon-mamba-7b-instruct, another \
model than the table names.

Of {cells} published shares {above} lie above the larger class and {not_above} do not: \
{not_above_names}. Whether the others show approximation is another question: for 2, 5 and 10 the \
last digit decides. The published shares are those of the best layer of 28 to 72, chosen on the \
same numbers as far as we know, which no interval here accounts for: read a small lead with care. \
`probes.near_multiples` (`arithmoscope probe near`) measures it on a model of yours, beside the \
larger class, the digits alone and random weights, with the layer chosen on other numbers.

## A hidden dimension that is a cosine (a widely shared claim)

*The claim.* Dimension 35 of Qwen3-0.6B follows one cosine over the digits, R² = .958.

*The control.* The same search with permuted digits. The dimension was chosen among all \
dimensions, layers and frequencies, so its R² must be compared with the largest that the search \
finds where there is no order to find. {cosine}
"""


def doubtful(recorded: Sequence[Mapping[str, Any]]) -> str:
    """The page's Markdown, from the rows of `recorded.json`."""
    found = {one["key"]: one for one in recorded if one["verdict"] != "not run"}
    published = {digit: found[f"bai-sft-{digit}"]["published"] for digit in CONSTANT}
    beyond = [digit for digit, value in published.items() if value > ROOT_MEAN_SQUARE[digit]]
    street = [row for row in rows() if row.measure == "majority_near" and row.key in found]
    under = [row for row in street if found[row.key]["verdict"] == "differs"]

    def errors(kind: str) -> str:
        return ", ".join(
            f"{digit} {_n(found[f'bai-{kind}-{digit}']['ours'])}" for digit in CONSTANT
        )

    return _TEXT.format(
        floors=_columns(
            {
                "published, fine-tuned": published, "a constant (the median)": CONSTANT,
                "0": ZERO, "root mean square": ROOT_MEAN_SQUARE,
            }
        ),
        beyond=_and(beyond),
        within=_and([digit for digit in published if digit not in beyond]),
        crossed=_crossed(found, published),
        crossed_verdicts=_crossed_verdicts(found),
        sft=errors("sft"),
        icot=errors("icot"),
        stuck=errors("stuck"),
        failing=_failing(found),
        stuck_right=f"{100 * found['bai-stuck-accuracy']['ours']:.2g} %",
        random=_n(found["bai-fourier-all"]["ours"]),
        waves=", ".join(
            f"{_n(found[f'bai-fourier-{name}']['ours'])} ({what})"
            for name, what in (("embedding", "embeddings"), ("neurons", "MLP output"),
                               ("logits", "final state"))
        ),
        **{f"near{k}": _n(_larger_class(street, found, k)) for k in (5, 10, 9, 7)},
        street=_street(street, found),
        cells=len(street),
        above=len(street) - len(under),
        not_above=len(under),
        not_above_names="; ".join(
            f"near {row.options['k']}, {row.condition} ({row.value:g})" for row in under
        ),
        cosine=_cosine(found),
    )  # fmt: skip


def _n(value: float) -> str:
    return number(float(f"{value:.3g}"))


def _and(names: Sequence[str]) -> str:
    """ "c2, c4 and c5" ."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _columns(lines: Mapping[str, Mapping[str, float]]) -> str:
    """A Markdown table with a row a line and a column a digit."""
    heading = f"| mean absolute error | {' | '.join(CONSTANT)} |\n|{'---|' * (len(CONSTANT) + 1)}"
    return "\n".join(
        [heading]
        + [
            f"| {name} | {' | '.join(_n(values[digit]) for digit in CONSTANT)} |"
            for name, values in lines.items()
        ]
    )


def _crossed(found: Mapping[str, Mapping[str, Any]], published: Mapping[str, float]) -> str:
    mine = {digit: found[f"bai-crossed-{digit}"] for digit in CONSTANT}

    def beside(name: str) -> dict[str, float]:
        return {digit: one["more"][name] for digit, one in mine.items()}

    return _columns(
        {
            "on its own activations": beside("own"),
            "on those of `mul4x4-icot`": {digit: one["ours"] for digit, one in mine.items()},
            "the same, exact least squares": beside("least squares"),
            "published, fine-tuned": published,
            "a constant (the median), our prompts": beside("constant"),
            "0, our prompts": beside("zero"),
        }
    )


def _crossed_verdicts(found: Mapping[str, Mapping[str, Any]]) -> str:
    by_verdict: dict[str, list[str]] = {}
    for digit in CONSTANT:
        by_verdict.setdefault(found[f"bai-crossed-{digit}"]["verdict"], []).append(digit)
    words = {
        "holds": "within a factor of 1.5 at",
        "open": "at its edge at",
        "differs": "farther off at",
    }
    return ", ".join(
        f"{words[name]} {_and(by_verdict[name])}" for name in words if name in by_verdict
    )


def _larger_class(street: Sequence[Row], found: Mapping[str, Mapping[str, Any]], k: int) -> float:
    return float(next(found[row.key]["ours"] for row in street if row.options["k"] == k))


def _street(street: Sequence[Row], found: Mapping[str, Mapping[str, Any]]) -> str:
    """A Markdown table with a row a published share."""
    lines = ["| K | numbers | published (95 %) | larger class | |", "|---|---|---|---|---|"]
    for row in street:
        above = "above" if found[row.key]["verdict"] == "holds" else "**not above**"
        lines.append(
            f"| {row.options['k']} | {row.condition} | {row.value:g} ({_n(row.low)} to "
            f"{_n(row.high)}) | {_n(found[row.key]['ours'])} | {above} |"
        )
    return "\n".join(lines)


def _failing(found: Mapping[str, Mapping[str, Any]]) -> str:
    """What the failing model's probe errors say, beside those of both that work and a constant."""
    error = {
        (kind, digit): float(found[f"bai-{kind}-{digit}"]["ours"])
        for kind in ("stuck", "sft", "icot")
        for digit in CONSTANT
    }
    others = {digit: (error["sft", digit], error["icot", digit]) for digit in CONSTANT}
    less = [digit for digit in CONSTANT if error["stuck", digit] > max(others[digit])]
    more = [digit for digit in CONSTANT if error["stuck", digit] < min(others[digit])]
    between = [digit for digit in CONSTANT if digit not in less + more]
    told = ", ".join(
        f"{what} at {_and(digits)}"
        for what, digits in (
            ("larger than those of both that work", less), ("between theirs", between),
            ("smaller than both", more),
        )
        if digits
    )  # fmt: skip
    ratios = [error["stuck", digit] / constant for digit, constant in CONSTANT.items()]
    return (
        f"Its errors are {told}; they are {min(ratios):.2f} to {max(ratios):.2f} times a "
        "constant's, where the published ones are larger than a constant's."
    )


def _cosine(found: Mapping[str, Mapping[str, Any]]) -> str:
    if "shared-cosine-null" not in found:
        return "On our models it is not recorded yet."
    null = found["shared-cosine-null"]
    more = null["more"]
    return (
        f"In SmolLM2, at the first digit, the largest over all layers, dimensions and frequencies "
        f"has with permuted digits a median R² of {null['ours']:.3f}; 95 % of "
        f"{more['draws']:.0f} draws stay below {null['high']:.3f}, and the largest is "
        f"{more['largest']:.3f}. Against them an R² of {null['published']:g} has p = "
        f"{more['p published']:.2g}: "
        + ("the search alone finds as much" if null["verdict"] == "differs" else "more than that")
        + f", in SmolLM2; Qwen3 was not searched here. Not every wave is chance: SmolLM2's own "
        f"best has R² = {more['ours']:.3f}, "
        f"p = {more['p ours']:.2g}. (Each draw permutes the digits alike in all layers.)"
    )
