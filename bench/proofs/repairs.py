"""What frees the middle digits of a stuck multiplier? Repairs with and without training.

    python -m bench.proofs.repairs runs/STUCK --other runs/ANOTHER --freed mul3x3-sft
    python -m bench.proofs.repairs runs/STUCK --attention runs/DONOR    one more donor, by itself
    python -m bench.proofs.repairs runs/STUCK --attention begun    attention as training began

**With training**, all for the same steps at a constant rate from the stuck weights, on the answer
alone unless stated:

    as it is           nothing changed (control)
    other's attention  the attention weights of another stuck seed (control)
    freed attention    the attention weights of a model that multiplies
    running sums       the loss of the running sums added

**Without training**, at the output of the last layer's attention where c_k is predicted, which the
loss of the running sums reads too:

    probe     the output moves along the data's pattern until a probe reads the true ĉ_k
    same sum  the output becomes that of another prompt with the same ĉ_k

each beside random edits whose rows have the same lengths. All are made in the freed model too: an
edit that takes its answer away hands over no sum, and says nothing about the stuck one. (At the
stream behind the attention "same sum" would be the other prompt's answer by construction.) *moved*
says how often the predicted digit comes out when the probe is moved to another sum.

Two things are scored apart: *knowing* the sum (R² and mean absolute error of the probe on held-out
problems, beside the one-hot operand digits) and *emitting* its last digit (c_k is the likeliest
token after the true digits before it). All on held-out products without leading zeros.

Rule, stated before any run: a repair with training works if from every stuck seed its exact
accuracy is above that of both controls, with intervals apart; one without training, if it brings
out each middle digit more often than the largest of its random edits, intervals apart, and the same
edit leaves the freed model its digit.

Does not show: that a repair that fails here would fail with more steps, nor that one that works is
what happens in a model that learns by itself.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file

import interp
import probes
from bench.harness import record
from bench.pages import table
from bench.proofs.failing_and_working import middle
from interp.engine._run import run_variants
from interp.engine.interventions import Add, Rows
from interp.engine.requests import Variant
from interp.models.fixtures import read_card
from interp.models.sources import resolve
from interp.models.weights import weight_hash
from interp.results.intervals import wilson
from interp.training import Recipe, train
from interp.training.products import FOUR_DIGITS, THREE_DIGITS
from interp.training.run_state import TrainingRun
from probes.causal_test import edit, random_edit
from probes.fitted import FittedProbe

Floats = npt.NDArray[np.float64]

RANDOMS = 8
SUMS = {recipe.task: recipe.objective for recipe in (THREE_DIGITS[1], FOUR_DIGITS[1])}
FREED = "untrained, in the freed model"
BEGUN = "begun"
CONTROLS = ("as it is", "other's attention")


def grafted(stuck: Path, donor: Path, out: Path) -> Path:
    """A folder with the stuck model, but for the attention weights of the donor; the card says so.

    Raises ValueError for models of different shapes.
    """
    shutil.copytree(stuck, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns("checkpoints"))
    weights, others = (load_file(folder / Recipe.weights_file) for folder in (stuck, donor))
    names = [name for name in weights if ".attn." in name]
    for name in names:
        if weights[name].shape != others[name].shape:
            raise ValueError(f"{name} has other shapes in {stuck} and {donor}")
        weights[name] = others[name].clone()
    save_file(weights, out / Recipe.weights_file, metadata={"format": "pt"})
    card = dict(read_card(stuck) or {})
    card |= {"weight_hash": weight_hash(weights), "grafted": {"from": str(donor), "tensors": names}}
    (out / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    return out


def begun(stuck: Path, out: Path) -> Path:
    """A folder with the stuck model as its training began; the card has its seed."""
    shutil.copytree(stuck, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns("checkpoints"))
    card = dict(read_card(stuck) or {})
    run = TrainingRun.start(Recipe.from_json(card["recipe"]))
    run.save_model(out)
    card |= {"weight_hash": weight_hash(load_file(out / Recipe.weights_file)), "steps": 0}
    (out / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    return out


def further(stuck: Path, steps: int) -> Recipe:
    """The stuck model's own recipe for so many steps more, at a constant rate from its weights."""
    card = read_card(stuck) or {}
    return replace(
        Recipe.from_json(card["recipe"]), name="as-it-is", steps=steps, stop_after=None,
        target=None, decay="constant", seed=int(card["seed"]) + 100, series=(), base=str(stuck),
    )  # fmt: skip


