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
without leading zeros are judged on such problems, by digit too; the others on all. The table dates
each digit on validation problems, logged every 500 or 1,000 steps; of runs without leading zeros,
whose validation problems have some, on training batches, logged every 50.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.stats import t as student

from bench.harness import RESULTS, recorded
from bench.pages import filled
from bench.pages import table as markdown_table
from bench.proofs import failing_and_working as contrasts
from bench.proofs import repairs
from bench.proofs import who_multiplies_figures as figures
from bench.proofs.failing_and_working import chance_text, middle
from bench.proofs.kept_runs import ROOT, Place, command, ship
from bench.proofs.who_multiplies_figures import INTERVAL
from interp.arithmetic.tasks import task
from interp.errors import ModelError
from interp.figures.export import pictures
from interp.models.fixtures import fixture_folders, fixtures_root
from interp.models.loading import open_module
from interp.models.sources import resolve
from interp.results.atomic import write_atomic
from interp.training import Recipe, design, dynamics
from interp.training.card import share
from interp.training.evaluation import score
from interp.training.evidence import Split, never_asks_zeros
from interp.training.export_model import LOG
from interp.training.log_rows import groups_of
from interp.training.rows import Encoder
from interp.training.stream import Stream

LEARNT = 0.99
_THREE = "mul:3x3"
FIGURES = ROOT / "docs" / "figures"
PAGE = ROOT / "docs" / "who-multiplies.md"


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
    problems = stream.split.sample(
        stream.task, "test", recipe.card_n, recipe.seed + 10**6, full_width=True
    )
    encoder = Encoder(tokenizer, stream.task, recipe.objective.final_format(recipe))
    scores = score(model, encoder, problems)
    groups = groups_of(problems, encoder.roles)
    by_digit = {role: share(scores.correct[groups[role]]) for role in encoder.roles}
    return {"full_width": {"accuracy": share(scores.exact), "by_digit": by_digit}}


class Effect(NamedTuple):
    """Mean of runs at + minus mean of runs at −, with a 95 % interval and the p of no effect; NaN
    without replicas."""

    name: str
    effect: float
    low: float
    high: float
    p: float


def effects(values: Mapping[tuple[design.Signs, int], float]) -> list[Effect]:
    """Main effects, then the two-factor interactions in pairs that cannot be told apart.

    `values` has every cell of the half fraction with the same seeds. An effect is Σ ± m_c / 4 over
    the cells' means m_c; its variance is Σ s_c² / 16k for k seeds with variances s_c², which may
    differ: cells at the ceiling have none. So Student's t has Satterthwaite's degrees of freedom,
    (k − 1)(Σ s_c²)² / Σ s_c⁴. Does not show: effects where the response is at its floor or its
    ceiling, such as an exact accuracy of 0 or 1.
    """
    seeds = sorted({seed for _, seed in values})
    table = np.array([[values[signs, seed] for seed in seeds] for signs in design.HALF])
    error = freedom = math.nan
    if len(seeds) > 1:
        spread = table.var(axis=1, ddof=1)
        error = math.sqrt(spread.sum() / len(seeds)) / 4
        freedom = (len(seeds) - 1) * spread.sum() ** 2 / (spread**2).sum() if error else math.inf
    half = error * float(student.ppf(0.975, freedom))
    signs = np.array(design.HALF)
    columns = {name: signs[:, at] for at, name in enumerate(design.FACTORS)}
    a, b, c, d = design.FACTORS
    pairs = {f"{a}×{y} or {z}×{w}": signs[:, 0] * columns[y]
             for y, z, w in ((b, c, d), (c, b, d), (d, b, c))}  # fmt: skip
    found = {name: 2 * float((sign @ table).mean()) / len(signs)
             for name, sign in (columns | pairs).items()}  # fmt: skip
    return [
        Effect(name, value, value - half, value + half,
               2 * float(student.sf(abs(value) / error, freedom)) if error else 0.0)
        for name, value in found.items()
    ]  # fmt: skip


