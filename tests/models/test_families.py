"""Families opened by `interp.load`: equal to plain PyTorch hooks on the Hugging Face module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import interp
from bench import families
from interp import engine
from interp.engine import (
    Add,
    Constant,
    MaskAttention,
    Read,
    Replace,
    Savings,
    Scale,
    UserHook,
    Variant,
    Zero,
    block_steps,
)
from interp.engine.passes import Job, forward
from interp.engine.writes import value_reads
from interp.errors import InputError, ModelError
from interp.models.decoder import DecoderAdapter
from interp.models.structure import find_sites
from interp.models.untrained import untrained
from interp.models.wrapped import WrappedAdapter
from tests.engine.padding import check_padding

LAYER = 1
SELF = {"blocks": "model.layers", "attn": "self_attn", "o": "self_attn.o_proj", "mlp": "mlp",
        "down": "mlp.down_proj", "mask": "self_attn"}  # fmt: skip
POST = {**SELF, "attn": "post_attention_layernorm", "mlp": "post_feedforward_layernorm"}
NEOX = {"blocks": "gpt_neox.layers", "attn": "attention", "o": "attention.dense", "mlp": "mlp",
        "down": "mlp.dense_4h_to_h", "mask": "attention"}  # fmt: skip
OLD = {"blocks": "transformer.h", "attn": "attn", "o": "attn.c_proj", "mlp": "mlp",
       "down": "mlp.c_proj"}  # fmt: skip
# Where each family's tensors are, written by hand from transformers' source: what is added to the
# stream by attention and MLP, and the two output projections.
STEPPED: dict[str, dict[str, str]] = {
    "Qwen3": SELF,
    "Gemma 3": POST,
    "Mistral": SELF,
    "OLMo 2": POST,
    "Phi-3": SELF,
    "Qwen2, sliding": SELF,
    "GPT-NeoX, no bias": NEOX,
    "Gemma 2": POST,
    "GLM 4": {**SELF, "attn": "post_self_attn_layernorm", "mlp": "post_mlp_layernorm"},
    "Cohere 2": SELF,
}
WHOLE: dict[str, dict[str, str]] = {
    "GPT-J": {**OLD, "o": "attn.out_proj", "down": "mlp.fc_out"},
    "GPT-Neo": {**OLD, "o": "attn.attention.out_proj"},
    "OPT": {"blocks": "model.decoder.layers", "attn": "self_attn", "o": "self_attn.out_proj",
            "mlp": "fc2", "down": "fc2"},
    "BLOOM": {**OLD, "attn": "self_attention.dense", "o": "self_attention.dense",
              "mlp": "mlp.dense_4h_to_h", "down": "mlp.dense_4h_to_h"},
    "Falcon": {**OLD, "attn": "self_attention", "o": "self_attention.dense", "mlp": "mlp.act",
               "down": "mlp.dense_4h_to_h"},
    "MPT": {**OLD, "blocks": "transformer.blocks", "o": "attn.out_proj", "mlp": "ffn.down_proj",
            "down": "ffn.down_proj"},
    "StableLM": SELF,
    "StarCoder": OLD,
}  # fmt: skip
PARALLEL = ("GPT-NeoX, no bias", "Cohere 2", "GPT-J", "Falcon")
IN_FLOAT32 = ("GPT-J", "GPT-Neo", "MPT")  # attention of these is computed so in every precision


class Case:
    """One family's folder, opened here and by Hugging Face alone."""

    def __init__(self, family: str, folder: Path, places: dict[str, str]) -> None:
        self.family, self.places = family, places
        families.save(family, folder)
        self.model = interp.load(str(folder), dtype="float64")
        self.plain = families.plain(folder, torch.float64)
        problems = interp.Addition(3).sample(5, seed=0)
        self.batch = self.model.prompts(problems, format="padded")
        self.block = self.plain.get_submodule(places["blocks"])[LAYER]

    def part(self, name: str) -> Any:
        return self.block.get_submodule(self.places[name])

    def plain_logits(self) -> torch.Tensor:
        batch = self.batch
        ends = torch.stack(
            [torch.from_numpy(batch.predicting_positions(r)) for r in batch.answer_roles], 1
        )
        with torch.no_grad():  # up to the last token that predicts another, as the engine runs
            logits = self.plain(batch.tokens[:, : int(ends.max()) + 1]).logits
        return logits[torch.arange(len(batch))[:, None], ends]

    def hooked(self, part: Any, side: str, edit: Any) -> torch.Tensor:
        if side == "in":
            handle = part.register_forward_pre_hook(lambda m, a: (edit(a[0]), *a[1:]))
        else:
            handle = part.register_forward_hook(
                lambda m, a, y: (edit(y[0]), *y[1:]) if isinstance(y, tuple) else edit(y)
            )
        try:
            return self.plain_logits()
        finally:
            handle.remove()

    def same(self, got: torch.Tensor, want: torch.Tensor, bound: float = 1e-9) -> None:
        bound = 1e-7 if self.family in IN_FLOAT32 else bound
        assert got.shape == want.shape
        assert (got - want).abs().max() <= bound * want.abs().max()


