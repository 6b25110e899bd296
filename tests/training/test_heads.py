import json
import shutil
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from interp.errors import InputError, ModelError
from interp.models.weights import weight_hash
from interp.training import Recipe, build_model, start, train
from interp.training.heads import head_slices, train_only
from interp.training.run_state import TrainingRun

SHAPE: dict[str, Any] = {"task": "add:2", "d_model": 16, "n_heads": 4, "weight_decay": 0.0}
LLAMA = {"family": "llama", "positions": "rotary", "activation": "silu", "n_kv_heads": 2}


@pytest.fixture(scope="module")
def base(tmp_path_factory: Any) -> Any:
    folder = tmp_path_factory.mktemp("base")
    return saved(Recipe(name="base", seed=5, **SHAPE), folder)


def saved(made: Recipe, folder: Any) -> Any:
    """An untrained model in a folder, with as much of a card as a start must have."""
    TrainingRun.start(made).save_model(folder)
    card = {"name": made.name, "recipe": made.to_json(), "data": {"rows_trained_on": 640}}
    (folder / "card.json").write_text(json.dumps(card))
    return folder


def tuned(base: Any, **changes: Any) -> Recipe:
    settings = SHAPE | {"base": str(base), "heads": ((0, 1), (1, 3))} | changes
    return Recipe(
        name="tuned", steps=4, warmup=1, batch=16, evaluate_n=10, card_n=20, checkpoint_every=2,
        gradients_every=2, log_every=2, **settings,
    )  # fmt: skip


def test_only_the_chosen_heads_change_and_all_of_their_slices_do(base, tmp_path):
    train(tuned(base), tmp_path)
    before, after = (load_file(place / "model.safetensors") for place in (base, tmp_path))
    changed = {name: (after[name] != tensor).nonzero() for name, tensor in before.items()}
    touched = {name for name, places in changed.items() if len(places)}
    assert touched == {
        f"transformer.h.{layer}.attn.{name}"
        for layer in (0, 1)
        for name in ("c_attn.weight", "c_attn.bias", "c_proj.weight")
    }
    for layer, head in ((0, 1), (1, 3)):
        own = set(range(4 * head, 4 * head + 4))
        wide = {offset + k for offset in (0, 16, 32) for k in own}
        place = f"transformer.h.{layer}.attn"
        assert set(changed[f"{place}.c_attn.weight"][:, 1].tolist()) == wide
        # The key bias shifts all scores of a query alike, so its gradient is zero but for rounding.
        assert set(changed[f"{place}.c_attn.bias"][:, 0].tolist()) <= wide
        assert set(changed[f"{place}.c_proj.weight"][:, 0].tolist()) == own


@pytest.mark.parametrize("family", [{}, LLAMA])
def test_masked_gradients_train_as_gradient_hooks_do(tmp_path, family):
    """To the bit, in weights and log: a hook on each parameter is the way of earlier versions."""
    folder = saved(Recipe(name="base", seed=5, **(SHAPE | family)), tmp_path)
    made = tuned(folder, shared_kv=True, **family)
    masked, hooked = start(made), start(made)
    for name, mask in hooked.masks.items():
        hooked.trained[name].register_hook(mask.mul)
    hooked.masks = {}
    for _ in range(made.steps):
        masked.take_step()
        hooked.take_step()
    assert masked.masks
    pd.testing.assert_frame_equal(masked.log_frame(), hooked.log_frame(), check_exact=True)
    before = load_file(folder / "model.safetensors")
    for name, parameter in masked.trained.items():
        assert torch.equal(parameter, hooked.trained[name])
        assert not torch.equal(parameter, before[name])


