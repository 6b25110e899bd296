"""Train the runs of `interp.training.design` one after another; cards make their table.

    python -m bench.proofs.who_multiplies              table and figure of what has run so far,
                                                       also into docs/who-multiplies.md
    python -m bench.proofs.who_multiplies --list       what is done and what is outstanding
    python -m bench.proofs.who_multiplies --next       the next outstanding run
    python -m bench.proofs.who_multiplies --run-all    all of them; after a kill it goes on
    python -m bench.proofs.who_multiplies --ship       copy finished runs that ship as models

From the root of a clean checkout, on one thread. Models and checkpoints lie in `runs/NAME`; of each
run only card and log come to `fixtures/design/NAME`, with the commit of the code.

Rule for AdamW's rate, stated before any run: of the three rates, the one whose run of the published
cell (seed 0) has the lowest loss on validation problems after its last step. A run that broke off
because a number stopped being one has an infinite loss; of equal ones the lower rate counts.

A run below 99 % has not learnt within its steps; that is not to say that it cannot. Runs trained
without leading zeros are judged on such problems, by digit too; the others on all.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots
from scipy.stats import t as student

from bench.harness import recorded
from bench.proofs.kept_runs import ROOT, Place, command, ship
from interp.errors import InputError, ModelError
from interp.figures.export import pictures
from interp.figures.theme import ACCENT, GREY, error_bars, frame
from interp.models.fixtures import fixture_folders, fixtures_root
from interp.models.loading import open_module
from interp.models.sources import resolve
from interp.results.atomic import write_atomic
from interp.training import Recipe, design, dynamics
from interp.training.card import share
from interp.training.evaluation import score
from interp.training.export_model import LOG
from interp.training.log_rows import groups_of
from interp.training.rows import Encoder
from interp.training.stream import Stream

LEARNT = 0.99
PAGE = ROOT / "docs" / "who-multiplies.md"
INTERVAL = ("share", "low", "high")


def last_loss(place: Place, name: str) -> float:
    """Loss on validation problems after the last step; infinite where the run broke off."""
    if place.failed(name):
        return math.inf
    log = pd.read_parquet(place.kept / name / LOG)
    rows = log[(log["split"] == "validation") & (log["group"] == "total")]
    return float(rows.loc[rows["step"].idxmax(), "loss"])


def best_rate(place: Place, search: Mapping[str, Recipe]) -> str | None:
    """The rate that the rule above chooses; None before all of `search` has run."""
    if not all(place.done(recipe.name) for recipe in search.values()):
        return None
    losses = {rate: last_loss(place, recipe.name) for rate, recipe in search.items()}
    if not any(math.isfinite(loss) for loss in losses.values()):
        raise ModelError("no rate of AdamW trained the published cell to its end: add lower ones")
    return min(losses, key=lambda rate: losses[rate])


def planned(place: Place) -> list[Recipe]:
    """All runs in order: the search and, once it has ended, the two designs."""
    search = design.search()
    rate = best_rate(place, search)
    later = () if rate is None else (*design.three_digits(rate), *design.four_digits(rate))
    found = {recipe.name: recipe for recipe in (*search.values(), *later)}
    return list(found.values())


def full_width(recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Exact accuracy and accuracy by digit on distinct test problems without a leading zero, which
    the published models are asked."""
    model, tokenizer, _ = open_module(resolve(str(folder)), torch.float32)
    stream = Stream(recipe)
    problems = stream.split.draw(
        stream.task, "test", recipe.card_n, recipe.seed + 10**6, full_width=True
    ).distinct()
    encoder = Encoder(tokenizer, stream.task, recipe.objective.final_format(recipe))
    scores = score(model, encoder, problems)
    groups = groups_of(problems, encoder.roles)
    by_digit = {role: share(scores.correct[groups[role]]) for role in encoder.roles}
    return {"full_width": {"accuracy": share(scores.exact), "by_digit": by_digit}}


class Effect(NamedTuple):
    """Mean of runs at + minus mean of runs at −, with a 95 % interval; NaN without replicas."""

    name: str
    effect: float
    low: float
    high: float


def effects(values: Mapping[tuple[design.Signs, int], float]) -> list[Effect]:
    """Main effects, then the two-factor interactions in pairs that cannot be told apart.

    `values` has every cell of the half fraction with the same seeds. The spread is that between the
    seeds of a cell, pooled over the cells (Student's t). Does not show: effects where the response
    is at its floor or its ceiling, such as an exact accuracy of 0 or 1.
    """
    seeds = sorted({seed for _, seed in values})
    table = np.array([[values[signs, seed] for seed in seeds] for signs in design.HALF])
    freedom = len(design.HALF) * (len(seeds) - 1)
    half = math.nan
    if freedom:
        spread = math.sqrt(((table - table.mean(1, keepdims=True)) ** 2).sum() / freedom)
        half = float(student.ppf(0.975, freedom)) * spread * math.sqrt(4 / table.size)
    signs = np.array(design.HALF)
    columns = {name: signs[:, at] for at, name in enumerate(design.FACTORS)}
    a, b, c, d = design.FACTORS
    pairs = {f"{a}×{y} or {z}×{w}": signs[:, 0] * columns[y]
             for y, z, w in ((b, c, d), (c, b, d), (d, b, c))}  # fmt: skip
    found = {name: 2 * float((sign @ table).mean()) / len(signs)
             for name, sign in (columns | pairs).items()}  # fmt: skip
    return [Effect(name, value, value - half, value + half) for name, value in found.items()]


