"""Best-linear R² of the key: least squares on what the engine reads, at every site, in float32."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from interp import engine
from interp.engine import Read
from interp.errors import InputError, RoleError, SiteError
from interp.planted.key import AnswerKey
from interp.planted.linear import SITES
from interp.planted.mechanisms import kinds
from interp.planted.planted import build
from tests.planted.subjects import SEEDS

_ROWS = 300
_FLOOR = 1e-4  # singular values below this share of the largest: rounding, in float32
_ROUNDING = (
    1e-4  # what varies where nothing has arrived; the least that the mechanism writes is 0.1
)


@pytest.mark.parametrize("kind", kinds())
def test_linear_r2_is_that_of_the_activations(kind: str) -> None:
    planted = build(kind, seed=SEEDS[0])
    key, model = planted.key, planted.model()
    rng = np.random.default_rng(SEEDS[0])
    problems = key.task.sample(_ROWS, seed=SEEDS[0])
    truth = problems.truth.select_dtypes(["number", "bool"])
    columns = [name for name in truth if truth[name].nunique() > 1]
    y = truth[columns].to_numpy(float)
    batch = model.prompts(problems)
    other = str(rng.choice([r for r in key.program.layout if r not in ("bos", "eq")]))
    for role in ("eq", other):
        reads = [Read(site, None, (role,)) for site in SITES]
        run = engine.run(model, batch, reads=reads, logits=None)
        for site in SITES:
            want = key.linear_r2(columns, role, site=site, problems=problems)
            spread = key.spread(role, site=site, problems=problems)
            assert ((spread == 0) | (spread > 1e-3)).all()
            for name, x in _by_row(run, site, key):
                if not spread.loc[name]:
                    assert x.std(axis=0).max() < _ROUNDING, (role, site, name)
                    assert (want.loc[name] == 0).all()
                    continue
                off = np.abs(_least_squares(x, y) - want.loc[name].to_numpy())
                assert off.max() < 0.01, (role, site, name, columns[int(off.argmax())])


def _by_row(
    run: engine.Run, site: str, key: AnswerKey
) -> list[tuple[str | tuple[str, str], npt.NDArray[np.float64]]]:
    """The activations of a site [n, width], named as the key's rows are."""
    found: list[tuple[str | tuple[str, str], npt.NDArray[np.float64]]] = []
    for layer in range(key.program.n_layers):
        x = run.activations[site, layer][:, 0].double().numpy()
        if site != "z":
            found.append((str(layer), x))
            continue
        found += [((str(layer), str(head)), x[:, head]) for head in range(x.shape[1])]
    return found


def _least_squares(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    y = y - y.mean(axis=0)
    left, size, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    left = left[:, size > _ROUNDING * max(1.0, size[0] / np.sqrt(len(x))) * np.sqrt(len(x))]
    return np.asarray(((left.T @ y) ** 2).sum(axis=0) / (y**2).sum(axis=0))


@pytest.mark.parametrize(("digits", "tolerance"), [(2, 1e-12), (3, 0.01)])
def test_a_carry_is_a_third_of_one_digit(digits: int, tolerance: float) -> None:
    """[a + b ≥ 10] of uniform digits: cov(carry, a) = 0.825, var a = 8.25, var carry = 0.2475.

    A head that brings a alone knows 0.825² / (8.25 · 0.2475) = 1/3 of the variance: exactly over
    all problems, nearly over those drawn where there are more.
    """
    key = build("addition", seed=SEEDS[0] + 1, digits=digits, family="gpt2").key
    (head,) = [head for head in key.movers if head.brings == "a[k]"]
    row = key.linear_r2(["a[0]", "carry[0]", "a[1]"], "last", site="z").loc[
        (str(head.layer), str(head.head))
    ]
    assert np.abs(row.to_numpy() - [1.0, 1 / 3, 0.0]).max() < tolerance


def test_few_problems_say_too_much() -> None:
    """In-sample R² over few problems is above the population's, which is what others confirm."""
    key = build("column", seed=SEEDS[0] + 2).key
    problems = key.task.sample(60, seed=1)
    few = key.linear_r2(["product[1,0]"], "b0", site="resid_pre", problems=problems)
    all_of_them = key.linear_r2(["product[1,0]"], "b0", site="resid_pre")
    assert (few >= all_of_them - 0.05).all(axis=None) and float(all_of_them.iloc[0, 0]) < 0.5


def test_what_has_no_r2() -> None:
    key = build("addition", seed=0, digits=2).key
    with pytest.raises(SiteError, match="knows no site 'pattern': choose from resid_pre"):
        key.linear_r2(["a[0]"], "last", site="pattern")
    with pytest.raises(RoleError, match="no role 'z9': they have bos, a0"):
        key.linear_r2(["a[0]"], "z9")
    with pytest.raises(InputError, match="holds words, which have no R²"):
        key.linear_r2(["class[0]"], "last")
    constant = key.task.problems([3, 3], [4, 5])
    found = key.linear_r2(["a[0]", "b[0]"], "eq", problems=constant)
    assert found["a[0]"].isna().all() and not found["b[0]"].isna().any()
