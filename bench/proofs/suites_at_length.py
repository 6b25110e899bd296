"""The suites that bring their own questions, at length, on language models.

    python -m bench.proofs.suites_at_length --model smollm2   all parts; goes on after a kill
    python -m bench.proofs.suites_at_length --model smollm2 --part near   one part, again
    python -m bench.proofs.suites_at_length                   docs/suites.md, of what has run

    lengths   sums of 1 to 9 digits, by digit length, in the prompt that the model answers best
    commas    sums of 4 to 6 digits: plain, commas from the right, commas from the left (2402.14903)
    noisy     a wrong digit forced into the answer (2307.03381)
    street    StreetMath's topics in three wordings (2510.25776)
    near      StreetMath's probes of numbers near a multiple, beside their controls
    cookbook  Number Cookbook, 41 tasks, 1 to 4 digits (2411.03766)

Each part is recorded in `bench/results/suites_MODEL.json` as it ends. Formats are asked different
problems, so that their two-proportion test holds.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

import interp
import probes
from bench.harness import record, recorded
from bench.pages import filled
from bench.proofs.kept_runs import ROOT
from bench.proofs.suites_tables import LENGTH_N, PROMPTS, tables
from interp.results.atomic import write_atomic
from interp.suites._cookbook import drawn_problems
from interp.suites.grades import compare_shares

MODELS = ("smollm2", "smollm2-arith", "gemma3-270m")
LENGTHS, COMMAS = range(1, 10), (4, 5, 6)
FORMATS = ("plain@2:0", "commas-r2l@2:0", "commas-l2r@2:0")
SEED = 0
COOKED, SHOTS = 40, 2  # problems a cell of the Cookbook, and examples before each
PAGE = ROOT / "docs" / "suites.md"

Part = Callable[[Any], Mapping[str, Any]]


def _accuracy(model: Any, task: str, form: str, n: int) -> dict[str, float]:
    seed = SEED + (1 + FORMATS.index(form) if form in FORMATS else 0)
    found = interp.behaviour.accuracy(model, task, n=n, format=form, seed=seed, strict=False)
    m = found.metrics
    names = {"share": "exact_accuracy", "low": "exact_accuracy_low", "high": "exact_accuracy_high"}
    digits = found.breakdown("digit").set_index("answer_digit")["correct"]
    highest = f"c{int(task.partition(':')[2]) - 1}"  # of the operands; the carry out lies above
    return {name: m[key] for name, key in names.items()} | {
        "digit": m["digit_accuracy"], "readable": m["readable"], "n": found.n,
        "exact": round(m["exact_accuracy"] * found.n), "last": int(digits["c0"]),
        "highest": int(digits[highest]),
    }  # fmt: skip


def lengths(model: Any) -> Mapping[str, Any]:
    """Accuracy by digit length."""
    return {
        f"add:{k}": _accuracy(model, f"add:{k}", PROMPTS[model.name], LENGTH_N) for k in LENGTHS
    }


def commas(model: Any) -> Mapping[str, Any]:
    """Accuracy by format and digit length, and two-proportion tests against the plain format over
    all lengths: of whole answers, of the last digit and of the operands' highest."""
    cells = {
        form: {f"add:{k}": _accuracy(model, f"add:{k}", form, 100) for k in COMMAS}
        for form in FORMATS
    }
    plain, *others = FORMATS
    tests = {
        form: {
            what: compare_shares(_pooled(cells[plain], what), _pooled(cells[form], what))._asdict()
            for what in ("exact", "last", "highest")
        }
        for form in others
    }
    return {"cells": cells, "against plain": tests}


def _pooled(cells: Mapping[str, Mapping[str, float]], what: str) -> tuple[int, int]:
    counts = [(int(cell[what]), int(cell["n"])) for cell in cells.values()]
    right, asked = map(sum, zip(*counts, strict=True))
    return right, asked


def noisy(model: Any) -> Mapping[str, Any]:
    """Answers behind a forced wrong digit."""
    return interp.suites.noisy_prefix(
        model, "add:3", n=200, format=PROMPTS[model.name], seed=SEED
    ).metrics


def street(model: Any) -> Mapping[str, Any]:
    """Grades by wording and topic; `chance` is of all topics together, None for one of them."""
    found = interp.suites.approximation(model, n=240, seed=SEED)
    grades = found.grades.to_dict("records")
    return {"metrics": found.metrics, "grades": grades, "conclusion": found.conclusion()}


def near(model: Any) -> Mapping[str, Any]:
    """Probes of numbers near a multiple, at every fifth layer, with the tests against their
    controls; statistics of the states of every layer."""
    layers = tuple(range(0, model.shape.n_layers, 5))
    found = probes.near_multiples(model, layers=layers, n=2000, seed=SEED)
    columns = ["k", "layer", "wording", "accuracy", "low", "high", "majority", "digits_alone",
               "untrained"]  # fmt: skip
    return {
        "chosen": found.chosen[columns].to_dict("records"),
        "random": found.random[found.random["chosen"]].to_dict("records"),
        "tests": found.tests.to_dict("records"), "metrics": found.metrics,
        "states": found.states.to_dict("records"), "conclusion": found.conclusion(),
    }  # fmt: skip


def asked(task: str, length: int) -> pd.DataFrame:
    """The problems of one cell of `cookbook`."""
    return drawn_problems(task, length, COOKED, SHOTS, SEED)[1]


def _told(done: int, total: int) -> None:
    print(f"  {done} of {total}", flush=True)


def cookbook(model: Any) -> Mapping[str, Any]:
    """Scores by task and digit length, and the learnt lengths."""
    found = interp.suites.cookbook(
        model, lengths=(1, 2, 3, 4), n=COOKED, shots=SHOTS, seed=SEED, progress=_told
    )
    return {
        "metrics": found.metrics, "lengths": found.lengths.to_dict("records"),
        "learned": found.learned.to_dict("records"), "conclusion": found.conclusion(),
    }  # fmt: skip


PARTS: Mapping[str, Part] = {
    part.__name__: part for part in (lengths, commas, noisy, street, near, cookbook)
}


def name_of(model: str) -> str:
    """The record of a model."""
    return f"suites_{model}"


def records() -> dict[str, Mapping[str, Any]]:
    """The recorded parts of each model that has run some."""
    known = {model: recorded(name_of(model)) for model in MODELS}
    return {model: found["parts"] for model, found in known.items() if found}


def main() -> None:
    """Run what is not recorded yet, or the part that is named; each is recorded as it ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", choices=MODELS, help="the model to ask; none writes the page")
    parser.add_argument("--part", choices=PARTS, help="this part, also where it has run before")
    options = parser.parse_args()
    if options.model is None:
        text = filled(PAGE.read_text(encoding="utf-8"), tables(records(), asked))
        write_atomic(PAGE, text.encode())
        return
    done = dict(records().get(options.model, {}))
    model = interp.load(options.model)
    for name, part in PARTS.items():
        if name == options.part or (options.part is None and name not in done):
            print(f"{options.model}: {name}", flush=True)
            done[name] = part(model)
            record(
                name_of(options.model), SEED, {"model": options.model, "parts": done}, show=False
            )


if __name__ == "__main__":
    main()