def table(place: Place) -> str:
    """The table of all runs, as Markdown."""
    rate = best_rate(place, design.search())
    lines = [f"AdamW's rate: {rate or 'not known yet'}", ""]
    lines += [
        "| run | steps | exact, % | without leading zeros, % | digits from c0, % "
        "| step of each digit below 1 nat, from c0 | |"
    ]
    lines += ["|---|---|---|---|---|---|---|"]
    own = [design.cell((1, 1, 1, -1), "slow", seed) for seed in design.SEEDS]
    names = [recipe.name for recipe in (*planned(place), *own)]
    lines += [_line(place, name) for name in (*names, "mul4x4-sft", "mul4x4-aux")]
    return "\n".join(lines)


def effects_table(place: Place) -> str:
    """Of the seeds that have all eight cells, the effects, as Markdown; empty without one."""
    rate = best_rate(place, design.search())
    found = None if rate is None else measured(place, rate)
    if found is None:
        return ""
    seeds = ", ".join(map(str, found.seeds))
    lines = [f"Effects at 3×3 in percentage points, seeds {seeds}:", ""]
    lines += ["| effect | exact accuracy | mean accuracy of a digit |", "|---|---|---|"]
    lines += [
        f"| {e.name} | {_points(e)} | {_points(d)} |"
        for e, d in zip(found.exact, found.digit, strict=True)
    ]
    return "\n".join(lines)


def _line(place: Place, name: str) -> str:
    card = place.card(name)
    if card is None:
        return f"| {name} | | | | | | {'broke off' if place.failed(name) else 'outstanding'} |"
    wide = card.get("design", {}).get("full_width", {})
    # By what the run is trained for.
    asked = wide if _without_leading_zeros(card["recipe"]) else card
    right = " ".join(f"{100 * part['share']:.1f}" for part in asked["by_digit"].values())
    learnt = asked["accuracy"]["share"] >= LEARNT
    verdict = "learnt" if learnt else f"not learnt within {card['steps']} steps"
    shares = (_percent(card["accuracy"]), _percent(wide.get("accuracy")))
    shown = (*shares, right, _order(place, name), verdict)
    return f"| {name} | {card['steps']} | {' | '.join(shown)} |"


def _order(place: Place, name: str) -> str:
    """The step from which the validation loss of each digit is below 1 nat; – for never."""
    folder = fixture_folders().get(name, place.kept / name)
    if not (folder / LOG).is_file():
        return "—"
    order = dynamics(folder).order
    steps = order.loc[order["kind"] == "digit", "learnt_at"]
    return " ".join("–" if math.isnan(step) else f"{step:.0f}" for step in steps)


def _without_leading_zeros(recipe: Mapping[str, Any]) -> bool:
    return any(part["options"].get("full_width", False) for part in recipe["mix"])


def _percent(part: Mapping[str, float] | None) -> str:
    if part is None:
        return "—"
    share, low, high = (100 * part[key] for key in INTERVAL)
    return f"{share:.2f} [{low:.2f}, {high:.2f}]"


class Measured(NamedTuple):
    """Effects on exact accuracy and on a digit's mean accuracy, of the seeds with all cells."""

    seeds: list[int]
    exact: list[Effect]
    digit: list[Effect]


def measured(place: Place, rate: str) -> Measured | None:
    """The effects of the 3×3 design; None before one seed has all of its cells."""
    cards = {
        (signs, seed): place.card(design.cell(signs, rate, seed).name)
        for signs in design.HALF
        for seed in design.SEEDS
    }
    whole = [seed for seed in design.SEEDS if all(cards[signs, seed] for signs in design.HALF)]
    if not whole:
        return None
    kept = {key: card for key, card in cards.items() if card and key[1] in whole}
    exact = {key: card["accuracy"]["share"] for key, card in kept.items()}
    digit = {
        key: float(np.mean([part["share"] for part in card["by_digit"].values()]))
        for key, card in kept.items()
    }
    return Measured(whole, effects(exact), effects(digit))


def _points(found: Effect) -> str:
    text = f"{100 * found.effect:+.2f}"
    if math.isnan(found.low):
        return text
    return f"{text} [{100 * found.low:+.2f}, {100 * found.high:+.2f}]"


def parts(place: Place) -> dict[str, str]:
    """What the page takes from cards and records, by the name of its place there."""
    return {
        "contrasts": contrast_table(recorded("failing_and_working_mul4x4")),
        "effects": effects_table(place),
        "table": table(place),
    }


