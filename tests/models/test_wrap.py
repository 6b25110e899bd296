"""A plain module at the door: what is taken, what is refused, and each refusal with its remedy."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import interp
import probes
from interp.errors import InputError, ModelError, RoleError, SiteError
from interp.models.characters import character_tokenizer
from tests import nanogpt, tiny


@pytest.fixture
def gpt() -> nanogpt.GPT:
    return nanogpt.random_gpt(seed=1)


def wrap(module: Any, tokenizer: Any = nanogpt.CHARACTERS, **options: Any) -> Any:
    sites = {key: options.pop(key) for key in list(options) if key in vars(interp.SiteMap())}
    return interp.wrap(module, tokenizer, sites=interp.SiteMap(**sites), **options)


def test_a_nanogpt_needs_no_map(gpt: nanogpt.GPT) -> None:
    model = interp.wrap(gpt, nanogpt.CHARACTERS, name="mine", task="add:2", format="padded")
    assert (model.name, model.family, model.task.name) == ("mine", "wrapped", "add:2")
    assert model.formats == ("padded",)
    s = model.shape
    assert (s.n_layers, s.n_heads, s.d_model, s.d_head, s.d_mlp) == (3, 4, 32, 8, 128)
    assert (s.d_vocab, s.n_ctx) == (len(nanogpt.CHARACTERS), 32)
    assert " ".join(model.usable_sites) == (
        "resid_pre resid_mid resid_post attn_out mlp_out z mlp_post ln_final"
    )
    assert model.id.name == "wrap:mine"


def test_the_original_is_left_alone_and_cannot_reach_the_copy(gpt: nanogpt.GPT) -> None:
    gpt.train()
    model = wrap(gpt)
    assert gpt.training and all(p.requires_grad for p in gpt.parameters())
    assert not any(part._forward_hooks for part in gpt.modules())
    batch = model.prompts(interp.Addition(2).sample(4, seed=0), format="padded")
    before = interp.engine.run(model, batch).logits
    with torch.no_grad():
        gpt.lm_head.weight.mul_(2)
    assert torch.equal(interp.engine.run(model, batch).logits, before)
    assert wrap(gpt).hash != model.hash
    assert wrap(model.adapter.module).hash == model.hash


def test_the_random_state_is_left_alone(gpt: nanogpt.GPT) -> None:
    state = torch.get_rng_state()
    wrap(gpt)
    assert torch.equal(state, torch.get_rng_state())


def test_what_torch_compile_puts_around_a_module_is_taken_off(gpt: nanogpt.GPT) -> None:
    compiled = nn.Module()
    compiled._orig_mod = gpt
    assert wrap(compiled).hash == wrap(gpt).hash


@pytest.mark.parametrize(
    "tokenizer",
    [
        nanogpt.CHARACTERS,
        list(nanogpt.CHARACTERS),
        {character: id for id, character in enumerate(nanogpt.CHARACTERS)},
        character_tokenizer(nanogpt.CHARACTERS),
    ],
)
def test_a_tokenizer_in_four_forms(gpt: nanogpt.GPT, tokenizer: Any) -> None:
    model = wrap(gpt, tokenizer)
    batch = model.prompts(interp.Addition(2).problems([12], [34]), format="padded")
    want = [nanogpt.CHARACTERS.index(character) for character in "12+34=046"]
    assert batch.tokens[0].tolist() == want
    assert model.tokens.decode(want) == "12+34=046"
    with pytest.raises(RoleError, match="the tokenizer does not know 'Q'"):
        model.prompts(interp.Addition(2).problems([12], [34]), format="qa-short")


def test_pieces_longer_than_a_character() -> None:
    words = character_tokenizer([*(f"{i:03d}" for i in range(113)), "="])
    ids = words("057 101 = 045", add_special_tokens=False)["input_ids"]
    assert ids == [57, 101, 113, 45]
    assert words.decode([45]) == "045"


class Other(nn.Module):
    """Another layout with other names, its parts exchangeable, its logits returned plainly."""

    def __init__(self, *, block: type[nn.Module], **how: Any) -> None:
        super().__init__()
        config = nanogpt.GPTConfig()
        self.how = how
        self.embed = nn.Embedding(config.vocab_size, config.n_embd)
        self.layers = nn.ModuleList([block(config) for _ in range(2)])
        self.norm = nn.LayerNorm(config.n_embd)
        self.out = nn.Linear(config.n_embd, config.vocab_size)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embed(tokens)
        if self.how.get("noncausal"):
            x = x + x.mean(dim=1, keepdim=True)
        if self.how.get("batch_second"):
            x = x.transpose(0, 1)
        order = reversed(self.layers) if self.how.get("backwards") else self.layers
        first = x
        for layer in order:
            x = self.between(x, layer(x), first)
        if self.how.get("twice"):
            x = self.layers[1](x)
        if self.how.get("batch_second"):
            x = x.transpose(0, 1)
        logits = self.out(self.norm(x * self.how.get("last_scale", 1.0)))
        return logits.tanh() if self.how.get("softcap") else logits

    def between(self, x: torch.Tensor, after: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
        """What the next block reads."""
        if self.how.get("mixed"):
            return 0.9 * x + 0.5 * after
        return after + first if self.how.get("skip") else after


class PostNorm(nanogpt.Block):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.ln_1(x + self.attn(x))
        return self.ln_2(x + self.mlp(x))


class Parallel(nanogpt.Block):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.attn(self.ln_1(x)) + self.mlp(self.ln_2(x))


class AttentionOnly(nanogpt.Block):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.attn(self.ln_1(x))


class Bypass(nanogpt.Block):
    """Uses the weights of the output projection without calling it, as nn.MultiheadAttention."""

    def __init__(self, config: nanogpt.GPTConfig) -> None:
        super().__init__(config)
        self.attn.spare = nn.Linear(config.n_embd, config.n_embd)


OTHER = {"blocks": "layers", "final_norm": "norm", "head": "out", "n_heads": 4, "n_ctx": 32}


def other(block: type[nn.Module] = nanogpt.Block, **how: Any) -> Other:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Other(block=block, **how)


def test_another_layout_by_its_map() -> None:
    model = wrap(other(), **OTHER)
    assert not model.unusable and model.shape.n_layers == 2


def test_post_norm_blocks_lose_the_sites_that_would_lie() -> None:
    model = wrap(other(PostNorm), **OTHER)
    assert set(model.unusable) == {"attn_out", "mlp_out", "resid_mid"}
    assert "is not resid_pre + attn_out + mlp_out" in model.unusable["attn_out"]
    batch = model.prompts(interp.Addition(2).sample(4, seed=0), format="padded")
    with pytest.raises(SiteError, match="site 'attn_out' of Other is unusable: the stream after"):
        interp.engine.run(model, batch, reads=[interp.engine.Read("attn_out", 0, "a0")])


def test_parallel_blocks_have_no_middle() -> None:
    model = wrap(other(Parallel), **OTHER)
    assert set(model.unusable) == {"resid_mid"}
    assert "does not read the stream after attention" in model.unusable["resid_mid"]


CHANGED_OUTSIDE = [
    ({"mixed": True}, {"resid_pre", "resid_post"}, "resid_pre of layer 1 is not resid_post of"),
    ({"skip": True}, {"resid_pre", "resid_post"}, "resid_pre of layer 1 is not resid_post of"),
    ({"last_scale": 0.5}, {"resid_post"}, "final norm reads is not resid_post of layer 1"),
]


@pytest.mark.parametrize(("how", "lost", "why"), CHANGED_OUTSIDE)
def test_a_stream_that_is_changed_outside_the_blocks(
    how: dict[str, Any], lost: set[str], why: str
) -> None:
    """Those sites refuse by name, in every analysis that reads them; the others still work."""
    module = other(**how)
    model = wrap(module, **OTHER)
    assert set(model.unusable) == lost
    batch = model.prompts(interp.Addition(2).sample(40, seed=0), format="padded")
    with pytest.raises(SiteError, match=f"site 'resid_post' of Other is unusable: .*{why}"):
        interp.attribution.logit_lens(model, batch)
    for site in lost:
        with pytest.raises(SiteError, match=f"site '{site}' of Other is unusable"):
            probes.probe(model, batch.problems, targets=["carry[0]"], sites=[site])
        with pytest.raises(SiteError, match=f"site '{site}' of Other is unusable"):
            interp.engine.gradients(model, batch, [interp.engine.Read(site, 1, "a0")])
        zero = interp.engine.Replace(site, interp.engine.Zero(), layers=1, roles="a0")
        with pytest.raises(SiteError, match=f"site '{site}' of Other is unusable"):
            interp.engine.run(model, batch, [zero])
    interp.attribution.counterfactual(model, batch)
    where: dict[str, Any] = {"targets": ["carry[0]"], "roles": ["last"], "layers": [1]}
    found = probes.probe(model, batch.problems, sites=["mlp_out"], format="padded", jobs=1, **where)
    assert set(found.frame["site"]) == {"mlp_out"}


@pytest.mark.parametrize("how", ["mixed", "skip"])
def test_the_reason_names_the_layer_and_the_largest_difference(how: str) -> None:
    module = other(**{how: True})
    model = wrap(module, **OTHER)
    with torch.no_grad():
        x = module.embed(model.adapter.probe)
        after = module.layers[0](x)
    gap = float((module.between(x, after, x) - after).abs().max())
    assert f"(largest difference {gap:.2g})" in model.unusable["resid_post"]


class Around(nn.Module):
    """A block and what is done to its output, as the refusal advises."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0.9 * x + 0.5 * self.block(x)