def with_attention(stuck: Path, donor: Path, steps: int, out: Path, short: str) -> Recipe:
    """The same, from its weights with the attention of the donor, written to `out`."""
    base = grafted(stuck, donor, out / f"start-{short}")
    return replace(further(stuck, steps), name=short, base=str(base))


def arms(
    stuck: Path, other: Path, freed: Path, steps: int, out: Path
) -> Iterator[tuple[str, Recipe]]:
    """The recipe of each repair, which differs from the first in one thing."""
    own = further(stuck, steps)
    yield "as it is", own
    for name, donor in (("other's attention", other), ("freed attention", freed)):
        short = name.replace("'", "").replace(" ", "-")
        yield name, with_attention(stuck, donor, steps, out, short)
    yield "running sums", replace(own, name="running-sums", objective=SUMS[own.task])


def scores(folder: str | Path, *, n: int, seed: int) -> dict[str, Any]:
    """Exact accuracy, and for each middle digit what the model knows and what it emits."""
    model: Any = interp.load(str(folder))
    found: dict[str, Any] = {"exact": exact(model, n, seed)}
    for k in middle(model.task):
        fitted = reader(model, k, n, seed)
        asked = fitted.held_out.distinct()
        error = np.abs(fitted.predict(model, asked) - fitted.target.values(asked))
        found[f"c{k}"] = {
            "r2": fitted.score, "one_hot_r2": fitted.one_hot, "mae": float(error.mean()),
            "emits": share(emitted(model, asked, k)),
        }  # fmt: skip
    return found


def exact(model: Any, n: int, seed: int) -> list[float]:
    """Exact accuracy on held-out problems without leading zeros, with Wilson's bounds; an answer
    that cannot be read is not exact."""
    asked = model.held_out(n, seed=seed, full_width=True)
    found = interp.behaviour.accuracy(model, asked, strict=False).metrics
    return [found[f"exact_accuracy{end}"] for end in ("", "_low", "_high")]


def reader(model: Any, k: int, n: int, seed: int) -> FittedProbe:
    """A probe of ĉ_k in the output of the last attention, where c_k is predicted."""
    return probes.fit(
        model, model.held_out(n, seed=seed, full_width=True), f"running_sum[{k}]", site="attn_out",
        layer=model.shape.n_layers - 1, role=f"predicts(c{k})", seed=seed, split="problem",
    )  # fmt: skip


def emitted(model: Any, problems: Any, k: int) -> npt.NDArray[np.bool_]:
    """Whether c_k is the likeliest token after the true digits before it, [n]."""
    return _right(model, model.prompts(problems), k, [()])[0]


def share(right: npt.NDArray[np.bool_]) -> list[float]:
    """Share, Wilson's bounds and n."""
    low, high = wilson(int(right.sum()), len(right))
    return [float(right.mean()), float(low), float(high), len(right)]


def untrained(source: str | Path, *, n: int, seed: int) -> dict[str, Any]:
    """For each middle digit: the share emitted without an edit, with each, and with random ones."""
    model: Any = interp.load(str(source))
    found: dict[str, Any] = {}
    for k in middle(model.task):
        fitted = reader(model, k, n, seed)
        asked = fitted.held_out.distinct()
        batch = model.prompts(asked)
        X = fitted.activations(model, batch).astype(np.float64)
        true = fitted.target.values(asked)
        deltas = {
            "probe": edit(fitted, fitted.reading(X), true[:, None], "pattern"),
            "same sum": same_sum(model, fitted, true, n, seed) - X,
        }
        rng = np.random.default_rng(seed)
        edits = [(), *((_add(fitted, k, delta),) for delta in deltas.values())]
        for delta in deltas.values():
            edits += [(_add(fitted, k, random_edit(delta, rng, X)),) for _ in range(RANDOMS)]
        rows = _right(model, batch, k, edits)
        own, randoms = rows[1 : 1 + len(deltas)], rows[1 + len(deltas) :]
        found[f"c{k}"] = {"no edit": share(rows[0])}
        for at, name in enumerate(deltas):
            drawn = randoms[at * RANDOMS : (at + 1) * RANDOMS]
            found[f"c{k}"] |= {
                name: share(own[at]), f"{name}, random": float(np.mean(drawn)),
                f"{name}, best random": share(max(drawn, key=np.mean)),
            }  # fmt: skip
        found[f"c{k}"]["moved"] = probes.intervene(model, fitted, seed=seed).metrics
    return found


