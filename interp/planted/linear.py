"""Best-linear R² of truth columns at the sites of a planted model: an upper bound for probes.

R² = 1 − min_w Σ(y − w·x − w_0)² / Σ(y − ȳ)², with x the features at a site. The rotation and the
scales of the real activations are invertible, so R² depends only on site, layer, role, truth column
and problems. Features are ideal: norms that divide by the anchor alone, exact attention, float64.

This ignores rounding, about 1e-6 in float32, and the variation of the stream's length, which is
smaller. Where a site's features are constant, R² and `spread` are 0; but the real activations vary
by rounding, which depends on the digits, so least squares without a floor gives R² > 0. No probe
should report that as a finding.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.arithmetic.problems import Problems
from interp.errors import InputError, SiteError
from interp.planted.asked import tokens_of
from interp.planted.circuit import group_reads, groups
from interp.planted.interpret import Trace, interpret, looks_at
from interp.planted.program import Floats, Program

Name = tuple[str, ...]  # layer, or layer and head
SITES = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "z")
_MEMORY = 2**28  # bytes of features held at a time
_EXACT = 1e-8  # singular values below this are rounding: features are whole numbers, or of order 1


def linear_r2(
    program: Program,
    problems: Problems,
    columns: Sequence[str],
    role: str,
    site: str,
    *,
    adjusted: bool = False,
) -> pd.DataFrame:
    """R² [layers, columns] over these problems, in-sample: least squares on exactly these rows.

    Rows are named by layer, "0" on; before them "embed", for the site resid_post; for the site z by
    (layer, head). A column that is constant over the problems has NaN; where all features are
    constant, the others have 0. `adjusted` takes off what a random sample adds by chance,
    1 − (1 − R²)(n − 1)/(n − rank − 1), which leaves an unbiased guess at the population's R².

    Raises SiteError, RoleError, and InputError for a column that is not a number.
    """
    y = np.stack([_numbers(problems, name) for name in columns], axis=1)
    by_row = {name: _r2(x, y, adjusted) for name, x, _ in _gathered(program, problems, role, site)}
    return pd.DataFrame(by_row.values(), index=_index(by_row, site), columns=list(columns))


def spread(program: Program, problems: Problems, role: str, site: str) -> pd.Series:
    """√(Σ variance) over these problems of the activation at a site, in the stream's units.

    0 if the mechanism leaves it constant. Rows as in `linear_r2`.
    """
    found = {
        name: float(np.sqrt(((x * scale)[:, _varies(x)].var(axis=0)).sum()))
        for name, x, scale in _gathered(program, problems, role, site)
    }
    return pd.Series(found.values(), index=_index(found, site), name="spread")


def _gathered(
    program: Program, problems: Problems, role: str, site: str
) -> Iterator[tuple[Name, Floats, Floats]]:
    """Name, features [n, f] and their lengths [f], for each layer, or each head, of a site."""
    if site not in SITES:
        raise SiteError(f"the key knows no site {site!r}: choose from {', '.join(SITES)}")
    position = program.position(role)
    parts: dict[Name, list[Floats]] = {}
    for start in range(0, len(problems), _rows_at_a_time(program)):
        tokens = tokens_of(program, problems[start : start + _rows_at_a_time(program)])
        trace = interpret(program, tokens[:, : position + 1], norms=False)
        for name, x in _at_site(program, trace, site, position):
            parts.setdefault(name, []).append(x.copy())  # the rest of the trace may go
    for name, found in parts.items():
        x = np.concatenate(found)
        yield name, x, np.ones(x.shape[1]) if site == "z" else program.scale


def _index(names: Iterable[Name], site: str) -> pd.Index:
    if site == "z":
        return pd.MultiIndex.from_tuples(list(names), names=["layer", "head"])
    return pd.Index([name[0] for name in names], name="layer")


def _at_site(
    program: Program, trace: Trace, site: str, position: int
) -> Iterator[tuple[Name, Floats]]:
    """Features [n, features] at a position, by layer; for z by layer and head."""
    if site == "resid_post":
        yield ("embed",), trace.resid_pre[0][:, position]
    for layer in range(program.n_layers):
        if site == "attn_out":
            yield (str(layer),), trace.heads[layer][:, :, position].sum(axis=0)
        elif site == "mlp_out":
            yield (str(layer),), trace.mlp[layer][:, position]
        elif site == "z":
            yield from _heads(program, trace, layer, position)
        else:
            yield (str(layer),), getattr(trace, site)[layer][:, position]


def _heads(
    program: Program, trace: Trace, layer: int, position: int
) -> Iterator[tuple[Name, Floats]]:
    """Values that each head reads; heads with shared values read one another's, too."""
    head = 0
    for group in groups(program.layers[layer].heads, program.n_kv_heads):
        read = group_reads(group)
        for _ in group:
            source = looks_at(program, layer, head, position + 1)[position]
            yield (str(layer), str(head)), trace.resid_pre[layer][:, source] @ read.T
            head += 1


def _numbers(problems: Problems, name: str) -> Floats:
    values = problems.column(name)
    if values.dtype.kind not in "biuf":
        raise InputError(f"{name} holds words, which have no R²: ask for a column of numbers")
    return np.asarray(values, dtype=np.float64)


def _rows_at_a_time(program: Program) -> int:
    """Number of problems whose trace fits into `_MEMORY`."""
    sites = program.n_layers * (program.n_heads + 4)
    return max(1, _MEMORY // (8 * sites * len(program.layout) * len(program.features)))


def _varies(x: Floats) -> npt.NDArray[np.bool_]:
    """Mask [f] of the non-constant features."""
    return np.asarray(np.ptp(x, axis=0) > _EXACT)


def _r2(x: Floats, y: Floats, adjusted: bool) -> Floats:
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    left, size, _ = np.linalg.svd(x[:, _varies(x)], full_matrices=False)
    left = left[:, size > _EXACT * max(size.max(initial=0.0), 1.0)]
    total = (y**2).sum(axis=0)
    with np.errstate(invalid="ignore"):
        share = np.where(total > 0, ((left.T @ y) ** 2).sum(axis=0) / total, np.nan)
    if adjusted:
        share = 1.0 - (1.0 - share) * (len(x) - 1) / (len(x) - left.shape[1] - 1)
    return share
