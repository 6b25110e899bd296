"""Where and when a language model adds: the all-for-one question put to SmolLM2.

For `smollm2-arith` (or plain `smollm2`), on prompts whose first token is always the same, so that
the sink tells nothing of the problem: the wait × transfer grid, the search on one half with the
removals on the other, the same search under every replacement and mask, and the schedule that was
found on the other styles, operators and ranges. Everything is told with the number of distinct
right prompts, intervals and the best constant's score; where the search says that there is no such
subgraph, or nothing, that is the result.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import interp
from bench.harness import record
from interp.ablation import Schedule
from interp.arithmetic.problems import Problems

STYLES = ("plain", "calculate", "qa-short", "af1-verbal", "af1-qa", "af1-instruction", "af1-word",
          "af1-python")  # fmt: skip
OTHERS = ("sub:2", "add:1", "add:3", "expr:A+B+C:2", "expr:A-B-C:2")


def main() -> None:
    """Run the parts that are asked for and write them all."""
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
    parser.add_argument("--parts", nargs="+", default=["grid", "search", "compare", "transfer"])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    model = interp.load(options.model)
    if options.bos:
        model = model.starting_with(options.bos)
    problems = draw(options.task, options.n, options.seed)
    batch = model.prompts(problems, format=options.format)
    common = {"replacement": options.replacement, "sink": options.sink, "seed": options.seed}
    body: dict[str, Any] = {
        "model": dict(model.id._asdict()),
        "task": options.task,
        "format": batch.format,
        "bos": options.bos,
        "first_prompt": batch.texts[0],
        "n": len(batch),
        "n_distinct": batch.n_distinct,
    }
    schedule = None
    if "grid" in options.parts:
        body["grid"] = told(interp.ablation.grid(model, batch, **common))
    if "search" in options.parts:
        found = interp.ablation.af1(model, batch, target=options.target, **common)
        body["search"] = told(found) | {"status": found.status, "reason": found.reason}
        body["picture"] = found.picture.splitlines()
        schedule = Schedule.from_spec(found.schedule) if found.status == "found" else None
        removed = interp.ablation.removal(model, batch, schedule, **common)
        body["removal"] = told(removed)
    if "compare" in options.parts:
        options_here = {"target": options.target, "sink": options.sink, "seed": options.seed}
        body["compare"] = told(interp.ablation.compare(model, batch, **options_here))
    if "transfer" in options.parts:
        body["transfer"] = transferred(model, schedule, options)
    name = f"af1_{options.model.replace('/', '_')}_{options.task.replace(':', '')}"
    record(name, options.seed, body)


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


def transferred(
    model: Any, schedule: Schedule | None, options: argparse.Namespace
) -> Mapping[str, Any]:
    """The schedule on the other styles of its task, and on other tasks in its own style."""
    if schedule is None:
        return {"reason": "no subgraph was found, so there is none to transfer"}
    own = options.format or model.formats[0]
    kinds = [(options.task, style) for style in STYLES] + [(task, own) for task in OTHERS]
    targets = {
        f"{task} {style}": model.prompts(
            draw(task, options.transfer_n, options.seed + 1), format=style
        )
        for task, style in kinds
    }
    result = interp.ablation.transfer(
        model, schedule, targets,
        replacement=options.replacement, sink=options.sink, seed=options.seed,
    )  # fmt: skip
    return told(result)


if __name__ == "__main__":
    main()