def contrast_table(found: Mapping[str, Any]) -> str:
    """The stuck model beside those that multiply, a row a contrast, as Markdown."""
    stuck, *others = sorted(found["models"], key=lambda model: float(model["exact"]))
    lines = [f"| contrast | `{stuck['model']}` | the {len(others)} that multiply | |"]
    lines += ["|---|---|---|---|"]
    for row in found["verdicts"]:
        name = row["contrast"]
        values = [model[name] for model in others]
        lines.append(
            f"| {name} | {stuck[name]:.2f} | {min(values):.2f} to {max(values):.2f} "
            f"| {row['failing | working']} |"
        )
    return "\n".join(lines)


def filled(page: str, content: Mapping[str, str]) -> str:
    """The page with each part between its marks, `<!-- name -->` and `<!-- /name -->`."""
    for name, text in content.items():
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, _, rest = page.partition(start)
        _, found, after = rest.partition(end)
        if not found:
            raise InputError(f"the page has no place {start.strip()} … {end}")
        page = f"{before}{start}\n{text}\n\n{end}{after}"
    return page


def figure(place: Place, rate: str) -> go.Figure:
    """Left, exact accuracy of every 3×3 run, a row a cell; right, the effects with intervals."""
    found = measured(place, rate)
    assert found is not None
    drawn = make_subplots(
        1, 2, column_widths=[0.56, 0.44], horizontal_spacing=0.24,
        subplot_titles=("the eight cells and their seeds", "effect on exact accuracy, points"),
    )  # fmt: skip
    for signs in sorted(design.HALF):
        label = _words(signs)
        cards = [place.card(design.cell(signs, rate, seed).name) for seed in design.SEEDS]
        parts = [card["accuracy"] for card in cards if card]
        share, low, high = 100 * np.array([[p[key] for p in parts] for key in INTERVAL])
        drawn.add_scatter(
            x=share, y=[label] * len(parts), mode="markers", showlegend=False,
            marker={"color": ACCENT, "size": 8, "opacity": 0.7},
            error_x=error_bars(share, low, high, ACCENT), row=1, col=1,
        )  # fmt: skip
    value, low, high = (
        100 * np.array([getattr(one, key) for one in found.exact])
        for key in ("effect", "low", "high")
    )
    names = [one.name.replace(" or ", "<br>or ") for one in found.exact]
    drawn.add_scatter(
        x=value, y=names, mode="markers", showlegend=False, marker={"color": ACCENT, "size": 8},
        error_x=error_bars(value, low, high, ACCENT), row=1, col=2,
    )  # fmt: skip
    drawn.add_vline(x=0, line={"color": GREY, "width": 1}, row=1, col=2)
    drawn.update_xaxes(title="held-out products exact, %", range=[-3, 103], row=1, col=1)
    drawn.update_xaxes(title="mean at + less mean at –", row=1, col=2)
    drawn.update_yaxes(autorange="reversed", row=1, col=2)
    drawn.update_annotations(font_size=13)
    return frame(
        drawn,
        title="Which training choices let a model learn 3×3 multiplication?",
        caption=f"mul:3x3, 2 layers of width 128, 8,000 steps, half fraction I = +ABCD, seeds "
        f"{', '.join(map(str, found.seeds))}; 10,000 held-out products a run (Wilson 95 %); "
        "effects with Student's 95 % over seeds within cells, interactions in aliased pairs.",
        notes=("what longer training would reach", "effects near the ceiling of 100 %"),
        height=380,
    )


def _words(signs: design.Signs) -> str:
    muon, lengths, simple, sums = (sign > 0 for sign in signs)
    mixes = [name for name, on in (("lengths", lengths), ("simple", simple)) if on]
    mix = " + ".join(mixes) or "uniform"
    return f"{'Muon' if muon else 'AdamW'}, {mix}, {'sums' if sums else 'answer'}"


def main() -> None:
    """Run the requested parts; without an option print the table and draw the figure."""
    place = Place(Path("runs"), fixtures_root() / "design")

    def told() -> str:
        rate = best_rate(place, design.search())
        if rate is not None and measured(place, rate) is not None:
            drawn = pictures(figure(place, rate), ("png",))["png"]
            write_atomic(ROOT / "docs" / "figures" / "mul3x3-who-multiplies.png", drawn)
        write_atomic(PAGE, filled(PAGE.read_text(encoding="utf-8"), parts(place)).encode())
        return f"{table(place)}\n\n{effects_table(place)}"

    def note() -> str:
        if best_rate(place, design.search()) is not None:
            return ""
        return "the others are planned once these three have shown AdamW's best rate\n"

    if "--ship" in sys.argv[1:]:
        for name, made in design.STUCK.items():
            if (place.runs / name / "card.json").is_file():
                ship(place.runs / name, made, fixtures_root() / "models" / made.name)
        return
    command(__doc__, place, lambda: planned(place), full_width, told, note)


if __name__ == "__main__":
    main()
