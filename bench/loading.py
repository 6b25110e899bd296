"""Time of `interp.load` in a fresh process, by part.

Torch, TransformerLens and the model's class are imported first: that is the price of the packages,
paid once a process. The first load of SmolLM2 on a machine unpacks its GGUF file and runs the
self-check; later ones find both in the cache folder and are measured here, in wall-clock and in
processor seconds. Beside other work (`load_average` above the number of cores) only the processor
seconds count.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys

from bench.harness import record

MODELS = {"add5": 0.5, "smollm2": 6.0}
"""Model → the most seconds that its load may take."""
REPEAT = 5

_CHILD = """
import json, sys, time
import torch, transformer_lens
from transformers import AutoTokenizer, GPT2LMHeadModel, LlamaForCausalLM
import interp

parts = {}

def timed(module, name):
    function = getattr(module, name)
    def run(*given, **options):
        began = time.perf_counter()
        try:
            return function(*given, **options)
        finally:
            parts[name] = time.perf_counter() - began
    setattr(module, name, run)

began, spent = time.perf_counter(), time.process_time()
import interp.loading
import interp.models.loading as opening
from interp.engine import verdict
parts["imports"] = time.perf_counter() - began
for module, name in ((opening, "open_module"), (opening, "assemble"), (verdict, "unusable_sites")):
    timed(module, name)
model = interp.load(sys.argv[1])
total, processor = time.perf_counter() - began, time.process_time() - spent
began = time.perf_counter()
interp.engine.selfcheck(model)
parts["selfcheck (not part of load where the verdict is kept)"] = time.perf_counter() - began
print(json.dumps({"seconds": total, "processor": processor, "parts": parts}))
"""


def load_once(name: str) -> dict[str, object]:
    """Times of one load in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, name], capture_output=True, text=True, check=True
    )
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure each model and write bench/results/loading.json."""
    body: dict[str, object] = {}
    for name, most in MODELS.items():
        first = load_once(name)
        runs = [load_once(name) for _ in range(REPEAT)]
        times = {
            f"median_{what}": statistics.median(float(str(run[what])) for run in runs)
            for what in ("seconds", "processor")
        }
        body[name] = {"first": first, "again": runs, **times, "at_most": most}
    record("loading", 0, {"models": body, "load_average": os.getloadavg()[0]})


if __name__ == "__main__":
    main()