class ScaledNorm(nn.Module):
    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(0.5 * x)


def test_the_remedy_gives_the_stream_back() -> None:
    """And then the lens after the last layer is the model."""
    mixed, scaled = other(mixed=True), other(last_scale=0.5)
    mixed.layers = nn.ModuleList(map(Around, mixed.layers))
    mixed.how = {}
    scaled.norm, scaled.how = ScaledNorm(scaled.norm), {}
    inside = {
        "attn": "block.attn",
        "attn_out_projection": "block.attn.c_proj",
        "mlp": "block.mlp",
        "mlp_out_projection": "block.mlp.c_proj",
    }
    for module, plain, more in (
        (mixed, other(mixed=True), inside),
        (scaled, other(last_scale=0.5), {}),
    ):
        model = wrap(module, **(OTHER | more))
        assert not {"resid_pre", "resid_post"} & set(model.unusable)
        batch = model.prompts(interp.Addition(2).sample(40, seed=0), format="padded")
        lens = interp.attribution.logit_lens(model, batch)
        for role in batch.answer_roles:
            where = torch.from_numpy(batch.predicting_positions(role))
            rows = torch.arange(len(batch))
            with torch.no_grad():
                own = plain(batch.tokens)[rows, where, batch.tokens[rows, where + 1]].mean()
            read = lens.logit.at(layer="1", answer_digit=role)
            assert read == pytest.approx(float(own), rel=1e-5)


