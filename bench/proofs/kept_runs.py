"""Many training runs, one after another: of each only card and log are kept.

A proof names its recipes; models and checkpoints lie in `runs/NAME`, card and log come to a folder
of `fixtures/`, with the commit of the code. A run that is cut goes on from its checkpoint.
"""

from __future__ import annotations

import argparse
import inspect
import json
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from interp.engine.requests import Cancel
from interp.errors import Cancelled, InputError, ModelError
from interp.models.fixtures import fixture_folders, read_card
from interp.results.atomic import write_atomic
from interp.training import Recipe, Validation, train
from interp.training.export_model import LOG

ROOT = Path(__file__).resolve().parents[2]
CODE = ("interp", "bench/proofs/kept_runs.py")  # and the file of the proof itself
LARGEST_LOG = 200_000  # bytes

Measure = Callable[[Recipe, Path], Mapping[str, Any]]
"""What a proof measures on a finished model, beside its card."""


class Place(NamedTuple):
    """Where runs train, and where their cards and logs are kept."""

    runs: Path
    kept: Path

    def card(self, name: str) -> Mapping[str, Any] | None:
        """The kept card of a run, or of the shipped model that is one; None where there is none."""
        return read_card(fixture_folders().get(name, self.kept / name))

    def failed(self, name: str) -> bool:
        """Whether the run broke off for good."""
        return (self.kept / name / "failed.json").is_file()

    def done(self, name: str) -> bool:
        """Whether the run has finished training."""
        return self.failed(name) or self.card(name) is not None


def outstanding(place: Place, recipes: Sequence[Recipe]) -> list[Recipe]:
    """Runs not done, without those that start from a run that broke off."""
    return [
        recipe
        for recipe in recipes
        if not place.done(recipe.name)
        and not (recipe.base is not None and place.failed(Path(recipe.base).name))
    ]


def code_commit(measure: Measure) -> str:
    """The last commit that changed a run's code, or the proof that measures it.

    Raises InputError where the code is not committed.
    """
    code = (*CODE, inspect.getfile(measure))
    if changed := _git("status", "--porcelain", "--", *code):
        raise InputError(f"cards name the commit of the code: commit or undo first\n{changed}")
    return _git("log", "-1", "--format=%H", "--", *code)


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(f"cards name a commit: run this in a git checkout ({error})") from error
    return done.stdout.strip()


def run_one(
    recipe: Recipe, place: Place, commit: str, measure: Measure, cancel: Cancel | None = None
) -> bool:
    """Train or resume a run, and keep its card and log. False if cancelled, with a checkpoint."""
    out = place.runs / recipe.name
    _note_commit(out, commit)

    def say(now: Validation) -> None:
        digits = " ".join(f"{role} {right:.2f}" for role, right in now.by_digit.items())
        print(f"{now.step:6d}  loss {now.loss:.4f}  exact {now.exact:.4f}  {digits}", flush=True)

    try:
        train(recipe, out, threads=1, on_validation=say, cancel=cancel)
    except Cancelled:
        return False
    except ModelError as error:
        _write(place.kept / recipe.name / "failed.json", {"error": str(error), "commit": commit})
        return True
    keep(recipe, place, measure)
    return True


def _note_commit(out: Path, commit: str) -> None:
    """One line a commit that a part of the run was trained at, in the order of the parts."""
    file = out.with_name(f"{out.name}.commits")
    file.parent.mkdir(parents=True, exist_ok=True)
    known = file.read_text().split() if file.is_file() else []
    if known[-1:] != [commit]:
        file.write_text("\n".join([*known, commit]) + "\n")


def keep(recipe: Recipe, place: Place, measure: Measure) -> None:
    """Copy log and, last of all, card; the card then has `design`: commits, seconds, and what
    `measure` adds."""
    out, kept = place.runs / recipe.name, place.kept / recipe.name
    kept.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(out / LOG, kept / LOG)
    thin(kept / LOG)
    card = dict(read_card(out) or {})
    seconds = 60 * float(card["wall_minutes"])
    card["design"] = {
        "commits": out.with_name(f"{out.name}.commits").read_text().split(),
        "seconds": round(seconds, 1),
        "steps_per_second": float(card["steps"]) / seconds if seconds else None,
        **measure(recipe, out),
    }
    _write(kept / "card.json", card)


