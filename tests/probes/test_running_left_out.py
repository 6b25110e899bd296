"""Running sums that the prompts cannot judge are left out, and said."""

from __future__ import annotations

from pathlib import Path

import interp
import probes
from interp.results.result import Result
from tests import tiny


def test_a_sum_without_enough_prompts_is_left_out_with_its_reason(tmp_path: Path) -> None:
    """In `plain` few of 120 two-digit sums have a third digit."""
    model = interp.load(str(tiny.save("llama", tmp_path / "tiny", seed=4)))
    problems = interp.Addition(2).sample(120, seed=1)
    found = probes.running_sums({"tiny": model}, problems, n=120)
    left = found.settings["left_out"]
    assert left and all("running_sum" in place and why for place, why in left.items())
    kept = {(row.digit, row.role) for row in found.frame.itertuples()}
    assert not {(2, "predicts(c2)"), (2, "c2")} & kept and (0, "predicts(c0)") in kept
    assert "Left out: running_sum[" in str(found.conclusion())
    assert Result.load(found.save(tmp_path / "sums")) == found