def test_parts_that_are_not_there_can_be_left_out() -> None:
    sites = {**OTHER, "mlp": None, "mlp_out_projection": None}
    model = wrap(other(AttentionOnly), **sites)
    assert model.usable_sites == ("resid_pre", "resid_post", "attn_out", "z", "ln_final")
    assert model.shape.d_mlp == 0
    model = wrap(other(), **{**OTHER, "attn_out_projection": None})
    assert "z" not in model.adapter.sites and model.shape.d_head == 8


def test_a_tied_embedding_may_be_the_head() -> None:
    gpt = nanogpt.random_gpt(seed=2)
    tied, plain = wrap(gpt, head="transformer.wte"), wrap(gpt)
    problems = interp.Addition(2).sample(4, seed=0)
    one, two = (
        interp.engine.run(m, m.prompts(problems, format="padded")).logits for m in (tied, plain)
    )
    assert torch.allclose(one, two, atol=1e-5)


def test_a_module_without_a_causal_mask_is_read_at_its_last_position_alone() -> None:
    module = other(noncausal=True)
    model = wrap(module, **OTHER)
    assert "no causal mask" in repr(model)
    problems = interp.Addition(2).problems([12, 98], [34, 76])
    batch = model.prompts(problems, format="plain", answer="none")
    found = interp.engine.run(model, batch, logits="last").logits[:, 0]
    with torch.no_grad():
        assert torch.allclose(found, module(batch.tokens)[:, -1], atol=1e-5)
    with pytest.raises(InputError, match=r"answer has 3 tokens. Ask a format whose answer is one"):
        model.prompts(problems, format="padded")
    with pytest.raises(InputError, match="several lengths, and Other has no causal mask: padding"):
        model.prompts(interp.Addition(2).problems([1, 98], [34, 76]), format="plain", answer="none")
    with pytest.raises(RoleError, match="read at its last position alone: an earlier one has seen"):
        interp.engine.run(model, batch, logits="all")
    with pytest.raises(InputError, match="answers with one token at the end of the question, not"):
        interp.engine.generate(model, batch, max_new_tokens=2)


