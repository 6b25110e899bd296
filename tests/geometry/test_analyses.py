"""The analyses find what is planted, beyond their nulls, and refuse what is not there."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.torch import load_file

import interp
from interp.errors import InputError
from interp.geometry._figure import figure
from interp.geometry._fourier import fourier
from interp.geometry._grid import grid
from interp.geometry._helix import helix
from interp.geometry._minkowski import minkowski
from interp.geometry.circular_probe import circular_accuracy
from interp.models.fixtures import fixtures_root
from interp.models.untrained import untrained
from interp.planted import build
from interp.results.result import Result
from tests.geometry import reference
from tests.planted.subjects import FIRST_SEED

P = 23


@pytest.fixture(scope="module")
def planted():
    hidden = build("modular", seed=FIRST_SEED, modulus=P, layers=2, family="gpt2")
    model, key = hidden.model(), hidden.key
    return model, key, key.task.grid(), sorted(int(f["frequency"]) for f in key.frequencies)


@pytest.fixture(scope="module")
def add5():
    return interp.load("add5")


def test_planted_waves_are_fitted_and_noise_is_not(planted):
    model, _, problems, waves = planted
    role = model.prompts(problems[:2], answer="none").roles
    a = next(r for r in role if r.startswith("a["))
    options = {"objects": ("embedding",), "roles": (a,), "permutations": 40}
    found = fourier(model, problems, frequencies=waves, **options)
    place = found.places.iloc[0]
    assert place["r2"] == pytest.approx(1.0, abs=1e-6) and place["p"] == 1 / 41
    own = found.waves[found.waves["share"] > 1e-6]["frequency"]
    assert set(own) <= set(waves)
    # Chance alone gives one model in 41 the least p there is, and two of them one time in 1,681.
    others = (
        fourier(untrained(model, seed=s), problems, frequencies=waves, **options) for s in (1, 2)
    )
    assert max(other.places["p"].iloc[0] for other in others) > 1 / 41


def test_the_planted_circle_is_regular_and_read(planted):
    model, key, problems, waves = planted
    roles = model.prompts(problems[:2]).roles
    b = next(r for r in roles if r.startswith("b["))
    found = figure(
        model, problems, site="resid_pre", layer=0, role=b, frequencies=waves, steps=(1, 5),
        permutations=30, randoms=1,
    )  # fmt: skip
    table = found.circles.set_index("frequency")
    for one in key.frequencies:
        row = table.loc[int(one["frequency"])]
        assert row["radius_spread"] < 1e-6 and row["angle_spread"] < 1e-6
    assert table["share"].sum() == pytest.approx(1.0)
    assert found.used and found.metrics["followed"] == 1.0
    assert found.metrics["followed_random"] < 0.3
    errors = found.errors[found.errors["arm"] == "clean"]
    assert errors["offset"].tolist() == [0] and errors["share"].tolist() == [1.0]
    assert found.errors.groupby("arm")["share"].sum().to_numpy() == pytest.approx(1.0)
    removed = found.removal.set_index("arm")["accuracy"]
    assert removed["clean"] == 1.0 and removed["keep"] == 1.0 and removed["remove"] < 0.3


def test_waves_that_are_not_there_have_no_effect(planted):
    model, _, problems, waves = planted
    b = next(r for r in model.prompts(problems[:2]).roles if r.startswith("b["))
    other = next(k for k in range(1, P // 2 + 1) if k not in waves)
    found = figure(
        model, problems, site="resid_pre", layer=0, role=b, frequencies=(other,), steps=(1,),
        permutations=30, randoms=1,
    )  # fmt: skip
    assert not found.used and "no such figure beyond chance" in found.conclusion()


def test_the_movers_of_a_planted_model_add_two_circles(planted):
    model, key, problems, _ = planted
    roles = model.prompts(problems[:2]).roles
    a, b = (next(r for r in roles if r.startswith(f"{x}[")) for x in "ab")
    layers = {mover.layer for mover in key.movers}
    layer = max(layers)
    found = minkowski(model, problems, layer=layer, head=-1, a=a, b=b, draws=3)
    assert found.metrics["additive"] == pytest.approx(1.0, abs=1e-3)
    assert abs(found.metrics["of_cells"]) < 1e-3


@pytest.fixture(scope="module")
def sums():
    """A real head's output, and the R² of each prediction."""
    model = interp.load("mul3x3-icot")
    problems = interp.task("mul:3x3").sample(400, seed=0)
    return model, problems, minkowski(model, problems, role="predicts(c1)", draws=3)


