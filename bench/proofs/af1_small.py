"""All-for-one ablation by digit role: the answer digits of a small model that can wait.

Waiting alone, and waiting before transfer, by answer digit. There is no sink token, since the
first one is a digit. Each digit is scored on prompts where the full model has it right, after the
true digits before it.

    python -m bench.proofs.af1_small --model mul4x4-aux
"""

from __future__ import annotations

import argparse

import interp
from bench.harness import record
from interp.ablation import Schedule


def main() -> None:
    """Measure on fresh problems and write both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="add5")
    parser.add_argument("--n", type=int, default=512)
    parser.add_argument("--table", type=int, default=4096, help="prompts behind the means")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    model = interp.load(options.model)
    assert model.task is not None
    batch = model.prompts(model.task.sample(options.n, seed=options.seed))
    what = interp.ablation.Replacement("cama", "token", options.table, options.seed)
    common = {"replacement": what, "sink": "none", "seed": options.seed}
    waiting = {
        wait: interp.ablation.evaluate(model, batch, Schedule(wait), **common)
        for wait in range(model.shape.n_layers + 1)
    }
    grid = interp.ablation.grid(model, batch, **common)
    assert grid.by_role is not None and grid.guessed is not None
    body = {
        "model": dict(model.id._asdict()),
        "n": len(batch),
        "n_distinct": batch.n_distinct,
        "waiting": {str(w): found.frame.to_dict("records") for w, found in waiting.items()},
        "grid": {
            "metrics": grid.metrics,
            "rows": grid.frame.to_dict("records"),
            "guessed": grid.guessed.frame("guessed").to_dict("records"),
            "by_role": grid.by_role.frame("faithfulness").dropna().to_dict("records"),
            "verdict": grid.verdict,
            "code": grid.code,
        },
    }
    record(f"af1_{options.model}", options.seed, body)


if __name__ == "__main__":
    main()