def check_edits(case: Case) -> None:
    model, batch = case.model, case.batch
    clean = case.plain_logits()
    case.same(engine.run(model, batch).logits, clean)
    generator = torch.Generator().manual_seed(1)
    head = torch.randn(model.shape.d_head, dtype=torch.float64, generator=generator)
    added = torch.randn(model.shape.d_model, dtype=torch.float64, generator=generator)
    place = batch.positions["b0"]

    def edit_head(x: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        x.view(*x.shape[:2], model.shape.n_heads, -1)[:, place, 2] = head
        return x

    want = case.hooked(case.part("o"), "in", edit_head)
    assert (want - clean).abs().max() > 1e-4 * clean.abs().max()
    what = Replace("z", Constant(head), layers=LAYER, roles="b0", heads=2)
    case.same(engine.run(model, batch, [what]).logits, want)

    def add(x: torch.Tensor) -> torch.Tensor:
        rows = x.clone().reshape(len(batch), -1, x.shape[-1])  # OPT's MLP has one axis for both
        rows[:, place] += added
        return rows.reshape(x.shape)

    if case.family != "Falcon":  # adds attention to its MLP's output in place: tested below
        want = case.hooked(case.part("mlp"), "out", add)
        what = Add("mlp_out", Constant(added), layers=LAYER, roles="b0")
        case.same(engine.run(model, batch, [what]).logits, want)
    want = case.hooked(case.part("attn"), "out", add)
    site = "attn_out" if case.family in PARALLEL else "resid_mid"
    what = Add(site, Constant(added), layers=LAYER, roles="b0")
    case.same(engine.run(model, batch, [what]).logits, want)
    assert ("resid_mid" in model.usable_sites) == (case.family not in PARALLEL)


def check_mask(case: Case) -> None:
    """Blocked keys: −inf in the mask of one layer's attention, which renormalises the rest."""
    batch, key = case.batch, case.batch.positions["eq"] - 1
    query = case.batch.positions["eq"]

    def block(module: Any, args: Any, kwargs: Any) -> Any:
        mask = kwargs["attention_mask"].clone()
        mask[:, :, query, key] = float("-inf")
        return args, {**kwargs, "attention_mask": mask}

    handle = case.part("mask").register_forward_pre_hook(block, with_kwargs=True)
    try:
        want = case.plain_logits()
    finally:
        handle.remove()
    assert (want - case.plain_logits()).abs().max() > 1e-4 * want.abs().max()
    what = MaskAttention(layers=LAYER, roles="eq", keys="b0")
    assert batch.positions["b0"] == key
    # transformers takes the softmax in float32: what is left of it is rounded otherwise.
    case.same(engine.run(case.model, batch, [what]).logits, want, bound=1e-6)


def check_values(case: Case) -> None:
    """W_V maps what the value projection is given to the values, up to the bias."""
    names = ("v_proj", "qkv_proj", "query_key_value")
    attention = case.part("mask")
    module = next(getattr(attention, name) for name in names if hasattr(attention, name))
    seen: list[torch.Tensor] = []
    handle = module.register_forward_pre_hook(lambda m, a: seen.append(a[0]))
    try:
        case.plain_logits()
    finally:
        handle.remove()
    x = seen[0][:, case.batch.positions["b0"]]
    reads = value_reads(case.model, LAYER)
    assert reads is not None
    run = engine.run(case.model, case.batch, reads=[Read("v", LAYER, "b0")], logits=None)
    v = run.activations["v", LAYER][:, 0]
    want = torch.einsum("nd,gdh->ngh", x - x.mean(0), reads)
    case.same(v - v.mean(0), want)


def check_savings(case: Case) -> None:
    """Skipped blocks and shared prefixes change no number."""
    model = case.model
    batch, other = (
        model.prompts(interp.Addition(2).sample(4, seed=seed), format="padded@2:5")
        for seed in (4, 6)
    )
    variants = [
        Variant("other", batch=other),
        Variant("late", (Replace("z", Zero(), layers=2, roles="last", heads=(0, 2)),)),
        Variant("early", (Scale("k", 0.5, layers=0, roles="a0", heads=0),)),
        Variant("both", (Replace("v", Zero(), layers=1, roles="last"),), batch=other),
    ]
    reads = [Read("pattern", 2, "last"), Read("resid_post", (0, 2), ("a0", "last"))]
    slow = engine.run_variants(model, batch, variants, reads=reads, savings=Savings.none())
    fast = engine.run_variants(model, batch, variants, reads=reads)
    for one, two in zip(fast, slow, strict=True):
        case.same(one.logits, two.logits)
        assert one.changed
        for key, value in two.activations.items():
            case.same(one.activations[key], value)
    assert fast[1].cost.flops < 0.6 * slow[1].cost.flops


@pytest.mark.parametrize("family", STEPPED)
def test_blocks_run_one_by_one(family: str, tmp_path: Path) -> None:
    case = Case(family, tmp_path, STEPPED[family])
    assert isinstance(case.model.adapter, DecoderAdapter)
    check_edits(case)
    check_mask(case)
    check_values(case)
    check_savings(case)
    check_padding(case.model, case.batch.tokens[:3], lambda tokens: case.plain(tokens).logits)


@pytest.mark.parametrize("family", WHOLE)
def test_the_whole_module(family: str, tmp_path: Path) -> None:
    case = Case(family, tmp_path, WHOLE[family])
    assert isinstance(case.model.adapter, WrappedAdapter) and not case.model.wrapped
    assert case.model.id.name == str(tmp_path)
    check_edits(case)


@pytest.mark.parametrize("family", ["Gemma 2", "Granite"])
def test_gradients_equal_autograd(family: str, tmp_path: Path) -> None:
    """Of a head site, a fused scale and the stream: the leaf is put in by a plain hook."""
    case = Case(family, tmp_path, (STEPPED | {"Granite": SELF})[family])
    model, batch = case.model, case.batch
    run = engine.gradients(model, batch, [Read(s, LAYER, "b0") for s in ("z", "attn_out")])
    labels = torch.stack([batch.labels(role) for role in batch.answer_roles], 1)
    ends = torch.stack(
        [torch.from_numpy(batch.predicting_positions(r)) for r in batch.answer_roles], 1
    )
    factor = 0.3 if family == "Granite" else 1.0
    for site, name, side in (("z", "o", "in"), ("attn_out", "attn", "out")):
        seen: list[torch.Tensor] = []

        def leaf(x: torch.Tensor, seen: list[torch.Tensor] = seen) -> torch.Tensor:
            seen.append(x.detach().requires_grad_(True))
            return seen[0]

        if side == "in":
            handle = case.part(name).register_forward_pre_hook(lambda m, a, f=leaf: (f(a[0]),))
        else:
            handle = case.part(name).register_forward_hook(
                lambda m, a, y, f=leaf: (f(y[0]), *y[1:]) if isinstance(y, tuple) else f(y)
            )
        try:
            logits = case.plain(batch.tokens).logits
        finally:
            handle.remove()
        picked = logits[torch.arange(len(batch))[:, None], ends]
        picked.gather(2, labels[:, :, None]).sum().backward()
        want = seen[0].grad[:, batch.positions["b0"]]  # type: ignore[index]
        got = run.gradients[site, LAYER].reshape(want.shape)
        case.same(got * (factor if site == "attn_out" else 1.0), want, bound=1e-6)


@pytest.mark.parametrize("family", ["Granite", "Mixtral", "Cohere"])
def test_factors_and_experts(family: str, tmp_path: Path) -> None:
    """Multipliers on the stream, the embedding and the logits; an MLP of experts."""
    mlp = {"mlp": "mlp"} if family != "Granite" else {}
    case = Case(family, tmp_path, {**SELF, **mlp})
    model, batch = case.model, case.batch
    case.same(engine.run(model, batch).logits, case.plain_logits())
    reads = [Read(site, LAYER, None) for site in ("resid_pre", "attn_out", "mlp_out")]
    found = engine.run(model, batch, reads=reads, logits=None).activations
    seen: list[torch.Tensor] = []
    case.hooked(case.block, "out", lambda x: seen.append(x) or x)
    shorter = seen[0].shape[1]
    case.same(sum(found.values())[:, :shorter], seen[0])
    factor = 0.3 if family == "Granite" else 1.0
    attn: list[torch.Tensor] = []
    case.hooked(case.part("attn"), "out", lambda x: attn.append(x) or x)
    case.same(found["attn_out", LAYER][:, :shorter], factor * attn[0])
    zero = Replace("attn_out", Zero(), layers=LAYER, roles="b0")
    place = batch.positions["b0"]

    def off(x: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        x[:, place] = 0
        return x

    want = case.hooked(case.part("attn"), "out", off)
    case.same(engine.run(model, batch, [zero]).logits, want)
    assert ("mlp_post" in model.adapter.sites) == (family != "Mixtral")


def test_falcon_writes_into_its_mlp_output(tmp_path: Path) -> None:
    """Read before attention is added to it, and edited so."""
    case = Case("Falcon", tmp_path, WHOLE["Falcon"])
    place = case.batch.positions["b0"]
    read = engine.run(case.model, case.batch, reads=[Read("mlp_out", LAYER, None)], logits=None)
    seen: list[torch.Tensor] = []

    def off(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.clone())
        x = x.clone()
        x[:, place] = 0
        return x

    want = case.hooked(case.block.mlp, "out", off)
    case.same(read.activations["mlp_out", LAYER][:, : seen[0].shape[1]], seen[0])
    what = Replace("mlp_out", Zero(), layers=LAYER, roles="b0")
    case.same(engine.run(case.model, case.batch, [what]).logits, want)


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = families.save("Gemma 3", tmp_path_factory.mktemp("gemma"))
    return interp.load(str(folder), dtype="float64")


def test_a_window_hides_earlier_keys(gemma: Any) -> None:
    """Five positions in layers 0 and 2, all in layer 1; no edit of a pattern reaches further."""
    batch = gemma.prompts(interp.Addition(3).sample(3, seed=0), format="padded")
    run = engine.run(gemma, batch, reads=[Read("pattern", None, "last")], logits=None)
    last = batch.positions["last"]
    for layer, seen in ((0, 5), (1, last + 1), (2, 5)):
        rows = run.activations["pattern", layer][:, 0]
        assert (rows[..., : last + 1 - seen] == 0).all()
        assert (rows[..., last + 1 - seen : last + 1] > 0).all()
        assert torch.allclose(rows.sum(-1), torch.ones(3, 4, dtype=torch.float64))
    alike = UserHook("pattern", torch.ones_like, layers=0)
    inside = UserHook("pattern", lambda x: torch.ones_like(x).tril().triu(-4), layers=0)
    one, two = (engine.run(gemma, batch, [what]).logits for what in (alike, inside))
    assert torch.equal(one, two)


def test_masks_by_rows_are_refused_beyond_a_window(gemma: Any) -> None:
    batch = gemma.prompts(interp.Addition(3).sample(3, seed=0), format="padded")
    with pytest.raises(InputError, match=r"layers that see 5 positions, and a prompt is longer"):
        list(block_steps.prefix_states(gemma, batch.tokens, memory=2**20))
    short, states = next(block_steps.prefix_states(gemma, batch.tokens[:, :5], memory=2**20))
    read = engine.run(gemma, batch, reads=[Read("resid_post", 2, None)], logits=None)
    want = read.activations["resid_post", 2][short, 4]
    gap = (states.states[-1][states.index[:, 4]] - want).abs().max()
    assert gap <= 1e-6 * want.abs().max()  # softmax in float32, over fewer keys


def test_a_cap_on_the_logits_is_kept_where_a_few_are_computed(gemma: Any) -> None:
    tokens = torch.tensor([3, 9, 20])
    stream = 5 * torch.randn(4, gemma.shape.d_model, dtype=torch.float64)
    want = engine.unembed(gemma, stream)[:, tokens]
    assert (block_steps.TokenLogits(gemma, tokens)(stream) - want).abs().max() < 1e-9
    assert float(want.abs().max()) <= 3.0


def test_grouped_queries_are_named(gemma: Any, tmp_path: Path) -> None:
    assert (gemma.shape.n_heads, gemma.shape.n_kv_heads) == (4, 1)
    families.save("Mistral", tmp_path)
    plain = families.plain(tmp_path, torch.float32)
    wrapped = interp.wrap(plain, families.characters())
    assert (wrapped.shape.n_heads, wrapped.shape.n_kv_heads) == (4, 2)
    sites = find_sites(plain, torch.tensor([[3, 4, 5]]))
    assert (sites.attn, sites.mlp, sites.n_kv_heads) == ("self_attn", "mlp", 2)


def test_a_qwen3_adder_of_three_dimensions(tmp_path: Path) -> None:
    """The shape of public ten-digit adders: d = 3, one head of four, RoPE θ = 3, ten tokens."""
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 1, "num_key_value_heads": 1,
             "hidden_size": 3, "intermediate_size": 7, "head_dim": 4,
             "rope_parameters": {"rope_type": "default", "rope_theta": 3.0}}  # fmt: skip
    words = families.characters("0123456789", special=False)
    families.save("Qwen3", tmp_path, words=words, **sizes)
    model = interp.load(str(tmp_path), dtype="float64")
    s = model.shape
    assert (s.d_model, s.d_head, s.n_kv_heads, s.d_vocab, s.d_mlp) == (3, 4, 1, 10, 7)
    assert not model.unusable and model.adapter.module.config.tie_word_embeddings
    tokens = torch.randint(0, 10, (3, 40), generator=torch.Generator().manual_seed(0))
    places = torch.arange(40).expand(3, -1)
    got = forward(model.adapter, Job(tokens, slice(0, 3), logit_positions=places)).logits
    with torch.no_grad():
        want = families.plain(tmp_path, torch.float64)(tokens).logits
    assert (got - want).abs().max() <= 1e-9 * want.abs().max()


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("mamba", r"MambaForCausalLM cannot be studied here: its blocks have no attention"),
        ("t5", r"'t5' model, and transformers 5\..* has no causal language model of that name"),
        ("openai-gpt", r"OpenAIGPTLMHeadModel has no final normalisation"),
    ],
)
def test_what_no_route_opens(kind: str, reason: str, tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

    config = AutoConfig.for_model(
        kind, num_hidden_layers=2, n_layer=2, hidden_size=32, d_model=32, n_embd=32, n_head=4,
        num_heads=4, d_ff=48, vocab_size=len(families.characters()),
    )  # fmt: skip
    make = AutoModel if kind == "t5" else AutoModelForCausalLM
    make.from_config(config).save_pretrained(tmp_path)
    families.characters().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=reason):
        interp.load(str(tmp_path))


def test_an_untrained_copy_of_any_family(gemma: Any, tmp_path: Path) -> None:
    falcon = interp.load(str(families.save("Falcon", tmp_path)))
    for model in (gemma, falcon):
        other = untrained(model, seed=1)
        assert other.family == model.family and other.shape == model.shape
        assert other.hash != model.hash
