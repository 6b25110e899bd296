"""The numbers of the README, and of the pages that quote `bench/results`, are those of the runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import interp

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FINDINGS = re.split(
    r"^\d\. ", README.partition("## Five findings")[2].partition("\n## ")[0], flags=re.M
)[1:]


def results(name: str) -> Any:
    return json.loads((ROOT / "bench" / "results" / f"{name}.json").read_text(encoding="utf-8"))


def said(text: str, *phrases: str) -> None:
    missing = [phrase for phrase in phrases if phrase not in text]
    assert not missing, missing


def test_each_finding_has_a_number_a_control_and_a_command() -> None:
    assert len(FINDINGS) == 5
    for finding in FINDINGS:
        assert re.search(r"^\*\*.+?\.\*\* ", finding) and re.search(r"\d", finding)
        assert re.search(r"^   `(arithmoscope|python -m bench\.proofs\.)[^`]+`$", finding, re.M)


def test_one_head_adds() -> None:
    found = results("head_roles")["models"]["add5"]
    value, low, high = (found[f"patch_scored{end}"] for end in ("", "_low", "_high"))
    said(
        FINDINGS[0],
        f"{found['patch_head']}, restores {value:.1f} logits ({low:.1f} to {high:.1f})",
        f"a random head restores {found['patch_random']:.1f}",
        f"the same answer, it moves {found['patch_same_answer']:.1f} logits in its largest cell",
    )


def test_the_carry_is_read_off_the_print() -> None:
    models = results("head_roles")["models"]
    reverse, plain = models["add5-reversed"], models["add5"]
    said(
        FINDINGS[1],
        f"{reverse['carry_follows_print']:.0%} of its next digits".replace("%", " %"),
        f"at least {100 * reverse['carry_follows_print_low']:.1f} %",
        f"at most {100 * plain['carry_follows_print_high']:.1f} % do",
    )
    assert reverse["carry"] == "autoregressive" and reverse["carry_control_right"] == 1


def test_running_sums_need_no_loss_on_them() -> None:
    proof = results("probe_running_sums_mul4x4")
    cells = [one for one in proof["cells"] if (one["model"], one["when"]) == ("sft", "before")]
    there = [one for one in cells if one["represented"]]
    (rest,) = (one for one in cells if not one["represented"])
    r2, free = ([one[name] for one in there] for name in ("r2", "one_hot_r2"))
    said(
        FINDINGS[2],
        f"{len(there)} of its {len(cells)} running sums",
        f"R² {min(r2):.2f} to {max(r2):.2f}",
        f"give {min(free):.2f} to {max(free):.2f}",
        f"ĉ_{rest['digit']}, has {rest['r2']:.2f}",
    )
    assert rest["gain_low"] < 0 and min(proof["published_mae_over_constant"]["sft"]) > 1


def test_waves_do_not_tell_how_it_was_trained() -> None:
    proofs = {kind: results(f"digit_waves_mul4x4-{kind}") for kind in ("icot", "sft", "aux")}
    waves = {kind: proof["table_1"][2] for kind, proof in proofs.items()}
    moves = [proof["shape"]["metrics"] for proof in proofs.values()]
    said(
        FINDINGS[3],
        f"{waves['icot']['r2']:.3f} with a chain of thought",
        f"{waves['sft']['r2']:.4f} without",
        f"{waves['aux']['r2']:.4f} with an auxiliary loss",
        f"permuted digits reach {max(one['null_high'] for one in waves.values()):.2f}",
        f"at least {100 * min(one['followed'] for one in moves):.1f} % of answers follow",
        f"at most {100 * max(one['followed_random'] for one in moves):.1f} %",
    )


def test_a_language_model_waits_then_adds() -> None:
    proof = results("af1_smollm2-arith_add2")
    found = proof["search"]["metrics"]
    assert found["first_transfer_layer"] == found["last_transfer_layer"] == found["wait_layers"]
    kept = [100 * found[f"faithfulness{end}"] for end in ("", "_low", "_high")]
    said(
        FINDINGS[4],
        f"through {found['wait_layers']:.0f} of {len(proof['search']['waits']) - 1} layers",
        f"{found['heads']:.0f} heads of the next one",
        f"{kept[0]:.1f} % ({kept[1]:.1f} to {kept[2]:.1f} %) of right answers",
        f"constant answer keeps {100 * found['constant']:.1f} %",
        proof["command"],
    )


def test_three_ways_give_this_number(add5: Any) -> None:
    found = interp.attribution.counterfactual(add5, "add:5", n=512, seed=0).metrics
    ratio, low, high = (found[f"ratio_oracle{end}"] for end in ("", "_low", "_high"))
    said(README, f"{ratio:.1f} times as far", f"({'95 % interval'} {low:.1f} to {high:.1f})")


def test_the_speed_of_probes_is_the_measured_one() -> None:
    speed = (ROOT / "docs" / "using.md").read_text(encoding="utf-8").partition("### Speed")[2]
    bench = results("probes")
    ridge, peers = bench["ridge"], bench["ridge"]["peers"]
    said(
        speed,
        f"{ridge['sites']} sites, with {ridge['targets']} targets, {ridge['folds']} folds and "
        f"{ridge['penalties']} penalties, ridge probes take {ridge['seconds']:.0f} seconds",
        f"takes {peers['scikit-learn Ridge, all targets']['times_ours']:.0f} times as long",
        f"`eigh` {peers['numpy eigh']['times_ours']:.1f} times",
    )