def thin(path: Path, largest: int = LARGEST_LOG) -> None:
    """Leave out what is logged of the run that this one started from, which keeps its own log; and
    of the training batches without gradients every second, until the file is small enough."""
    log = pd.read_parquet(path)
    log = log[log["step"] >= 0]
    while True:
        log.to_parquet(path, index=False)
        batches = (log["split"] == "train") & ~log["step"].isin(
            log.loc[log["grad_norm"].notna(), "step"]
        )
        steps = np.sort(log.loc[batches, "step"].unique())
        if path.stat().st_size <= largest or len(steps) < 2:
            return
        log = log[~(batches & log["step"].isin(steps[1::2]))]


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def whole_log(log: pd.DataFrame, recipe: Recipe, kept: Path) -> pd.DataFrame:
    """The log of a run behind those of the runs that it started from, whose steps are negative."""
    if recipe.base is None:
        return log
    start = kept / Path(recipe.base).name
    card = read_card(start) or {}
    earlier = whole_log(pd.read_parquet(start / LOG), Recipe.from_json(card["recipe"]), kept)
    before = earlier.assign(step=earlier["step"] - card["steps"])
    # A run's log has the end of its start at step 0 already.
    return pd.concat([before[before["step"] < 0], log], ignore_index=True)


def ship(run: Path, recipe: Recipe, out: Path, kept: Path) -> None:
    """Copy a finished run into `out` as the shipped model of `recipe`, which differs from the run's
    in the name alone; the card says which run it was. The log begins with those of the runs that it
    started from, of which `kept` has cards and logs.

    Raises InputError for a run that has not ended, or of another recipe.
    """
    card = dict(read_card(run) or {})
    if not card:
        raise InputError(f"{run} is no finished run: let it end first")
    if replace(Recipe.from_json(card["recipe"]), name=recipe.name) != recipe:
        raise InputError(f"{run} was trained by another recipe than {recipe.name}'s")
    shutil.copytree(
        run, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns("checkpoints", "series")
    )
    thin(out / LOG)
    whole_log(pd.read_parquet(out / LOG), recipe, kept).to_parquet(out / LOG, index=False)
    commits = run.with_name(f"{run.name}.commits").read_text().split()
    card |= {
        "name": recipe.name, "recipe": recipe.to_json(),
        "trained_as": {"run": run.name, "commits": commits},
    }  # fmt: skip
    _write(out / "card.json", card)


def run_outstanding(
    place: Place,
    planned: Callable[[], Sequence[Recipe]],
    measure: Measure,
    only: str = "",
    most: int | None = None,
    cancel: Cancel | None = None,
) -> None:
    """Train outstanding runs named with `only`, at most `most`; each may add to the plan."""
    commit = code_commit(measure)
    count = 0
    while most is None or count < most:
        waiting = [r for r in outstanding(place, planned()) if only in r.name]
        if not waiting:
            return
        recipe = waiting[0]
        print(f"{recipe.name}: {len(waiting)} outstanding", flush=True)
        if not run_one(recipe, place, commit, measure, cancel):
            return
        count += 1


def command(
    description: str | None,
    place: Place,
    planned: Callable[[], Sequence[Recipe]],
    measure: Measure,
    table: Callable[[], str],
    note: Callable[[], str] = lambda: "",
    shipped: Callable[[], str] | None = None,
) -> None:
    """The command line of such a proof: run the requested parts; without an option the table.

    `note` stands below the list; `shipped`, of proofs with runs that ship, copies them.
    """
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--table", action="store_true", help="the table, from cards (the default)")
    what.add_argument("--list", action="store_true", help="what is done and what is outstanding")
    what.add_argument("--next", action="store_true", help="train the next outstanding run")
    what.add_argument("--run-all", action="store_true", help="train all outstanding runs")
    if shipped is not None:
        what.add_argument("--ship", action="store_true", help="copy finished runs that ship")
    parser.add_argument("--only", default="", help="runs whose name contains this")
    options = parser.parse_args()
    if options.list:
        for recipe in planned():
            if options.only in recipe.name:
                print("done       " if place.done(recipe.name) else "outstanding", recipe.name)
        print(note(), end="")
    elif options.next or options.run_all:
        torch.set_num_threads(1)
        cancel = Cancel()  # a request to end leaves a checkpoint of the step at hand
        signal.signal(signal.SIGTERM, lambda *_: cancel.set())
        most = 1 if options.next else None
        run_outstanding(place, planned, measure, options.only, most, cancel)
    elif shipped is not None and options.ship:
        print(shipped())
    else:
        print(table())