def same_sum(model: Any, fitted: FittedProbe, true: Floats, n: int, seed: int) -> Floats:
    """The activations [n, d] of other prompts with the same sum; where none has it, the nearest."""
    others = model.task.sample(8 * n, seed=seed + 10**6, full_width=True).distinct()
    X = fitted.activations(model, fitted.prompts(model, others)).astype(np.float64)
    values = fitted.target.values(others)
    known = np.unique(values)
    nearest = known[np.abs(known[None] - true[:, None]).argmin(axis=1)]
    rng = np.random.default_rng(seed)
    return np.asarray(X[[rng.choice(np.flatnonzero(values == value)) for value in nearest]])


def _add(fitted: FittedProbe, k: int, delta: Floats) -> Add:
    values = torch.from_numpy(delta)[:, None].to(torch.float32)
    layer = fitted.hook.layer
    source = Rows({layer: values})
    return Add(fitted.hook.site, source, layers=(layer,), roles=(f"predicts(c{k})",))


def _right(model: Any, batch: Any, k: int, edits: Any) -> list[npt.NDArray[np.bool_]]:
    labels = batch.labels(f"c{k}")

    def first(logits: torch.Tensor, part: slice) -> torch.Tensor:
        return logits.argmax(dim=-1)

    variants = [Variant(f"edit {i}", tuple(one)) for i, one in enumerate(edits)]
    runs = run_variants(model, batch, variants, logits=[f"c{k}"], reduce=first)
    return [np.asarray(one.logits[:, 0] == labels) for one in runs]  # type: ignore[index]


def trained_table(found: Mapping[str, Any], donors: Sequence[Mapping[str, Any]] = ()) -> str:
    """Of the trained repairs, what a model knows and emits at each middle digit, as Markdown;
    last those with the attention of `donors`, each a record of `--attention`."""
    names = list(next(iter(found["trained"].values())))[1:]
    known = [text for k in names for text in (f"{k}: R² (one-hot)", f"{k} right, %")]
    rows = []
    for arm, row in (*found["trained"].items(), *((_donor(one), one["row"]) for one in donors)):
        cells = [arm, points(row["exact"])]
        for name in names:
            of = row[name]
            cells += [f"{of['r2']:.3f} ({of['one_hot_r2']:.3f})", points(of["emits"])]
        rows.append(cells)
    return table([f"from `{found['stuck']}`", "exact, %", *known], rows)


def _donor(found: Mapping[str, Any]) -> str:
    if found["donor"] == BEGUN:
        return "attention as training began"
    seed = "its own seed" if found["same_seed"] else "another seed"
    right = 100 * found["donor_exact"][0]
    return f"attention of `{found['donor']}` ({seed}, {right:.1f} % exact)"


def untrained_table(found: Mapping[str, Any]) -> str:
    """Of the edits, how often each middle digit is right, %, as Markdown."""
    edits = ("no edit", "probe", "probe, best random", "same sum", "same sum, best random")
    rows = []
    for key, name in (("untrained", found["stuck"]), (FREED, found["freed"])):
        for digit, row in found[key].items():
            moved = (100 * row["moved"][f"{arm}_predicted"] for arm in ("probe", "random"))
            told = "{:.1f} ({:.1f})".format(*moved)
            rows.append([f"`{name}`", digit, *(points(row[edit]) for edit in edits), told])
    return table(["model", "digit", *edits, "moved (random)"], rows)


