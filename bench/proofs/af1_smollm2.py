"""All-for-one ablation of SmolLM2: where and when a language model adds.

For `smollm2-arith`, or plain `smollm2` with examples in front and `--sink shots`, on prompts whose
sink is the same for (nearly) all, so that it carries no information about the problem: the wait ×
transfer grid, the search on one half with the removals on the other, the same search under every
replacement and mask, and the schedule that was found on the other styles, operators and ranges.
Every number has the count of distinct right prompts, intervals and the best constant's score. If
the search finds no such subgraph, or is inconclusive, that is the result.

What the search found is saved whole beside the numbers (`…_search`, for `Result.load`): `transfer`
leaves out the problems that it saw, whichever run it was.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import interp
from bench.harness import RESULTS, record
from interp.ablation import Schedule
from interp.ablation.results.af1 import AllForOne
from interp.arithmetic.problems import Problems
from interp.errors import InputError

STYLES = ("plain", "calculate", "qa-short", "af1-verbal", "af1-qa", "af1-instruction", "af1-word",
          "af1-python")  # fmt: skip
OTHERS = ("sub:{d}", "add:1", "add:2", "add:3", "expr:A+B+C:{d}", "expr:A-B-C:{d}")  # d digits


def main() -> None:
    """Run the requested parts; write each on completion, beside earlier ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-arith")
    parser.add_argument("--task", default="add:2")
    parser.add_argument("--format", default="af1-verbal", help="should begin every prompt alike")
    parser.add_argument("--bos", default="", help="text that every prompt begins with")
    parser.add_argument("--sink", default="first")
    parser.add_argument("--n", type=int, default=256)
    parser.add_argument("--transfer-n", type=int, default=128, help="prompts of each other kind")
    parser.add_argument("--target", type=float, default=0.9)
    parser.add_argument("--replacement", default="cama:value")
    parser.add_argument("--parts", nargs="+", choices=[*PARTS], default=[*PARTS])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    model = interp.load(options.model)
    if options.bos:
        model = model.starting_with(options.bos)
    problems = draw(options.task, options.n, options.seed)
    batch = model.prompts(problems, format=options.format)
    name = named(options)
    about = {
        "model": dict(model.id._asdict()),
        "task": options.task,
        "format": batch.format,
        "bos": options.bos,
        "first_prompt": batch.texts[0],
        "n": len(batch),
        "n_distinct": batch.n_distinct,
        "target": options.target,
        "replacement": options.replacement,
        "sink": options.sink,
    }
    body = {**about, **finished(name, options.seed, about)}
    for part in (part for part in PARTS if part in options.parts):
        body[part] = PARTS[part](model, batch, options, body)
        body["commands"] = {**body.get("commands", {}), part: command()}
        body["command"] = " && ".join(dict.fromkeys(body["commands"].values()))
        record(name, options.seed, body)


def named(options: Any) -> str:
    """File name of these options."""
    return f"af1_{options.model.replace('/', '_')}_{options.task.replace(':', '')}"


def command() -> str:
    """The command that runs now."""
    return shlex.join(["python", "-m", "bench.proofs.af1_smollm2", *sys.argv[1:]])


def finished(name: str, seed: int, about: dict[str, Any]) -> dict[str, Any]:
    """The parts that earlier runs about the very same prompts wrote, and their `commands`."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return {}
    before = json.loads(path.read_text(encoding="utf-8"))
    if before["seed"] != seed or any(before.get(key) != value for key, value in about.items()):
        return {}
    parts = {part: before[part] for part in PARTS if part in before}
    commands = before.get("commands", {})
    return parts | {"commands": {part: commands[part] for part in parts if part in commands}}


def grid(model: Any, batch: Any, options: Any, _body: dict[str, Any]) -> dict[str, Any]:
    """The wait × transfer grid, on all prompts."""
    return told(interp.ablation.grid(model, batch, **_common(options)))


def search(model: Any, batch: Any, options: Any, _body: dict[str, Any]) -> dict[str, Any]:
    """The sparsest schedule, found on one half and scored on the other, and its removals."""
    found = interp.ablation.af1(model, batch, target=options.target, **_common(options))
    found.save(saved(options))
    schedule = Schedule.of(spec) if (spec := found.settings["schedule"]) else None
    removed = interp.ablation.removal(model, batch, schedule, **_common(options))
    return told(found) | {
        "status": found.status,
        "reason": found.reason,
        "schedule": found.settings["schedule"],
        "waits": found.waits.frame().to_dict("records"),
        "picture": found.picture.splitlines(),
        "removal": told(removed),
    }


def compare(model: Any, batch: Any, options: Any, _body: dict[str, Any]) -> dict[str, Any]:
    """The same search under every replacement and mask."""
    return told(
        interp.ablation.compare(
            model, batch, target=options.target, sink=options.sink, seed=options.seed
        )
    )


def transfer(model: Any, _batch: Any, options: Any, body: dict[str, Any]) -> dict[str, Any]:
    """The schedule on the other styles of its task, and on other tasks in its own style."""
    found = searched(options, body)
    if found.status != "found":
        return {"reason": "no subgraph was found, so there is none to transfer"}
    shots = "".join(options.format.partition("@")[1:])  # other styles show as many examples
    kinds = [(options.task, style + shots) for style in STYLES]
    tasks = [task.format(d=options.task.rpartition(":")[2]) for task in OTHERS]
    kinds += [(task, options.format) for task in tasks if task != options.task]
    targets, refused = {}, {}
    for task, style in kinds:
        try:
            problems = draw(task, options.transfer_n, options.seed + 1)
            targets[f"{task} {style}"] = model.prompts(problems, format=style)
        except InputError as error:  # this style cannot write that task
            refused[f"{task} {style}"] = str(error)
    result = interp.ablation.transfer(model, found, targets, seed=options.seed)
    return told(result) | {"refused": refused}


def saved(options: Any) -> Path:
    """Folder of the saved search."""
    return RESULTS / f"{named(options)}_search"


def searched(options: Any, body: dict[str, Any]) -> AllForOne:
    """Search result of these prompts, from this run or an earlier one.

    Raises InputError if there is none, or if the saved search differs from that of `body`.
    """
    folder = saved(options)
    found = AllForOne.load(folder) if folder.exists() else None
    if found is None or found.code != body.get("search", {}).get("code"):
        raise InputError(
            f"{folder} does not hold the search of these prompts, and without it nothing says "
            f"which problems it saw: run --parts search with the same options first."
        )
    return found


PARTS = {"grid": grid, "search": search, "compare": compare, "transfer": transfer}


def _common(options: Any) -> dict[str, Any]:
    return {"replacement": options.replacement, "sink": options.sink, "seed": options.seed}


def draw(task: str, n: int, seed: int) -> Problems:
    """All problems where there are no more than n, else n of them without leading zeros, so that
    every role has one position."""
    found = interp.task(task)
    if found.n_problems <= n:
        return found.grid()
    return found.sample(n, seed=seed, full_width=True)


def told(result: Any) -> dict[str, Any]:
    """A Result as JSON values."""
    return {
        "n": result.n,
        "n_distinct": result.n_distinct,
        "metrics": result.metrics,
        "verdict": result.verdict,
        "rows": result.frame.to_dict("records"),
        "code": result.code,
    }


if __name__ == "__main__":
    main()
