"""All for one (arXiv 2509.09650): search for the sparsest schedule that keeps the answers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.ablation._evaluate import result, score
from interp.ablation._grid import full_answers
from interp.ablation._removal import measure
from interp.ablation.complete import StagedResources
from interp.ablation.picture import picture
from interp.ablation.problems import named
from interp.ablation.replacements import Replacement
from interp.ablation.results.af1 import AllForOne, beside_target
from interp.ablation.results.evaluate import AblationScore
from interp.ablation.schedule import Schedule
from interp.ablation.search import Search, search
from interp.ablation.setting import Draw, Setting, n_distinct
from interp.ablation.visible import OPEN, PEEK, SELF, check_mask
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress
from interp.errors import InputError
from interp.models.asking import Asked
from interp.models.model import Model
from interp.results.grid import Axis, Grid
from interp.results.result import MIN_DISTINCT

Ints = npt.NDArray[np.int64]


@shows_progress
def af1(
    model: Model,
    asked: Asked,
    *,
    n: int = 512,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    target: float = 0.9,
    replacement: str | Replacement = "cama",
    sink: str = "first",
    transfer_mask: str = PEEK,
    heads: bool = True,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> AllForOne:
    """Greedy search for the sparsest schedule on half of the prompts, scored on the other half.

    Args:
        asked, n, format, held_out, seed: as in `evaluate`; the seed also draws the halves.
        target: the least faithfulness that the search accepts.
        transfer_mask: the mask of the last tokens in transfer layers (`visible`).
        heads: whether to cut heads inside the transfer layers; False keeps them all.
        Others as in `evaluate`.

    Returns:
        The subgraph with its curve of waits, its windows, the heads in the order in which they were
        cut, and the removals. `status` and `reason` say whether no subgraph keeps the target or the
        prompts are uninformative. On the test half a schedule may fall below the target: reason and
        verdict then say so.

    Does not show: that no other subgraph exists; the search is greedy.

    Raises:
        InputError: for fewer than four distinct prompts, and as `evaluate`.
    """
    if not 0 < target <= 1:
        raise InputError(f"target={target}: a faithfulness lies above 0 and is at most 1.")
    check_searchable(transfer_mask)
    draw = Draw(n, seed, format, held_out)
    setting = Setting.asked(
        model, asked, draw, replacement, sink, StagedResources(memory, cancel, progress)
    )
    halves = split(setting)
    setting.resources.report(5)
    found = attempt(halves, target, transfer_mask, heads=heads, curve=True)
    found_on = _result(setting, halves, found, target, transfer_mask, heads)
    setting.resources.report(100)
    return found_on


def check_searchable(mask: str) -> None:
    """Raise InputError for a transfer mask that the search cannot use."""
    check_mask(mask)
    if mask in (OPEN, SELF):
        raise InputError(
            f"the search needs a mask under which the last tokens look at others and no other "
            f"token does, not {mask!r}: choose 'full-peek', 'operands' or 'window:K'."
        )


@dataclass(frozen=True, eq=False)
class Split:
    """Train/test split of the prompts: `train` for the search, `test` for the scores. `why`: the
    reason the split is uninformative, else ""."""

    train: Setting
    test: Setting
    right: npt.NDArray[np.bool_]  # of the test half
    why: str


@dataclass(frozen=True, eq=False)
class Attempt:
    """A search, and its score on the test half."""

    status: str
    reason: str
    search: Search | None
    score: AblationScore | None


def split(setting: Setting) -> Split:
    """Two halves of the distinct prompts, drawn with the seed; equal prompts stay together.

    Raises InputError for fewer than four distinct prompts.
    """
    if setting.batch.n_distinct < 4:
        raise InputError(
            f"{setting.batch.n_distinct} distinct prompts cannot be split into a half to search "
            f"and a half to measure on: take more."
        )
    full, _ = full_answers(setting)
    right = setting.right(full)
    prompt = setting.prompt
    order = np.random.default_rng(setting.seed).permutation(prompt.max() + 1)
    first = np.isin(prompt, order[: len(order) // 2])
    counts = [n_distinct(setting.batch, right & half) for half in (first, ~first)]
    why = ""
    if min(counts) < MIN_DISTINCT:
        why = (
            f"the model answers {counts[0]} distinct prompts of one half rightly and {counts[1]} "
            f"of the other; below {MIN_DISTINCT} nothing can be said. Take more prompts, or "
            f"prompts that it reads better (interp.behaviour.search_prompts finds some)."
        )
    rows = [np.flatnonzero(half) for half in (first, ~first)]
    return Split(setting.rows(rows[0]), setting.rows(rows[1]), right[rows[1]], why)


def attempt(halves: Split, target: float, mask: str, *, heads: bool, curve: bool) -> Attempt:
    """Run `search` on the train half and score its schedule on the test half."""
    test = halves.test
    constant = test.beside(halves.right)["constant"] if halves.right.any() else float("nan")
    if halves.why:
        return Attempt("uninformative", halves.why, None, None)
    if constant >= target:
        return Attempt(
            "uninformative",
            f"one constant answer keeps {100 * constant:.0f} % of what the model gets right, as "
            f"much as the target asks for. Take prompts with more different answers.",
            None,
            None,
        )
    found = search(halves.train, target, mask, heads=heads, curve=curve)
    if found.schedule is None:
        status = "uninformative" if found.windows else "none"
        return Attempt(status, found.reason, found, None)
    quiet = replace(test, resources=replace(test.resources, progress=None))
    answers = score(quiet, found.schedule)
    scored = result(test, found.schedule, answers["full"], answers["ablated"])
    m = scored.metrics
    if m["faithfulness_low"] <= constant:
        return Attempt(
            "uninformative",
            f"on prompts that the search did not see, faithfulness "
            f"({100 * m['faithfulness']:.0f} %, at least {100 * m['faithfulness_low']:.0f} %) is "
            f"not above that of the best constant answer ({100 * constant:.0f} %).",
            found,
            scored,
        )
    reason = (
        f"found on {len(halves.train.batch)} prompts, measured on {len(test.batch)} others: "
        f"{100 * m['faithfulness']:.1f} % ({100 * m['faithfulness_low']:.1f} to "
        f"{100 * m['faithfulness_high']:.1f} %) are kept there, "
        f"{beside_target(m['faithfulness'], m['faithfulness_low'], target)}."
    )
    return Attempt("found", reason, found, scored)


def _result(
    setting: Setting,
    halves: Split,
    found: Attempt,
    target: float,
    mask: str,
    heads: bool,
) -> AllForOne:
    test, depth = halves.test, setting.model.shape.n_layers
    schedule = found.search.schedule if found.search is not None else None
    kept = schedule if found.status == "found" else None
    settings = {
        "target": target,
        "transfer_mask": mask,
        "heads": heads,
        "schedule": None if kept is None else kept.spec(),
        "n_searched": len(halves.train.batch),
    }
    beside = test.beside(halves.right)
    common = setting.common(table=True, **settings)
    sizes = {"n": len(test.batch), "n_distinct": test.batch.n_distinct}
    return AllForOne(
        **common | sizes,
        status=found.status,
        reason=found.reason,
        target=target,
        wait=-1 if kept is None else kept.wait,
        transfer=() if kept is None else kept.transfer,
        heads=_heads(kept, setting.model.shape.n_heads),
        waits=_waits(found.search, depth),
        windows=_windows(found.search, depth),
        pruning=_pruning(found.search),
        removal=_removal(test, kept),
        scores=pd.DataFrame([] if found.score is None else [found.score.metrics]),
        searched=tuple(dict.fromkeys(named(halves.train.batch.problems))),
        searched_faithfulness=found.search.faithfulness if found.search else float("nan"),
        n_layers=depth,
        picture="" if kept is None else picture(kept, test.places, depth),
        **beside,
    )


def _heads(schedule: Schedule | None, n_heads: int) -> Ints:
    if schedule is None:
        return np.zeros((0, 2), dtype=np.int64)
    every = [(layer, head) for layer in schedule.transfer for head in range(n_heads)]
    found = every if schedule.heads is None else schedule.heads
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def _waits(search: Search | None, depth: int) -> Grid:
    axes = (Axis("wait", tuple(map(str, range(depth + 1)))),)
    nothing = np.full(depth + 1, np.nan)
    values, low, high = (nothing, nothing, nothing) if search is None else search.waits
    return Grid(values, axes, low, high)


def _windows(search: Search | None, depth: int) -> Grid:
    starts, widths = (tuple(map(str, range(depth + 1))) for _ in range(2))
    values = np.full((3, depth + 1, depth + 1), np.nan)
    for (start, width), found in (search.windows if search else {}).items():
        values[:, start, width] = found
    return Grid(values[0], (Axis("start", starts), Axis("width", widths)), values[1], values[2])


def _pruning(search: Search | None) -> pd.DataFrame:
    if search is not None:
        return search.pruning_table()
    return pd.DataFrame(columns=["step", "layer", "head", "faithfulness", "logit_difference"])


def _removal(test: Setting, schedule: Schedule | None) -> pd.DataFrame:
    if schedule is None:
        return pd.DataFrame(columns=["where", "layer", "faithfulness", "low", "high"])
    return measure(replace(test, resources=test.resources.stage(92, 99)), schedule)[0]
