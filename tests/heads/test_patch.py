"""Activation patching: TransformerLens' own numbers, grouped queries, controls and bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from transformer_lens import patching

import interp
from interp.errors import InputError, RoleError
from interp.heads.effects import discoveries, estimate
from interp.heads.metrics import Direction, Readout, indirect_effect, own_answer
from interp.heads.pairs import pairs
from interp.results.grid import Axis
from interp.results.result import Result
from tests import tiny

FORMAT = "padded"
TASK = interp.Addition(2)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tiny.save("llama", tmp_path_factory.mktemp("toy"), seed=3)
    return interp.load(str(folder), dtype="float64")


def test_it_equals_transformer_lens(toy: Any) -> None:
    """`get_act_patch_attn_head_out_all_pos` on the same prompts, for the first answer digit."""
    clean, corrupted = TASK.sample(6, seed=1), TASK.sample(6, seed=2)
    found = interp.heads.patch(
        toy, clean, corrupted=corrupted, format=FORMAT, metrics="logit_difference", answers="c2",
        same_answer=False,
    )  # fmt: skip
    both = pairs(
        toy, clean, swap=None, corrupted=corrupted, answers=("c2",), prefix="keep", n=6, seed=0,
        format=FORMAT, held_out=True,
    )  # fmt: skip
    bridge, at = toy.adapter.bridge, int(both.clean.position_array("c2")[0]) - 1
    known = torch.from_numpy(both.right[:, 0] >= 0)
    rows = torch.arange(len(both))[known]
    right, other = (torch.from_numpy(t[:, 0])[known] for t in (both.right, both.other))

    def difference(logits: torch.Tensor) -> torch.Tensor:
        return (logits[rows, at, right] - logits[rows, at, other]).mean()

    with torch.no_grad():
        _, cache = bridge.run_with_cache(both.clean.tokens, prepend_bos=False)
        before = difference(bridge(both.corrupted.tokens, prepend_bos=False))
        theirs = patching.get_act_patch_attn_head_out_all_pos(
            bridge, both.corrupted.tokens, cache, difference
        )
    want = torch.as_tensor(theirs).double() - before.double()
    got = torch.from_numpy(found.main.at(answer_digit="c2").values)
    assert (got - want).abs().max() <= 1e-6 * want.abs().max()
    assert want.abs().max() > 1e-4


GROUPED = [("q", "head", 4), ("k", "group", 2), ("v", "group", 2), ("pattern", "head", 4)]


@pytest.mark.parametrize(("kind", "axis", "count"), GROUPED)
def test_grouped_queries_are_said_in_the_axes(toy: Any, kind: str, axis: str, count: int) -> None:
    found = interp.heads.patch(
        toy, TASK.sample(4, seed=1), kind=kind, swap="all", format=FORMAT, same_answer=False,
        metrics="logit_difference",
    )  # fmt: skip
    assert found.main.axis(axis).labels == tuple(map(str, range(count)))
    letter = "H" if axis == "head" else "G"
    assert found.frame["node"].iloc[0] == f"L0{letter}0.{kind}"
    assert np.abs(found.main.values).max() > 0


def test_patching_everything_gives_the_other_run(toy: Any) -> None:
    """The stream after the last layer at the position that is read is the whole answer."""
    found = interp.heads.patch(
        toy, TASK.sample(8, seed=4), kind="resid_post", swap="all", format=FORMAT, answers="c2",
        roles=["predicts(c2)", "b0"], metrics=("logit_difference", "probability", "kl"),
    )  # fmt: skip
    last = found.effect.at(layer=tiny.N_LAYERS - 1, role="predicts(c2)")
    assert np.abs(last.values - found.total.values).max() <= 1e-9
    assert (found.effect.at(layer=tiny.N_LAYERS - 1, role="b0").values == 0).all()
    assert found.noise == 0.0


def test_it_is_saved_drawn_and_made_again(toy: Any, tmp_path: Path) -> None:
    found = interp.heads.patch(
        toy, TASK.sample(40, seed=5), kind="mlp", roles="each", format=FORMAT, direction="noise"
    )
    assert Result.load(found.save(tmp_path / "patch")) == found
    assert set(interp.figures.gallery(found)) == {"figure", "chosen"}
    assert found.with_control > 0 and found.same_answer is not None
    made: dict[str, Any] = {"interp": interp}
    code = found.code.replace(f"interp.load({toy.name!r})", "toy")
    exec(code, made | {"toy": toy}, made)
    assert made["result"].effect == found.effect


@pytest.mark.parametrize("direction", ["noise", "denoise"])
def test_the_same_answer_has_one_token_in_both_terms(toy: Any, direction: Direction) -> None:
    """IE = ½ (x + 1/x) − 1 with x = P*(r) / P(r): never negative, 0 where nothing changes.
    With the pair's other token it would have both signs."""
    found = interp.heads.patch(
        toy, TASK.sample(30, seed=5), kind="mlp", roles="each", format=FORMAT, swap="all",
        direction=direction, metrics="indirect_effect",
    )  # fmt: skip
    assert found.same_by_prompt is not None and found.same_answer is not None
    known = found.same_by_prompt[~np.isnan(found.same_by_prompt).all(axis=(1, 2, 3))]
    assert len(known) == found.with_control > 0
    assert np.nanmin(known) >= -1e-6 < np.nanmax(known)
    assert np.nanmax(known) > 1e-6
    mean = np.nanmean(known.astype(float), axis=0)
    assert mean == pytest.approx(found.same_answer.values, abs=1e-6, nan_ok=True)