def test_a_module_that_draws_random_numbers_is_called_that() -> None:
    class Dropping(nn.Embedding):
        def forward(self, idx: torch.Tensor) -> torch.Tensor:
            return nn.functional.dropout(super().forward(idx), 0.5)

    module = nanogpt.random_gpt()
    module.transformer.wte = Dropping(15, 32)
    with pytest.raises(InputError, match=r"other logits for the same tokens each time: it draws"):
        wrap(module)


def test_logits_that_are_more_than_the_head() -> None:
    with pytest.raises(ModelError, match=r"logits are not head\(final_norm\(…\)\): name in its"):
        wrap(other(softcap=True), **OTHER)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"backwards": True}, r"blocks run in the order \[1, 0\]. Name a list that holds them"),
        ({"twice": True}, r"block 1 of SiteMap\(blocks='layers'\) runs 2 times in a forward"),
        ({"batch_second": True}, r"passes on \[6, 2, 32\] for tokens \[2, 6\]: a wrapped module"),
    ],
)
def test_modules_that_do_not_run_as_mapped(how: dict[str, bool], message: str) -> None:
    with pytest.raises(InputError, match=message):
        wrap(other(**how), **OTHER)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"blocks": "transformer.h"},
            r"SiteMap\(blocks='transformer.h'\): Other has no 'transformer'; it has embed, layers, "
            r"norm, out. Say where it lies: sites=SiteMap\(blocks=…\)",
        ),
        ({"blocks": "norm"}, r"must name a filled nn.ModuleList, not LayerNorm"),
        ({"attn": "attention"}, r"\(attn='attention'\): Block has no 'attention'; it has ln_1, at"),
        ({"attn_out_projection": "attn.out"}, r"has no 'out'; it has c_attn, c_proj"),
        ({"final_norm": "ln"}, r"SiteMap\(final_norm='ln'\): Other has no 'ln'"),
        ({"head": "how"}, r"SiteMap\(head='how'\) must name a module, not dict"),
        ({"n_heads": "config.n_head"}, r"\(n_heads='config.n_head'\): Other has no 'config'"),
        ({"n_heads": 5}, r"gives 5 heads, which do not divide the width 32 of layer 0"),
        ({"n_heads": 0}, r"SiteMap\(n_heads=0\) must be a positive whole number"),
        ({"n_ctx": True}, r"SiteMap\(n_ctx=True\) must be a positive whole number"),
    ],
)
def test_maps_that_do_not_fit(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        wrap(other(), **{**OTHER, **changed})


def test_a_part_that_is_never_called() -> None:
    with pytest.raises(
        InputError,
        match=r"\(attn_out_projection='attn.spare'\) of block 0 runs 0 times.*None to do without",
    ):
        wrap(other(Bypass), **{**OTHER, "attn_out_projection": "attn.spare"})


def test_what_is_no_module(gpt: nanogpt.GPT) -> None:
    with pytest.raises(InputError, match=r"takes an nn.Module, not str.*interp.load"):
        wrap("gpt2")
    with pytest.raises(InputError, match="ReLU has no parameters"):
        wrap(nn.ReLU())
    gpt.generator = torch.Generator()
    gpt.kept = gpt.lm_head.weight * 1
    with pytest.raises(InputError, match=r"GPT cannot be copied .* Keep no activations"):
        wrap(gpt)
    with pytest.raises(InputError, match="sites must be a SiteMap, not dict"):
        interp.wrap(nanogpt.random_gpt(), nanogpt.CHARACTERS, sites={})


def test_tokenizers_that_do_not_fit(gpt: nanogpt.GPT) -> None:
    with pytest.raises(InputError, match=r"ids up to 15 and the module reads ids up to 14"):
        wrap(gpt, nanogpt.CHARACTERS + "x")
    wide = nanogpt.random_gpt()
    wide.transformer.wte = nn.Embedding(20, 32)
    assert wrap(wide, nanogpt.CHARACTERS + "x").shape.d_vocab_out == 15  # "x" is only read
    with pytest.raises(InputError, match=r"ids up to 20 and the module reads ids up to 19"):
        wrap(wide, nanogpt.CHARACTERS + "uvwxyz")
    with pytest.raises(InputError, match=r"Only the tasks mod:p and add:n name their tokens"):
        interp.wrap(gpt)
    with pytest.raises(InputError, match=r"add:2 names 12 tokens, and the model reads 15"):
        interp.wrap(gpt, task="add:2")
    with pytest.raises(InputError, match=r"a object gives no character offsets"):
        wrap(gpt, object())
    with pytest.raises(InputError, match="name '1' twice"):
        wrap(gpt, "0112")
    with pytest.raises(InputError, match="the list of characters is empty"):
        wrap(gpt, "")
    with pytest.raises(InputError, match="two characters share an id"):
        wrap(gpt, {"0": 1, "1": 1})


def test_a_module_that_wants_more_than_tokens() -> None:
    class Needy(nanogpt.GPT):
        def forward(self, idx: torch.Tensor, mask: torch.Tensor) -> Any:
            return super().forward(idx)

    with pytest.raises(InputError, match=r"does not run .*TypeError.*take token ids alone"):
        wrap(Needy(nanogpt.GPTConfig()))


def test_a_module_that_returns_no_logits() -> None:
    class Silent(nanogpt.GPT):
        def forward(self, idx: torch.Tensor, targets: Any = None) -> Any:
            super().forward(idx)
            return {"nothing": 0}

    with pytest.raises(InputError, match=r"must return logits .* not dict"):
        wrap(Silent(nanogpt.GPTConfig()))


def test_task_and_format_are_checked(gpt: nanogpt.GPT) -> None:
    with pytest.raises(InputError, match="no format 'paded'"):
        wrap(gpt, format="paded")
    with pytest.raises(InputError, match=r"format 'modular' cannot write 'add:2'"):
        wrap(gpt, task="add:2", format="modular")
    with pytest.raises(InputError, match="add:two"):
        wrap(gpt, task="add:two")


def test_prompts_must_fit_its_context(gpt: nanogpt.GPT) -> None:
    problems = interp.Addition(20).problems([10**19], [10**19])
    with pytest.raises(InputError, match=r"does not fit the context of GPT \(32\)"):
        wrap(gpt).prompts(problems, format="plain")


def test_a_slow_tokenizer_is_refused(gpt: nanogpt.GPT) -> None:
    class Slow:
        is_fast = False

    with pytest.raises(InputError, match="Give a fast tokenizer of transformers"):
        wrap(gpt, Slow())


def test_the_tokenizer_of_a_folder_serves_too() -> None:
    words = tiny.tokenizer()
    gpt = nanogpt.random_gpt(vocab_size=len(words), block_size=64)
    model = wrap(gpt, words)
    batch = model.prompts(interp.Addition(1).problems([3], [4]), format="qa-short")
    assert batch.texts == ("Question: What is 3 + 4?\nAnswer: 7",)
