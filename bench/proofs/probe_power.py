"""Positive control of the causal test: does it detect a representation that is surely used?

The test finds no partial product used (`probe_partial_products`). Here it edits the one thing that
must be used: the answer digit in the last layer's stream at the position that predicts it, from
which the unembedding reads. It also edits one layer below, where use is not certain.

    python -m bench.proofs.probe_power mul4x4-aux mul4x4-sft
"""

from __future__ import annotations

import argparse

import interp
import probes
from bench.harness import record
from bench.proofs.probe_running_sums import all_shipped
from interp.models.model import Model

TOLD = ("probe_predicted", "probe_mismatched", "random_predicted", "probe_original")


def main() -> None:
    """Move every answer digit of every model, and write how often the answer follows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", help="those that ship unless given")
    parser.add_argument("--n", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    body = {}
    for name in options.models or all_shipped():
        model = interp.load(name)
        last = model.shape.n_layers - 1
        body[name] = {
            "hash": model.hash,
            **{f"layer {layer}": _moved(model, layer, options) for layer in (last - 1, last)},
        }
    record("probe_power", options.seed, body)


def _moved(model: Model, layer: int, options: argparse.Namespace) -> list[dict[str, object]]:
    """Rows, one per answer digit: did the stream move to another digit, did the answer follow?"""
    assert model.task is not None
    rows = []
    for k in range(model.task.answer_digits):
        fitted = probes.fit(
            model, model.task, f"c[{k}]", site="resid_post", layer=layer, role=f"predicts(c{k})",
            n=options.n, seed=options.seed,
        )  # fmt: skip
        found = probes.intervene(model, fitted, seed=options.seed)
        told = {name: found.metrics[name] for name in TOLD}
        rows.append({"digit": f"c{k}", "n": found.n, "followed": found.followed, **told})
    return rows


if __name__ == "__main__":
    main()