def table(place: Place) -> str:
    """The table of all runs, as Markdown."""
    rate = best_rate(place, design.search())
    lines = [f"AdamW's rate: {rate or 'not known yet'}", ""]
    lines += [
        "| run | steps | exact, % | without leading zeros, % | each digit right, from c0, % "
        "| first step of each digit below 1 nat, from c0 | |"
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
    lead = f"Effects at 3×3, seeds {seeds}; of seven, so p wants to be below 0.05/7 = 0.007:"
    heads = ("effect", "exact accuracy, points", "c2 and c3, points", "log-odds of exact", "p")
    rows = (
        (e.name, _points(e), _points(d), _signed(o), chance_text(o.p))
        for e, d, o in zip(found.exact, found.middle, found.odds, strict=True)
    )
    return f"{lead}\n\n{markdown_table(heads, rows)}"


def asked_of(card: Mapping[str, Any]) -> Mapping[str, Any]:
    """Accuracy and accuracy by digit on problems like those that a run is trained on."""
    wide = card.get("design", {}).get("full_width", {})
    return wide if _without_leading_zeros(card["recipe"]) else card


def _line(place: Place, name: str) -> str:
    card = place.card(name)
    if card is None:
        return f"| {name} | | | | | | {'broke off' if place.failed(name) else 'outstanding'} |"
    wide = card.get("design", {}).get("full_width", {})
    asked = asked_of(card)
    right = " ".join(f"{100 * part['share']:.1f}" for part in asked["by_digit"].values())
    learnt = asked["accuracy"]["share"] >= LEARNT
    verdict = "learnt" if learnt else f"not learnt within {card['steps']} steps"
    shares = (_percent(card["accuracy"]), _percent(wide.get("accuracy")))
    order = " ".join(steps_learnt(place, name)) or "—"
    shown = (*shares, right, order, verdict)
    return f"| {name} | {card['steps']} | {' | '.join(shown)} |"


def steps_learnt(place: Place, name: str) -> list[str]:
    """The first logged step at which each digit's loss is below 1 nat, – for never; empty for a run
    without a log. A run from another's weights counts on from its end; = for a digit that was
    learnt before."""
    folder = fixture_folders().get(name, place.kept / name)
    if not (folder / LOG).is_file():
        return []
    card = place.card(name)
    before = _steps(place, card) - card["steps"] if card else 0
    order = dynamics(folder, split=_dated_on(card or {})).order

    def told(step: float) -> str:
        if math.isnan(step):
            return "–"
        return "=" if before and step <= 0 else f"{before + step:,.0f}"

    return [told(step) for step in order.loc[order["kind"] == "digit", "learnt_at"]]


def _without_leading_zeros(recipe: Mapping[str, Any]) -> bool:
    return any(part["options"].get("full_width", False) for part in recipe["mix"])


def _dated_on(card: Mapping[str, Any]) -> Split:
    """The log's split that dates learning: held-out problems; for runs without leading zeros, as
    held-out problems have some, training batches, which are fresh."""
    return "train" if never_asks_zeros(Recipe.from_json(card["recipe"])) else "validation"


def _percent(part: Mapping[str, float] | None) -> str:
    if part is None:
        return "—"
    share, low, high = (100 * part[key] for key in INTERVAL)
    return f"{share:.2f} [{low:.2f}, {high:.2f}]"


class Measured(NamedTuple):
    """Effects of the seeds with all cells, on three responses.

    exact   share of held-out products that are exact
    middle  mean share right of the middle digits c2 and c3; the four others are right everywhere
    odds    log-odds of `exact`, ln((right + ½) / (wrong + ½))
    """

    seeds: list[int]
    exact: list[Effect]
    middle: list[Effect]
    odds: list[Effect]


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
    digits = [f"c{k}" for k in middle(task(_THREE))]
    by_digit = {
        key: float(np.mean([card["by_digit"][digit]["share"] for digit in digits]))
        for key, card in kept.items()
    }
    odds = {key: _log_odds(card["accuracy"]) for key, card in kept.items()}
    return Measured(whole, effects(exact), effects(by_digit), effects(odds))


def _log_odds(part: Mapping[str, float]) -> float:
    return math.log((part["correct"] + 0.5) / (part["n"] - part["correct"] + 0.5))


def _points(found: Effect) -> str:
    effect, low, high = (100 * value for value in found[1:4])
    return _signed(found._replace(effect=effect, low=low, high=high))


def _signed(found: Effect) -> str:
    text = f"{found.effect:+.2f}"
    if math.isnan(found.low):
        return text
    return f"{text} [{found.low:+.2f}, {found.high:+.2f}]"


def parts(place: Place) -> dict[str, str]:
    """What the page takes from cards and records, by the name of its place there."""
    return {
        "stuck": stuck_sentence(place),
        "legs": legs_table(place),
        "contrasts 4×4": contrasts.markdown(recorded("failing_and_working_mul4x4")),
        "contrasts 3×3": contrasts.markdown(recorded("failing_and_working_mul3x3")),
        "repairs": _by_seed(lambda found: repairs.trained_table(found, _donors(found["stuck"]))),
        "edits": _by_seed(repairs.untrained_table),
        "rule": repairs.by_the_rule(_repaired()),
        "effects": effects_table(place),
        "table": table(place),
    }


def _by_seed(table_of: Callable[[Mapping[str, Any]], str]) -> str:
    """The tables of the repairs that have run, one a stuck model."""
    return "\n\n".join(table_of(one) for one in _repaired()) or "Not run yet."


def _repaired() -> list[Mapping[str, Any]]:
    """The records of the repairs that have run, one a stuck model."""
    names = [made.name for made in design.STUCK.values()]
    return [one for name in names if (one := recorded(f"repairs_{name}"))]


def _donors(stuck: str) -> list[Mapping[str, Any]]:
    """The records of single donors of attention to that stuck model."""
    return [recorded(path.stem) for path in sorted(RESULTS.glob(f"repairs_{stuck}_*.json"))]


def stuck_sentence(place: Place) -> str:
    """What `mul4x4-stuck` gets right, whole and by digit."""
    shipped = place.card("mul4x4-stuck") or {}
    card = place.card(shipped["trained_as"]["run"]) or {}
    asked = asked_of(card)
    shares = {digit: part["share"] for digit, part in asked["by_digit"].items()}
    high = [digit for digit, share in shares.items() if share >= contrasts.WORKING]
    low = ", ".join(f"{k} in {100 * v:.0f} %" for k, v in shares.items() if k not in high)
    part = asked["accuracy"]
    steps = _steps(place, card)
    anew = f", the optimiser begun anew after every {card['steps']:,}"
    return (
        f"`mul4x4-stuck`: AdamW, the answer alone, uniform operands without leading zeros, a "
        f"constant rate; {steps:,} steps of {card['recipe']['batch']} fresh problems"
        f"{anew if steps > card['steps'] else ''}. Of "
        f"{part['n']:,} held-out products without leading zeros it gets {100 * part['share']:.2f} "
        f"% right ({100 * part['low']:.2f} to {100 * part['high']:.2f}). {', '.join(high)} are "
        f"right in {100 * min(shares[k] for k in high):.1f} % or more, {low}."
    )


def legs_table(place: Place) -> str:
    """The digits that P has not learnt after its first leg, leg by leg: share right, and the mean
    loss of the last 100 logged batches with its standard error."""
    name = f"mul4x4-published-{best_rate(place, design.search())}"
    if (first := place.card(name)) is None:
        return "Not run yet."
    late = [
        k for k, part in asked_of(first)["by_digit"].items() if part["share"] < contrasts.WORKING
    ]
    rows = []
    for leg in (name, f"{name}-leg2", f"{name}-leg3"):
        card = place.card(leg)
        if card is None:
            continue
        log = pd.read_parquet(place.kept / leg / LOG)
        batches = log[(log["split"] == "train") & (log["step"] >= 0)].sort_values("step")
        told = []
        for digit in late:
            loss = batches.loc[batches["group"] == digit, "loss"].tail(100)
            part = asked_of(card)["by_digit"][digit]
            right = repairs.points([part[key] for key in INTERVAL])
            told.append(f"{right}; {loss.mean():.3f} ± {loss.sem():.3f}")
        rows.append((f"{_steps(place, card):,}", *told))
    heads = [f"{digit}: right, %; loss, nats" for digit in late]
    return markdown_table(("steps", *heads), rows)


def _steps(place: Place, card: Mapping[str, Any]) -> int:
    """The steps of a run and of those that it started from."""
    base = card["recipe"]["base"]
    before = place.card(Path(base).name) if base else None
    return int(card["steps"]) + (_steps(place, before) if before else 0)


def cells(place: Place, rate: str) -> dict[design.Signs, list[figures.Share]]:
    """Exact accuracy of the 3×3 runs that have ended, by cell of the half fraction."""
    return {
        signs: [card["accuracy"] for seed in design.SEEDS
                if (card := place.card(design.cell(signs, rate, seed).name))]
        for signs in design.HALF
    }  # fmt: skip


def four_digit_runs(rate: str) -> dict[str, str]:
    """The 4×4 runs by what they change, from P, which is like the published condition, to ours."""
    published, muon, mixes, sums, lengths, simple, fixed, *legs = design.four_digits(rate)
    steps = f"{published.steps:,}"
    return {
        "P, like the published": published.name,
        f"P, {steps} steps more": legs[0].name,
        f"P, {steps} steps more again": legs[1].name,
        "P + Muon": muon.name,
        "P + both mixes": mixes.name,
        "P + running sums": sums.name,
        "ours, fixed set": fixed.name,
        "ours − simple": simple.name,
        "ours − lengths": lengths.name,
        "ours, mul4x4-sft": "mul4x4-sft",
    }


def four_digit_rows(place: Place, rate: str) -> dict[str, figures.Row]:
    """What is known of the 4×4 runs that have ended."""
    rows = {}
    for label, name in four_digit_runs(rate).items():
        if card := place.card(name):
            asked = asked_of(card)
            rows[label] = figures.Row(
                asked["by_digit"], asked["accuracy"], steps_learnt(place, name)
            )
    return rows


def main() -> None:
    """Run the requested parts; without an option print the table and draw the figure."""
    place = Place(Path("runs"), fixtures_root() / "design")

    def told() -> str:
        rate = best_rate(place, design.search())
        if rate is not None and (found := measured(place, rate)) is not None:
            drawn = {
                "mul3x3": figures.three_digits(cells(place, rate), found),
                "mul4x4": figures.four_digits(four_digit_rows(place, rate)),
            }
            for name, one in drawn.items():
                write_atomic(FIGURES / f"{name}-who-multiplies.png", pictures(one, ("png",))["png"])
        write_atomic(PAGE, filled(PAGE.read_text(encoding="utf-8"), parts(place)).encode())
        return f"{table(place)}\n\n{effects_table(place)}"

    def note() -> str:
        if best_rate(place, design.search()) is not None:
            return ""
        return "the others are planned once these three have shown AdamW's best rate\n"

    def shipped() -> str:
        ready = [name for name in design.STUCK if (place.runs / name / "card.json").is_file()]
        for name in ready:
            made = design.STUCK[name]
            out = fixtures_root() / "models" / made.name
            ship(place.runs / name, made, out, place.kept)
        return "\n".join(f"{name} as {design.STUCK[name].name}" for name in ready)

    command(__doc__, place, lambda: planned(place), full_width, told, note, shipped)


if __name__ == "__main__":
    main()
