"""The page of doubtful claims, docs/doubtful-claims.md: each with the control that decides it, and
its numbers from the recorded rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from interp.results.display import number

CONSTANT = {"c2": 28.97, "c3": 33.43, "c4": 29.99, "c5": 24.71, "c6": 17.26}
"""Mean absolute error of the median of ĉ_k on the paper's own 1,000 validation problems."""

_TEXT = """# Four doubtful claims, each with the control that decides it

Numbers of ours come from the recorded run of `arithmoscope rerun` \
([Published numbers beside ours](reproductions.md)); this page is generated with it.

## The probe of the fine-tuned model (2510.00184, Fig. 3)

*The claim.* A linear probe reads the running sums ĉ_2 … ĉ_6 from the model with implicit chain of \
thought with a mean absolute error of 0.56 to 2, and from the fine-tuned model with one of 28 to \
113: the one that works holds them, the one that fails does not.

*The control.* A constant. The median of ĉ_k alone has an error of {constants} on the paper's \
validation problems: the published errors of the fine-tuned model are {worse} times as large. A \
probe fitted by least squares on a model's own activations cannot do that, whatever they hold. The \
public script records activations of one model only and gives them to both probes, so the number \
compares a probe with the wrong model's activations. That is strong evidence, not proof: the \
checkpoint could not be run here.

*Ours.* Probes on a model's own activations. `mul4x4-icot`: {icot}. `mul4x4-sft`, trained on the \
answer alone and able to multiply: {sft}. `mul4x4-stuck`, trained on the answer alone in the \
published condition and failing ({stuck_right} of products right): {stuck}. {failing}

## R² = 1 for k = 0 … 5 (2510.00184, Table 1)

*The claim.* Digit embeddings, the last MLP's output weights and the final hidden state lie on the \
waves k = 0 … 5 with R² = 1.

*The control.* Random rows. These waves are ten columns of rank ten, and a digit has ten values: \
any ten numbers lie on them. Random rows have a median R² of {random}. The smaller basis, k = 0, \
1, 2 and 5, does say something: 5/9 = 0.556 is what it gives random rows in the mean, and ours has \
{waves}.

## Approximation read off hidden states (StreetMath, 2510.25776)

*The claim.* A probe tells from the hidden state of a number written in words whether it lies near \
a multiple of K, with accuracies from .6 up.

*The control.* The larger class. "Within 1 of a multiple of 5" holds for three numbers of five, \
so the answer "yes" is right in {near5} of cases; for 10 the answer "no" in {near10}, for 7 in \
{near7}. Beside that, near 5 in words is {words5}, near 10 {words10}, near 7 in digits .56: the \
majority class. Accuracies in digits (.97 to .998 near 5 and 10) are far above it. `probes.probe` \
prints the majority class beside every accuracy as `constant`.

## A hidden dimension that is a cosine (a widely shared claim)

*The claim.* Dimension 35 of Qwen3-0.6B follows one cosine over the digits, R² = .958.

*The control.* The best of as many. The dimension was chosen among all dimensions, layers and \
frequencies, so its R² must be compared with the best of as many for permuted digits. \
{cosine}
"""


def doubtful(recorded: Sequence[Mapping[str, Any]]) -> str:
    """The page's Markdown, from the rows of `recorded.json`."""
    found = {one["key"]: one for one in recorded if one["verdict"] != "not run"}

    def ours(key: str) -> str:
        return number(float(f"{found[key]['ours']:.3g}"))

    def errors(kind: str) -> str:
        return ", ".join(f"{digit} {ours(f'bai-{kind}-{digit}')}" for digit in CONSTANT)

    published = {digit: found[f"bai-sft-{digit}"]["published"] for digit in CONSTANT}
    ratios = [published[digit] / CONSTANT[digit] for digit in CONSTANT]
    return _TEXT.format(
        constants=", ".join(f"{digit} {value:g}" for digit, value in CONSTANT.items()),
        worse=f"{min(ratios):.1f} to {max(ratios):.1f}",
        sft=errors("sft"),
        icot=errors("icot"),
        stuck=errors("stuck"),
        failing=_failing(found),
        stuck_right=f"{100 * found['bai-stuck-accuracy']['ours']:.2g} %",
        random=ours("bai-fourier-all"),
        waves=", ".join(
            f"{ours(f'bai-fourier-{name}')} ({what})"
            for name, what in (("embedding", "embeddings"), ("neurons", "MLP output"),
                               ("logits", "final state"))
        ),
        near5=ours("streetmath-near-5-qwen"),
        near10=ours("streetmath-near-10-qwen"),
        near7=ours("streetmath-near-7-digits"),
        words5="{} (Qwen2.5-3B) and {} (Dream-7B)".format(
            *(f"{found[f'streetmath-near-5-{x}']['published']:g}" for x in ("qwen", "dream"))
        ),
        words10="{} and {}".format(
            *(f"{found[f'streetmath-near-10-{x}']['published']:g}" for x in ("qwen", "dream"))
        ),
        cosine=_cosine(found),
    )  # fmt: skip


def _failing(found: Mapping[str, Mapping[str, Any]]) -> str:
    """What the failing model's probe errors say, beside those of both that work and a constant."""
    error = {
        (kind, digit): float(found[f"bai-{kind}-{digit}"]["ours"])
        for kind in ("stuck", "sft", "icot")
        for digit in CONSTANT
    }
    less = [
        digit for digit in CONSTANT
        if error["stuck", digit] > max(error["sft", digit], error["icot", digit])
    ]  # fmt: skip
    ratios = [error["stuck", digit] / constant for digit, constant in CONSTANT.items()]
    others = [digit for digit in CONSTANT if digit not in less]
    told = (
        f"It holds less than both that work at {', '.join(less) or 'no digit'}; at "
        f"{', '.join(others) or 'no digit'} as much as one of them. "
    )
    return told + (
        f"Its errors are {min(ratios):.2f} to {max(ratios):.2f} times a constant's, where the "
        "published ones are larger than a constant's."
    )


def _cosine(found: Mapping[str, Mapping[str, Any]]) -> str:
    if "shared-cosine" not in found:
        return "On our models it is not recorded yet."
    best, null = found["shared-cosine"], found["shared-cosine-null"]
    return (
        f"In SmolLM2, over all layers at the first digit, the best dimension has "
        f"R² = {best['ours']:.3f} on one wave; with permuted digits 95 % of draws stay below "
        f"{null['low']:.3f} to {null['high']:.3f}, by layer. "
        + (
            "The largest over all layers is higher still: an R² of .958 is about what the search "
            "alone finds."
            if null["high"] >= best["published"] - 0.02
            else "So .958 is more than the search alone finds in this model."
        )
    )