def by_the_rule(found: Sequence[Mapping[str, Any]]) -> str:
    """Each repair's verdict by the rule above: the stuck models in which it holds, and whether
    those are all."""
    kept: dict[str, list[str]] = {}
    for one in found:
        controls = max(one["trained"][arm]["exact"][2] for arm in CONTROLS)
        for arm, row in one["trained"].items():
            if arm not in (*CONTROLS, "stuck"):
                kept.setdefault(arm, []).extend([one["stuck"]] * (row["exact"][1] > controls))
        for arm in ("probe", "same sum"):
            stuck, freed = one["untrained"].values(), one[FREED].values()
            brings = all(digit[arm][1] > digit[f"{arm}, best random"][2] for digit in stuck)
            leaves = all(digit[arm][2] >= digit["no edit"][1] for digit in freed)
            kept.setdefault(arm, []).extend([one["stuck"]] * (brings and leaves))
    lines = []
    for arm, names in kept.items():
        verdict = "works" if len(names) == len(found) else "does not work"
        where = ", ".join(f"`{name}`" for name in names) or "none"
        lines.append(f"- **{arm}** {verdict}: beyond its controls in {where}")
    return "\n".join(lines) or "Not run yet."


def points(found: Sequence[float]) -> str:
    """A share in percent, with Wilson's bounds."""
    middle, low, high = (100 * value for value in found[:3])
    return f"{middle:.1f} [{low:.1f}, {high:.1f}]"


def one_donor(stuck: Path, options: argparse.Namespace) -> None:
    """Train and record the stuck model with the attention of one donor."""
    out = options.runs / stuck.name
    name = options.attention
    donor = begun(stuck, out / BEGUN) if name == BEGUN else Path(resolve(name).path)
    recipe = with_attention(stuck, donor, options.steps, out, f"attention-{donor.name}")
    train(recipe, out / recipe.name, threads=1)
    seeds = [(read_card(folder) or {})["seed"] for folder in (stuck, donor)]
    body = {
        "stuck": stuck.name, "donor": donor.name, "same_seed": seeds[0] == seeds[1],
        "steps": options.steps, "n": options.n,
        "donor_exact": exact(interp.load(str(donor)), options.n, options.seed),
        "row": scores(out / recipe.name, n=options.n, seed=options.seed),
    }  # fmt: skip
    record(f"repairs_{stuck.name}_{donor.name}", options.seed, body)


def main() -> None:
    """Train what is missing, score all, print and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stuck", type=Path, help="folder of the stuck model")
    parser.add_argument("--other", type=Path, help="another stuck seed")
    parser.add_argument("--freed", help="a model that multiplies: name or folder")
    parser.add_argument("--attention", help=f"only this one's: name, folder or {BEGUN!r}")
    parser.add_argument("--steps", type=int, default=5000, help="of each repair")
    parser.add_argument("--n", type=int, default=2000, help="problems, and prompts of the probes")
    parser.add_argument("--seed", type=int, default=0, help="of problems and random edits")
    parser.add_argument("--runs", type=Path, default=Path("runs/repairs"), help="trainings")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.attention:
        one_donor(options.stuck, options)
        return
    if options.other is None or options.freed is None:
        parser.error("give --other and --freed, or --attention")
    freed = Path(resolve(options.freed).path)
    out = options.runs / options.stuck.name
    rows = {"stuck": scores(options.stuck, n=options.n, seed=options.seed)}
    for name, recipe in arms(options.stuck, options.other, freed, options.steps, out):
        train(recipe, out / recipe.name, threads=1)
        rows[name] = scores(out / recipe.name, n=options.n, seed=options.seed)
        print(name, rows[name], flush=True)
    body = {
        "stuck": options.stuck.name, "other": options.other.name, "freed": options.freed,
        "steps": options.steps, "n": options.n, "trained": rows,
        "untrained": untrained(options.stuck, n=options.n, seed=options.seed),
        FREED: untrained(options.freed, n=options.n, seed=options.seed),
    }  # fmt: skip
    record(f"repairs_{options.stuck.name}", options.seed, body)


if __name__ == "__main__":
    main()