def test_a_stopped_run_goes_on_to_the_same_bits(base, tmp_path):
    train(tuned(base), tmp_path / "unbroken")
    assert train(tuned(base), tmp_path / "broken", budget_seconds=1e-9).stopped == "budget"
    train(tuned(base), tmp_path / "broken")
    files = [tmp_path / name / "model.safetensors" for name in ("unbroken", "broken")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_slices_are_the_heads_own():
    """With the slices set to zero the head's output is zero, and the other heads' are not."""
    model = build_model(Recipe(name="x", **SHAPE))
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, dimension, part in head_slices(model, ((0, 2),)):
            parameters[name].narrow(dimension, part.start, part.stop - part.start).zero_()
    seen = []
    projection = model.transformer.h[0].attn.c_proj
    projection.register_forward_hook(lambda _, args, __: seen.append(args[0]))
    model(torch.arange(8)[None])
    z = seen[0].unflatten(-1, (4, 4))
    assert (z[:, :, 2] == 0).all()
    assert (z[:, :, [0, 1, 3]] != 0).any(dim=(0, 1, 3)).all()
    assert (projection.weight.unflatten(0, (4, 4)) == 0).all(dim=(1, 2)).tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize(
    ("heads", "shared_kv", "kv_rows"),
    [
        (((0, 1),), False, set()),  # its keys are also those of head 0
        (((0, 0), (0, 1)), False, {0, 1, 2, 3}),
        (((0, 1),), True, {0, 1, 2, 3}),
        (((0, 2),), True, {4, 5, 6, 7}),
    ],
)
def test_shared_keys_and_values_are_trained_with_their_whole_group(heads, shared_kv, kv_rows):
    model = build_model(Recipe(name="x", **(SHAPE | LLAMA)))
    masks = train_only(model, heads, shared_kv=shared_kv)
    place = "model.layers.0.self_attn"
    own = {4 * head + k for _, head in heads for k in range(4)}
    assert set(masks[f"{place}.q_proj.weight"].nonzero()[:, 0].tolist()) == own
    assert set(masks[f"{place}.o_proj.weight"].nonzero()[:, 1].tolist()) == own
    for kind in "kv":
        mask = masks.get(f"{place}.{kind}_proj.weight", torch.zeros(8, 16))
        assert set(mask.nonzero()[:, 0].tolist()) == kv_rows
    assert {name for name, p in model.named_parameters() if p.requires_grad} == set(masks)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": ((2, 0),)}, r"heads=\(\(2, 0\),\) must be different pairs"),
        ({"heads": ((0, 4),)}, "heads from 0 to 3"),
        ({"heads": ((0, 1), (0, 1))}, "different pairs"),
        ({"weight_decay": 0.1}, "trained with weight_decay=0"),
    ],
)
def test_heads_that_do_not_fit_are_refused(base, changes, message):
    with pytest.raises(InputError, match=message):
        tuned(base, **changes)


def test_a_base_of_another_shape_or_vocabulary_is_refused(base):
    with pytest.raises(InputError, match="is not of this recipe's shape"):
        build_model(replace(tuned(base), d_model=32))
    with pytest.raises(InputError, match=r"has other tokens than sub:2|not of this recipe's shape"):
        build_model(replace(tuned(base), task="sub:2"))


def test_a_base_that_may_know_what_is_held_out_is_refused(base, tmp_path):
    for changes in ({"split_seed": 1}, {"test_share": 0.1}, {"validation_share": 0.1}):
        with pytest.raises(InputError, match="trained on problems that this recipe holds out"):
            build_model(tuned(base, **changes))
    unknown = shutil.copytree(base, tmp_path / "unknown")
    (unknown / "card.json").unlink()
    with pytest.raises(InputError, match="its card must say the same test_share"):
        build_model(tuned(unknown))
    with pytest.raises(ModelError, match=r"`arithmoscope train add5 --out runs/nowhere/add5`"):
        build_model(tuned("runs/nowhere/add5"))


@pytest.mark.parametrize(
    ("field", "value"),
    [("n_heads", 2), ("activation", "relu"), ("layer_norm", False), ("positions", "none")],
)
def test_a_base_that_works_otherwise_is_refused_though_its_shapes_are_the_same(
    base, tmp_path, field, value
):
    """None of these leaves a trace in the shapes of the weights."""
    other = Recipe(name="other", seed=5, **(SHAPE | {field: value}))
    shapes = [{k: p.shape for k, p in build_model(made).state_dict().items()}
              for made in (other, Recipe(name="base", **SHAPE))]  # fmt: skip
    assert shapes[0] == shapes[1]
    with pytest.raises(InputError, match=rf"is another model \({field}: .* here\)"):
        build_model(tuned(saved(other, tmp_path), heads=((0, 1),)))


def test_the_card_tells_of_the_base(base, tmp_path):
    card = train(tuned(base), tmp_path).card
    hashed = weight_hash(load_file(base / "model.safetensors"))
    assert card.started_from["weight_hash"] == hashed
    assert card.started_from["rows_trained_on"] == 640
    assert card.started_from["name"] == str(base)


def test_a_base_is_not_needed_once_a_checkpoint_has_all_weights(base, tmp_path):
    gone = shutil.copytree(base, tmp_path / "gone")
    whole = tuned(gone, heads=())
    unbroken = train(whole, tmp_path / "unbroken").card
    train(whole, tmp_path / "broken", budget_seconds=1e-9)
    shutil.rmtree(gone)
    broken = train(whole, tmp_path / "broken").card
    assert broken.weight_hash == unbroken.weight_hash
    assert broken.started_from == unbroken.started_from