def test_the_weights_predict_a_real_heads_output(sums):
    found = sums[2]
    r2 = found.predictions.set_index("prediction")["r2"]
    assert r2["weights of each prompt"] >= r2["mean weights"] - 0.01
    shares = found.shares.set_index("term")
    assert shares.loc["additive", "share"] > shares.loc["additive", "null_high"]
    assert 0 < found.metrics["alpha"] < 1


def test_the_published_formula_has_no_position_and_no_norm(sums):
    """Its R² is that of a slow reference on the file's tensors, its output that of the head."""
    model, problems, found = sums
    s = found.settings
    batch = model.prompts(problems, format=s["format"])
    roles = (s["a"], s["b"])
    run = interp.engine.run(
        model, batch, reads=[("z", 0, s["role"]), ("pattern", 0, s["role"])], logits=None
    )
    weights = run.activations["pattern", 0][:, 0, s["head"]].double().numpy()
    rows = np.arange(len(batch))
    alpha, beta = (weights[rows, batch.find(role)] for role in roles)
    file = fixtures_root() / "models" / "mul3x3-icot" / "model.safetensors"
    tensors = {k: v.double().numpy() for k, v in load_file(file).items()}
    a, b = (batch.labels(role).tolist() for role in roles)
    share = (alpha / (alpha + beta)).mean()
    want = reference.published_sum(tensors, model.shape.n_heads, s["head"], a, b, share)
    z = run.activations["z", 0][:, 0, s["head"]].double().numpy()
    first = s["head"] * z.shape[1]
    rows_of = tensors["transformer.h.0.attn.c_proj.weight"][first : first + z.shape[1]]
    output = z @ rows_of
    x, y = output - output.mean(axis=0), want - want.mean(axis=0)
    row = found.predictions.set_index("prediction").loc["published"]
    assert row["r2"] == pytest.approx(1 - ((x - y) ** 2).sum() / (x**2).sum(), abs=1e-5)
    assert row["r2_scaled"] == pytest.approx(np.corrcoef(x.ravel(), y.ravel())[0, 1] ** 2, abs=1e-5)
    best = 1 - ((x - row["scale"] * y) ** 2).sum() / (x**2).sum()
    assert row["r2_scaled"] == pytest.approx(best, abs=1e-5)
    assert found.metrics["r2_published"] == row["r2"]


def test_a_helix_needs_three_values_a_column(add5, tmp_path):
    few = interp.task("add:5").sample(20, seed=1)
    with pytest.raises(InputError, match="20 different numbers for 8 columns"):
        helix(add5, few)
    found = helix(add5, "add:2", n=120, layers=0, pairs=0, periods=(2, 5, 10))
    row = found.fits.set_index("fit")
    assert row.loc["helix", "columns"] == 6
    assert row.loc["helix", "r2_test"] > row.loc["helix, values permuted", "r2_test"]
    assert Result.load(found.save(tmp_path / "helix")) == found


def test_the_planted_helix_is_needed_and_enough(tmp_path):
    """The planted number is its circles: without their plane nothing is right, with it all is."""
    hidden = build("modular", seed=FIRST_SEED, modulus=37, layers=2, family="gpt2")
    periods = [37 / f["frequency"] for f in hidden.key.frequencies]
    problems = hidden.key.task.grid()[np.random.default_rng(0).permutation(37**2)[:450]]
    found = helix(
        hidden.model(), problems, operand="b", site="resid_pre", layers=0, periods=periods,
        pairs=20, randoms=1,
    )  # fmt: skip
    arms = found.removal.groupby("arm")["accuracy"].mean()
    assert arms["clean"] == arms["keep"] == 1.0
    assert arms["remove"] < 0.06 and arms["keep random"] < 0.3  # one in 37 by chance
    assert found.metrics["lost_low"] > 0 and found.metrics["left_low"] > 0.5
    # Permuted values have all of the means' space, which is the circles' plane and no more.
    assert arms["remove values permuted"] == arms["remove"]
    errors = found.errors.pivot(index="arm", columns="offset", values="share").fillna(0)
    assert len(errors) == 7 and errors.sum(axis=1).to_numpy() == pytest.approx(1.0)
    assert errors[0].to_dict() == pytest.approx(arms.to_dict())
    assert "it is needed" in found.conclusion()
    assert Result.load(found.save(tmp_path / "helix")) == found


