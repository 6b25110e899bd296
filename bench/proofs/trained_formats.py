"""Four character models of two-digit sums, each trained from scratch in a format of its own: does
the doctor name the fields of that format, and does `interp.suggest` find task and format?"""

from __future__ import annotations

import argparse

import interp
from bench.harness import record
from tests.nanogpt import train_on_sums

TEMPLATES = {  # training text → what the doctor should name; a line break ends a prompt's answer
    "${a}+{b}={c}$": "${a}+{b}={c}$",
    "{a}+{b}={c:reversed}\n": "{a}+{b}={c:reversed}",
    "${a:reversed,pad}+{b:reversed,pad}={c:reversed,pad}$": (
        "${a:reversed,pad}+{b:reversed,pad}={c:reversed,pad}$"
    ),
    "#{a:pad} + {b:pad} = {c:pad}\n": "#{a:pad} + {b:pad} = {c:pad}",
}


def main() -> None:
    """Train, diagnose, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=280)
    options = parser.parse_args()
    rows = []
    for template, wanted in TEMPLATES.items():
        module, characters = train_on_sums(template, steps=options.steps, seed=options.seed)
        model = interp.wrap(module, characters, name="nano")
        result = interp.behaviour.doctor(model, "add:2", seed=options.seed)
        proposal = interp.suggest(model, seed=options.seed)
        rows.append(
            {
                "template": template,
                "named": result.format,
                "right": result.format == wanted or not result.fits,
                "suggested": [proposal.task, proposal.format],
                "metrics": result.metrics,
                "verdict": result.verdict,
            }
        )
        print(f"{template!r}: {result.verdict}", flush=True)
    record("trained_formats", options.seed, {"rows": rows})
    if wrong := [row["template"] for row in rows if not row["right"]]:
        raise SystemExit(f"the doctor names another format than that of {wrong}")


if __name__ == "__main__":
    main()
