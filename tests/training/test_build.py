from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from interp.errors import InputError
from interp.models.weights import weight_hash
from interp.training import Recipe, build_model, build_tokenizer
from interp.training.forward import forward
from interp.training.run_state import TrainingRun

SHAPES = {
    "gpt2": {},
    "gelu_new": {"activation": "gelu_new"},
    "erf gelu": {"activation": "gelu", "n_layers": 3},
    "relu": {"activation": "relu", "d_mlp": 24, "n_layers": 1},
    "untied": {"tied": False},
    "no positions": {"positions": "none"},
    "no norm": {"layer_norm": False},
    "offsets": {"positions": "random-offset", "n_ctx": 40},
    "llama": {"family": "llama", "positions": "rotary", "activation": "silu", "n_kv_heads": 1},
}


def shaped(shape: str) -> Recipe:
    return Recipe(name="x", task="add:2", d_model=16, n_heads=2, **SHAPES[shape])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("start", [0, 5])
@pytest.mark.parametrize("n", [5, 50])  # fewer and more rows than there are tokens
def test_our_forward_is_that_of_hugging_face(shape, start, n):
    model = build_model(shaped(shape)).double()
    for parameter in model.parameters():  # biases and gains start at 0 and 1, which hides mistakes
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(0))
    tokens = torch.randint(0, 10, (n, 9), generator=torch.Generator().manual_seed(1))
    ours = forward(model, tokens, start).logits
    theirs = model(tokens).logits[:, start:]
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    parameters = [p for p in model.parameters() if p.requires_grad]
    ours, theirs = (
        torch.autograd.grad(logits.square().sum(), parameters, allow_unused=True)
        for logits in (ours, theirs)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("n", [3, 48])  # fewer and more rows than there are tokens
def test_offsets_shift_the_positions(n):
    model = build_model(shaped("offsets")).double()
    tokens = torch.randint(0, 10, (n, 9), generator=torch.Generator().manual_seed(1))
    offsets = torch.tensor([0, 4, 31]).repeat(n // 3)
    theirs = model(tokens, position_ids=torch.arange(9) + offsets[:, None]).logits
    torch.testing.assert_close(forward(model, tokens, offsets=offsets).logits, theirs)


def test_equal_rows_add_up_their_gradients_at_full_precision():
    """Of many equal prompts, in bfloat16, the gradient is that of one of them times their number:
    added up in bfloat16 it would stop growing at 256 times its first digit."""
    model = build_model(shaped("gpt2"))
    prompt = torch.randint(0, 10, (1, 9), generator=torch.Generator().manual_seed(1))
    found = []
    for n in (1, 1200):
        with torch.autocast("cpu", torch.bfloat16):
            logits = forward(model, prompt.repeat(n, 1)).logits.float()
        weight = model.transformer.h[0].attn.c_attn.weight
        found.append(torch.autograd.grad(logits.square().sum() / n, weight)[0])
    torch.testing.assert_close(found[1], found[0], rtol=0.05, atol=0.02 * found[0].abs().max())


@pytest.mark.parametrize("layer", [0, 1])
def test_head_outputs_make_up_the_attention_output(layer):
    model = build_model(shaped("gpt2")).double()
    tokens = torch.randint(0, 10, (3, 9), generator=torch.Generator().manual_seed(1))
    projection = model.transformer.h[layer].attn.c_proj
    seen = []
    handle = projection.register_forward_hook(lambda _, args, __: seen.append(args[0]))
    model(tokens)
    handle.remove()
    z = forward(model, tokens, 4, z_layer=layer).z
    assert z.shape == (3, 5, 2, 8)
    torch.testing.assert_close(z.flatten(2), seen[0][:, 4:])


def test_without_layer_norm_the_model_is_linear_in_scale():
    """No normalisation: twice the residual stream gives twice the output of every norm."""
    model = build_model(shaped("no norm"))
    norm = model.transformer.h[0].ln_1
    x = torch.randn(4, 16, generator=torch.Generator().manual_seed(0))
    centred = x - x.mean(-1, keepdim=True)
    torch.testing.assert_close(norm(x), centred)
    torch.testing.assert_close(norm(100 * x), 100 * centred)
    assert not norm.weight.requires_grad


@pytest.mark.parametrize("shape", ["gpt2", "untied", "no norm", "llama"])
def test_a_saved_model_is_a_standard_folder(shape, tmp_path):
    run = TrainingRun.start(shaped(shape))
    run.save_model(tmp_path)
    loaded, report = AutoModelForCausalLM.from_pretrained(
        tmp_path, output_loading_info=True, attn_implementation="eager"
    )
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    tokens = torch.randint(0, 10, (3, 9), generator=torch.Generator().manual_seed(1))
    assert torch.equal(loaded(tokens).logits, run.model(tokens).logits)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    ids = tokenizer("12+34=046")["input_ids"]
    assert ids == build_tokenizer(shaped(shape))("12+34=046")["input_ids"]
    assert tokenizer.decode(ids) == "12+34=046"


def test_a_digit_is_the_token_of_its_value():
    vocabulary = build_tokenizer(Recipe(name="x", task="addsub:2")).get_vocab()
    assert [vocabulary[str(digit)] for digit in range(10)] == list(range(10))
    modular = build_tokenizer(Recipe(name="x", task="mod:113", format="modular")).get_vocab()
    assert [modular[f"{value:03}"] for value in range(113)] == list(range(113))


def test_building_leaves_the_random_state_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    build_model(shaped("gpt2"))
    assert torch.equal(torch.rand(3), expected)


def test_the_seed_decides_the_weights():
    hashes = {
        weight_hash(build_model(replace(shaped("gpt2"), seed=seed)).state_dict())
        for seed in (0, 0, 1)
    }
    assert len(hashes) == 2


def test_a_context_that_is_too_short_is_refused():
    with pytest.raises(InputError, match=r"n_ctx=8 is too short: add:2 in .*'padded' takes 9"):
        build_model(Recipe(name="x", task="add:2", n_ctx=8))