def test_a_circle_is_read_and_permuted_values_are_not():
    rng = np.random.default_rng(2)
    values = np.repeat(np.arange(40), 3)
    turn = 2 * np.pi * values / 10
    x = np.stack([np.cos(turn), np.sin(turn)], axis=1) @ rng.standard_normal((2, 12))
    x += 0.01 * rng.standard_normal(x.shape)
    assert circular_accuracy(x, values, 10) == 1.0
    assert circular_accuracy(x, values, 11) < 0.5
    assert circular_accuracy(x, rng.permutation(40)[values], 10) < 0.5
    one_digit = np.repeat(np.arange(10), 4)
    turn = 2 * np.pi * one_digit / 10
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    assert circular_accuracy(circle, one_digit, 10) == 1.0  # each digit left out once


def test_neurons_of_a_shipped_model(add5, tmp_path):
    found = grid(add5, "add:5", n=200, units=12, knocked=4, draws=2)
    assert set(found.knockout["arm"]) == {"clean", "related", "unrelated"}
    arms = found.knockout.set_index("arm")
    assert arms.loc["related", "neurons"] == arms.loc["unrelated", "neurons"]
    assert found.maps.shape == (12, 10, 10) and found.axes == ("a[0]", "b[0]")
    assert Result.load(found.save(tmp_path / "grid")) == found
    small = grid(add5, interp.task("add:1").grid(), units=4, knocked=0, draws=1)
    assert small.maps.shape == (4, 10, 10) and not np.isnan(small.maps).any()
    one = np.random.default_rng(0).standard_normal((2, add5.shape.d_model))
    along = grid(add5, "add:5", n=60, site="resid_post", directions=one, units=(1,), draws=1)
    assert along.units["unit"].tolist() == [1] and not len(along.knockout)
    assert "directions=directions" in along.code
    with pytest.raises(InputError, match="do not fit resid_post with 128 columns"):
        grid(add5, "add:5", n=60, site="resid_post", directions=one[:, :5], draws=1)
    for site, count in (("z", add5.shape.n_heads), ("logits", 10)):
        other = grid(add5, "add:5", n=150, site=site, units=10, draws=1, role="predicts(c1)")
        assert len(other.units) == min(10, count) and not len(other.knockout)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: fourier(m, "add:5", n=60, roles="eq"), "is no number"),
        (lambda m: fourier(m, "add:5", n=9, roles="a1"), "have fewer than 2 prompts at a1"),
        (lambda m: fourier(m, "add:5", n=60, objects=("heads",)), "choose of embedding"),
        (lambda m: fourier(m, "add:5", n=60, frequencies=(1, 2, 3, 4, 5)), "10 columns fit 10"),
        (lambda m: figure(m, "add:5", n=60, site="z"), "choose one of resid_pre"),
        (lambda m: figure(m, "add:5", n=60, layer=9), "layer 9 does not exist"),
        (lambda m: minkowski(m, "add:5", n=60, head=7), "head 7 does not exist"),
        (lambda m: minkowski(m, "add:5", n=60, a="c1"), "is no operand token"),
        (lambda m: helix(m, "add:5", operand="z"), "this task has a, b"),
        (lambda m: grid(m, "add:5", n=20), "20 distinct prompts"),
        (lambda m: grid(m, "add:5", n=60, site="pattern"), "choose one of mlp_post"),
        (lambda m: grid(m, "add:5", n=60, units=(9999,)), "units lie between"),
    ],
)
def test_what_cannot_be_asked_is_refused(add5, call, message):
    with pytest.raises(InputError, match=message):
        call(add5)