def test_own_answer_by_hand() -> None:
    """P(r) from 1/2 to 1/4: ½ [(1/4 − 1/2) / (1/2) + (1/2 − 1/4) / (1/4)] = 1/4."""
    at = {name: np.array([0.0]) for name in ("log_z", "kl", "choice", "right_token", "other_token")}
    half, quarter = (np.log([share]) for share in (0.5, 0.25))
    both: tuple[tuple[Direction, str], ...] = (("noise", "right"), ("denoise", "other"))
    for direction, own in both:
        plain, patched = (
            own_answer(Readout(**{"right": np.log([0.1]), "other": np.log([0.1]), **at, own: p}),
                       direction)
            for p in (half, quarter)
        )  # fmt: skip
        effect = indirect_effect(patched, plain, direction)
        assert effect == pytest.approx([0.25])


def test_misaligned_prompts_raise(toy: Any) -> None:
    clean = TASK.problems([12, 34], [5, 6])
    with pytest.raises(InputError, match=r"row 1 differ in length.*format='padded'"):
        interp.heads.patch(toy, clean, corrupted=TASK.problems([55, 4], [5, 6]), format="plain")
    with pytest.raises(InputError, match="2 clean problems and 1 corrupted"):
        interp.heads.patch(toy, clean, corrupted=TASK.problems([55], [5]), format=FORMAT)
    with pytest.raises(InputError, match="not both"):
        interp.heads.patch(toy, clean, corrupted=clean, swap="a", format=FORMAT)


