"""Record every published number beside ours, and write two pages of the docs from it.

    python -m bench.proofs.reproductions [--quick] [--only bai]

Rows that are not run keep what was recorded before. `arithmoscope rerun` compares with the record;
this is the one place that changes it.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import interp
from bench.harness import machine
from interp.published._rerun import RECORDED
from interp.published.doubtful import doubtful
from interp.published.page import page
from interp.published.rows import rows
from interp.results.atomic import write_atomic

DOCS = Path(__file__).resolve().parents[2] / "docs"


def main() -> None:
    """Run the rows, merge them into the record, and write record and page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", default=())
    parser.add_argument("--keep", type=Path, default=Path("runs/reproductions"))
    options = parser.parse_args()
    began = time.perf_counter()
    found = interp.rerun(options.only, quick=options.quick, keep=options.keep, on_row=print)
    print(found.conclusion(), f"{time.perf_counter() - began:.0f} s", *found.failed)
    shown = found.frame.drop(columns=["recorded", "rule", "note"])
    fresh = json.loads(shown.to_json(orient="records"))
    before = json.loads(RECORDED.read_text("utf-8"))["rows"] if RECORDED.is_file() else []
    merged = {one["key"]: one for one in [*before, *fresh]}
    kept = [merged[row.key] for row in rows() if row.key in merged]
    body = {
        "command": "python -m bench.proofs.reproductions",
        "machine": machine(),
        "versions": dict(interp.results.versions.installed_versions()),
        "rows": [{key: value for key, value in one.items() if value is not None} for one in kept],
    }
    write_atomic(RECORDED, (json.dumps(body, indent=1) + "\n").encode())
    write_atomic(DOCS / "reproductions.md", page(body["rows"]).encode())
    write_atomic(DOCS / "doubtful-claims.md", doubtful(body["rows"]).encode())


if __name__ == "__main__":
    main()
