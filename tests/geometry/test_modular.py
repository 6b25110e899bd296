"""The modular suite on planted adders: their frequencies and no others, radii, phases, losses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import interp
from interp.errors import InputError
from interp.geometry import clock_pizza
from interp.geometry._modular import modular
from interp.geometry.linear_maps import direct_logits, unit_writes
from interp.geometry.pairs import grid_of, run_pairs
from interp.geometry.spectra import dft, frequencies_of
from interp.models.untrained import untrained
from interp.planted import build
from interp.planted.program import basis as program_basis
from interp.results.result import Result
from tests.geometry import reference
from tests.planted.subjects import FIRST_SEED

P = 29


@pytest.fixture(scope="module")
def planted():
    hidden = build("modular", seed=FIRST_SEED, modulus=P, layers=2, family="gpt2")
    model = hidden.model()
    grid = grid_of(model, P)
    return model, hidden.key, grid, run_pairs(model, grid, hidden.key.readable_from)


@pytest.fixture(scope="module")
def result(planted):
    model, key, _, seen = planted
    mask = np.random.default_rng(0).random((P, P)) < 0.4
    return modular(model, layer=key.readable_from, triples=60, train=mask), mask, seen


def frequencies(key):
    return sorted(int(one["frequency"]) for one in key.frequencies)


def test_the_planted_frequencies_and_no_others(planted, result):
    key, found = planted[1], result[0]
    assert sorted(found.keys) == frequencies(key)
    margins = found.margins.set_index("rule")
    assert [int(k) for k in margins.loc["logits", "keys"].split()] == frequencies(key)
    single = found.neurons[found.neurons["explained"] > 0.85]["frequency"]
    assert sorted(set(single)) == frequencies(key)
    assert margins.loc["logits", "margin"] > 100
    assert found.value("accuracy") == 1.0


def test_every_neuron_has_one_planted_frequency(planted, result):
    model, key, grid, seen = planted
    writes = unit_writes(model, grid.batch, "mlp_post", seen.layer)
    heard = np.linalg.norm(direct_logits(model, writes, grid.tokens), axis=1)
    table = result[0].neurons[heard > 1e-6 * heard.max()]
    assert set(table["frequency"]) == set(frequencies(key))
    assert (table["explained"] > 0.85).all()


def test_radius_and_phase_to_a_thousandth(planted):
    """The wave of frequency f in the embeddings is ρ (cos(w a + φ) u + sin(w a + φ) v)."""
    _, key, _, seen = planted
    waves = dft(seen.embedding)
    program = key.program
    for one in key.frequencies:
        k = int(one["frequency"])
        cosine, sine = waves[frequencies_of(P) == k]
        blocks = [i for i, name in enumerate(program.features) if name.startswith(f"circle {k}")]
        u, v = program_basis(program)[:, blocks[:2]].T
        z = np.sqrt(2 / P) * np.array([cosine @ u - 1j * (sine @ u), cosine @ v - 1j * (sine @ v)])
        z = z / [u @ u, v @ v]
        assert np.abs(z) == pytest.approx(one["radius"], rel=1e-3)
        off = np.angle(z[0] * np.exp(-1j * one["phase"]))
        assert abs(off) < 1e-3


def test_other_frequencies_have_no_power(planted):
    _, key, _, seen = planted
    squares = (dft(seen.embedding) ** 2).sum(axis=1)
    others = ~np.isin(frequencies_of(P), [0, *frequencies(key)])
    assert squares[others].max() < 1e-9 * squares[1:].max()


def test_excluded_loss_rises_for_planted_frequencies_alone(planted, result):
    _, key, _, seen = planted
    full = result[0].loss("full")
    rise = {
        k: reference.loss(seen.logits - reference.trig(seen.logits, (k,))) / full
        for k in range(1, P // 2 + 1)
    }
    planted_rise = [rise[k] for k in frequencies(key)]
    others = [rise[k] for k in rise if k not in frequencies(key)]
    # The others: the rectified cosines' harmonics, which a finite m leaves.
    assert max(others) < 2.0 and min(planted_rise) > 4 * max(others)


def test_losses_are_the_references(planted, result):
    found, mask, seen = result
    waves = reference.trig(seen.logits, found.keys)
    corrected = waves + (seen.logits - waves).mean(axis=(0, 1))
    assert found.loss("restricted") == pytest.approx(reference.loss(corrected), rel=1e-6)
    assert found.loss("excluded") == pytest.approx(
        reference.loss(seen.logits - waves, mask), rel=1e-6
    )
    alone, rest = reference.characters(seen.logits, found.keys)
    assert found.loss("restricted", "characters") == pytest.approx(reference.loss(alone), rel=1e-6)
    assert found.loss("excluded", "characters") == pytest.approx(
        reference.loss(rest, mask), rel=1e-6
    )
    each = found.losses[
        (found.losses["measure"] == "excluded") & (found.losses["where"] == "logits")
    ]
    assert len(each) == len(found.keys) + 1
    assert found.value("distance_irrelevance") == pytest.approx(
        reference.distance_irrelevance(seen.logits)
    )
    assert found.value("circularity") == pytest.approx(reference.circularity(seen.embedding))
    explained = sum(reference.logit_cosine(seen.logits, k) ** 2 for k in found.keys)
    assert found.value("logits_explained") == pytest.approx(explained, rel=1e-6)


def test_pairs_of_frequencies_are_those_of_the_fast_transform(planted, result):
    key, found = planted[1], result[0]
    x = planted[3].logits - planted[3].logits.mean(axis=2, keepdims=True)
    squares = (np.abs(np.fft.fft2(x, axes=(0, 1))) ** 2).sum(axis=2)
    k = np.minimum(np.arange(P), P - np.arange(P))
    want = np.zeros((P // 2 + 1, P // 2 + 1))
    np.add.at(want, (k[:, None], k), squares)
    want[0, 0] = 0
    table = found.pairs.pivot(index=["object", "a"], columns="b", values="share")
    assert np.allclose(table.loc["logits"], want / want.sum(), atol=1e-12)
    assert found.metrics["logits_same_frequency"] == pytest.approx(np.trace(want) / want.sum())
    strongest = np.argsort(np.diag(table.loc["neurons"]))[::-1][: len(frequencies(key))]
    assert sorted(strongest.tolist()) == frequencies(key)


def test_the_pizza_is_one(planted, result):
    """The planted mechanism is a Pizza: |cos(w(a − b)/2)| scales the right logit."""
    found = result[0]
    assert found.value("gradient_symmetricity") > 0.98
    assert found.algorithm in ("Pizza", "forced")


def test_restricted_to_wrong_frequencies_it_is_not_right(planted):
    model, key, _, _ = planted
    others = [k for k in range(1, P // 2 + 1) if k not in frequencies(key)][:2]
    found = modular(model, keys=others, triples=4, frequencies="together")
    assert found.loss("restricted") > np.log(P) - 0.5
    assert found.loss("excluded") < 1.5 * found.loss("full")


def test_a_random_model_yields_nothing(planted):
    found = modular(untrained(planted[0], seed=1), modulus=P, triples=4)
    assert found.keys == () and found.value("neurons_one_frequency") == 0.0
    assert "No key frequency" in found.conclusion()


def test_it_is_saved_and_made_again(result, tmp_path):
    found = result[0]
    assert Result.load(found.save(tmp_path / "modular")) == found
    assert "interp.geometry.modular(model, modulus=29" in found.code
    assert set(found.metrics) <= set(found.meanings)


def test_symmetricity_of_given_triples_is_that_of_plain_autograd(planted):
    model, _, grid, _ = planted
    triples = [(1, 2, 3), (7, 7, 20), (28, 0, 5)]
    found = clock_pizza.gradient_symmetricity(model, grid, triples)
    module = model.adapter.module
    cosines = []
    for a, b, c in triples:
        tokens = grid.batch.tokens[a * P + b][None]
        e = module.transformer.wte(tokens).detach().requires_grad_(True)
        logit = module(inputs_embeds=e).logits[0, -1, int(grid.tokens[c])]
        (slope,) = torch.autograd.grad(logit, e)
        where = [int(grid.batch.find(role)[0]) for role in grid.roles]
        x, y = slope[0, where[0]], slope[0, where[1]]
        cosines.append(float(x @ y / x.norm() / y.norm()))
    assert found.mean == pytest.approx(np.mean(cosines), abs=1e-6)


class Plain(nn.Module):
    """One layer without normalisation or mask, attention rows that do not sum to 1, d_mlp ≠ 4 d."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, 24)
        self.place = nn.Parameter(torch.randn(8, 24))
        self.blocks = nn.ModuleList([Block()])
        self.norm, self.head = nn.Identity(), nn.Linear(24, vocabulary, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embed(tokens) + self.place[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attn, self.mlp = Attention(), Mlp()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(x)
        return x + self.mlp(x)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.value, self.out = nn.Linear(24, 24, bias=False), nn.Linear(24, 24, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(torch.cumsum(self.value(x), dim=1))


class Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.into, self.out = nn.Linear(24, 40), nn.Linear(40, 24)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(torch.relu(self.into(x)))


CHARACTERS = "0123456 ="


@pytest.fixture(scope="module")
def wrapped():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        module = Plain(len(CHARACTERS)).eval()
    sites = interp.SiteMap(
        blocks="blocks", attn="attn", attn_out_projection="attn.out", mlp="mlp",
        mlp_out_projection="mlp.out", final_norm="norm", head="head", n_heads=2, n_ctx=8,
    )  # fmt: skip
    options = {"name": "plain", "sites": sites, "task": "mod:7", "format": "modular"}
    return module, interp.wrap(module, CHARACTERS, **options)


def test_a_wrapped_module_is_read_as_it_computes(wrapped):
    module, model = wrapped
    grid = grid_of(model, 7)
    seen = run_pairs(model, grid)
    with torch.no_grad():
        logits = module(grid.batch.tokens)[:, -1, :7].reshape(7, 7, 7)
    assert np.allclose(seen.logits, logits, atol=1e-5)
    writes = unit_writes(model, grid.batch, "mlp_post", 0)
    want = module.blocks[0].mlp.out.weight.detach().numpy().T
    assert np.allclose(writes, want, atol=1e-5)
    direct = direct_logits(model, writes, grid.tokens)
    assert np.allclose(direct, want @ module.head.weight.detach().numpy()[:7].T, atol=1e-5)
    e = module.embed.weight.detach().numpy()[:7]
    assert np.allclose(seen.embedding - seen.embedding[0], e - e[0], atol=1e-5)


def test_a_wrapped_module_has_the_whole_suite(wrapped):
    module, model = wrapped
    found = modular(model, triples="published", train=np.eye(7, dtype=bool))
    assert found.task == "mod:7" and set(found.rules["rule"]) == {
        "embedding", "unembedding", "neurons", "logits",
    }  # fmt: skip
    grid = grid_of(model, 7)
    cosines = []
    for a, b, c in clock_pizza.published_triples(7):
        e = module.embed(grid.batch.tokens[7 * a + b][None]).detach().requires_grad_(True)
        x = e + module.place[: e.shape[1]]
        (slope,) = torch.autograd.grad(module.head(module.blocks[0](x))[0, -1, c], e)
        first, second = slope[0, 0], slope[0, 2]
        cosines.append(float(first @ second / first.norm() / second.norm()))
    assert found.value("gradient_symmetricity") == pytest.approx(np.mean(cosines), abs=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modulus": 2}, "at least 3"),
        ({"modulus": 31}, "If the modulus does not fit its vocabulary"),
        ({"keys": "loudest"}, "is no rule"),
        ({"keys": (15,)}, "frequency 15 does not exist modulo 29"),
        ({"train": np.ones((P, P), bool)}, "leave pairs on both sides"),
        ({"train": np.ones((3, 4))}, "must be a mask of pairs"),
        ({"split": "train"}, "needs the training pairs"),
        ({"triples": 1}, "at least two"),
        ({"triples": [(0, 0, 29), (0, 0, 1)]}, "between 0 and 28"),
        ({"layer": 4}, "layer 4 does not exist"),
    ],
)
def test_what_cannot_be_asked_is_refused(planted, options, message):
    with pytest.raises(interp.errors.ArithmoscopeError, match=message):
        modular(planted[0], **options)


def test_numbers_of_several_tokens_are_refused():
    with pytest.raises(InputError, match="no modular addition"):
        modular(interp.load("add5"))