def test_nothing_to_patch_raises(toy: Any) -> None:
    clean = TASK.problems([12, 34], [5, 6])
    with pytest.raises(InputError, match="different right tokens"):
        interp.heads.patch(toy, clean, corrupted=clean, format=FORMAT)
    with pytest.raises(InputError, match="different right tokens"):
        interp.heads.patch(toy, clean, swap="a1", answers="c0", format=FORMAT)
    with pytest.raises(RoleError, match=r"still equal at 'a1'.*choose from b0"):
        interp.heads.patch(toy, clean, swap="b", roles="a1", format=FORMAT)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "neuron"}, "choose from head"),
        ({"direction": "up"}, "choose denoise or noise"),
        ({"metrics": "logits"}, "choose from logit_difference"),
        ({"swap": "c0"}, "operand digit"),
        ({"answers": "a0"}, "no answer role"),
        ({"prefix": "drop"}, "choose keep, recompute"),
    ],
)
def test_unknown_options_name_the_known(toy: Any, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        interp.heads.patch(toy, TASK.sample(4, seed=1), format=FORMAT, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frozen": "mlps"}, "'all' holds every other node"),
        ({"receivers": "L1H0"}, r"L3H5\.q"),
        ({"receivers": "L1H0.k"}, "names no node"),
        ({"receivers": "L0H0.q"}, "no sender lies below L0H0.q"),
        ({"receivers": "L9H0.q"}, "layers 0 to"),
        ({"senders": "L0H0.q"}, "is no sender"),
    ],
)
def test_unknown_paths_name_the_known(toy: Any, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        interp.heads.paths(toy, TASK.sample(4, seed=1), format=FORMAT, **options)


def test_a_sweep_is_kept_split_and_merged(toy: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """Shards into one folder give the numbers of one call; kept cells are not measured again."""
    from interp.heads import kept

    monkeypatch.setattr(kept, "_CELLS", 5)
    asked: dict[str, Any] = {"format": FORMAT, "swap": "all", "metrics": "logit_difference"}
    problems = TASK.sample(6, seed=7)
    whole = interp.heads.patch(toy, problems, **asked)
    first = interp.heads.patch(toy, problems, keep=tmp_path, shard="1/2", **asked)
    assert np.isnan(first.main.values).any() and not np.isnan(first.main.values).all()
    known = ~np.isnan(first.main.values)
    assert np.abs((first.main.values - whole.main.values)[known]).max() <= 1e-9
    interp.heads.patch(toy, problems, keep=tmp_path, shard="2/2", **asked)
    measured: list[int] = []
    run = kept.parts_of_cells

    def counted(*args: Any) -> Any:
        measured.append(len(args[2]))
        return run(*args)

    monkeypatch.setattr(kept, "parts_of_cells", counted)
    merged = interp.heads.patch(toy, problems, keep=tmp_path, **asked)
    assert np.abs(merged.main.values - whole.main.values).max() <= 1e-9
    assert sum(measured) == 5  # the no-op patches alone, which are not kept
    with pytest.raises(InputError, match="needs a folder"):
        interp.heads.patch(toy, problems, shard="1/2", **asked)
    with pytest.raises(InputError, match="write '1/4'"):
        interp.heads.patch(toy, problems, shard="5/4", keep=tmp_path, **asked)


def test_processes_share_the_cells(toy: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """`n_jobs` gives the numbers of one process (here the shards run one after the other)."""
    from interp.heads import kept

    monkeypatch.setattr(kept, "_CELLS", 5)
    asked: dict[str, Any] = {"format": FORMAT, "swap": "all", "metrics": "logit_difference"}
    problems = TASK.sample(6, seed=7)
    whole = interp.heads.patch(toy, problems, **asked)
    with joblib.parallel_config(backend="sequential"):
        shared = interp.heads.patch(toy, problems, n_jobs=2, keep=tmp_path, **asked)
    assert np.abs(shared.main.values - whole.main.values).max() <= 1e-9
    assert len(list(tmp_path.rglob("*.npy"))) > 2
    with pytest.raises(InputError, match="give at least one process"):
        interp.heads.patch(toy, problems, n_jobs=0, **asked)
    with pytest.raises(InputError, match="n_jobs= over processes"):
        interp.heads.patch(toy, problems, n_jobs=2, shard="1/2", **asked)


def test_rounding_of_one_sign_is_no_effect_and_helps_no_other_cell() -> None:
    """Sixty prompts of 1e-13 ± 1e-14 are far from zero in their own error, but nothing."""
    rng = np.random.default_rng(0)
    real = rng.normal(0.3, 1.0, 60)  # p about 0.01
    columns = np.stack([real, *rng.normal(1e-13, 1e-14, (9, 60))], axis=1)[:, :, None]
    axes = (Axis("node", tuple(f"L0H{h}" for h in range(10))), Axis("answer_digit", ("c0",)))
    effect = estimate(columns, np.arange(60), axes, 0)
    q = discoveries(effect, 1e-9)[:, 0]
    assert (q[1:] == 1).all()
    assert discoveries(effect)[0, 0] < 0.2 * q[0]
