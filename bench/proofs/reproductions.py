"""Record every published number beside ours, and write two pages of the docs from it.

    python -m bench.proofs.reproductions [--quick] [--only bai] [--judge]

Rows that are not run keep their recorded numbers, and get their verdict by today's rule; rows that
the table no longer has leave the record. `arithmoscope rerun` compares with the record; this is the
one place that changes it.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import interp
from bench.harness import machine
from interp.published._rerun import RECORDED, judged_again
from interp.published.doubtful import doubtful
from interp.published.page import page
from interp.results.atomic import write_atomic

DOCS = Path(__file__).resolve().parents[2] / "docs"


def main() -> None:
    """Run the rows, merge them into the record, and write record and pages."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="leave out what asks language models")
    parser.add_argument("--only", nargs="+", default=(), help="papers or rows; all by default")
    parser.add_argument(
        "--judge", action="store_true",
        help="measure nothing: verdicts of the recorded numbers by the rules of the table",
    )  # fmt: skip
    parser.add_argument(
        "--keep", type=Path, default=Path("runs/reproductions"),
        help="folder of finished calls, from which a run that was cut goes on",
    )  # fmt: skip
    options = parser.parse_args()
    began = time.perf_counter()
    record = json.loads(RECORDED.read_text("utf-8")) if RECORDED.is_file() else {"rows": []}
    merged = {one["key"]: one for one in record["rows"]}
    if not options.judge:
        found = interp.rerun(options.only, quick=options.quick, keep=options.keep, on_row=print)
        print(found.conclusion(), f"{time.perf_counter() - began:.0f} s", *found.failed)
        merged |= {one["key"]: one for one in json.loads(found.frame.to_json(orient="records"))}
        record["machine"] = machine()
        record["versions"] = dict(interp.results.versions.installed_versions())
    left = ("recorded", "rule", "basis", "note")
    kept = [
        {key: value for key, value in one.items() if value not in (None, {}) and key not in left}
        for one in judged_again(list(merged.values()))
    ]
    body = {
        "command": "python -m bench.proofs.reproductions",
        "machine": record["machine"],
        "versions": record["versions"],
        "rows": kept,
    }
    write_atomic(RECORDED, (json.dumps(body, indent=1) + "\n").encode())
    write_atomic(DOCS / "reproductions.md", page(body["rows"]).encode())
    write_atomic(DOCS / "doubtful-claims.md", doubtful(body["rows"]).encode())


if __name__ == "__main__":
    main()
