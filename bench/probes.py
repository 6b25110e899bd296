"""Time of probes at many sites beside the best of other tools, on activations of a real model.

Ridge: every site × target × grouped fold × penalty. Two peers, on all targets at once: `Ridge` of
scikit-learn in a loop over folds and penalties, and a few lines of numpy (`eigh` of each fold's
Gram matrix, taken from that of all rows, and then a division a penalty). `GridSearchCV`, target by
target, is slower than either, so no ratio to it is taken. Both are timed at a few sites and scaled
to all of them, which is said in the result. Before that, their R² of every fold, penalty and target
is asserted equal to ours to 1e-6; so all compute in float64.

Single fit: `RidgeProbe` beside scikit-learn's multi-output `Ridge`, without folds, at several
shapes, one BLAS thread each. In float32 the peer is about twice as fast and its R² differs: that
is shown, not compared.

Logistic: ten-class digits of the problems. The peer is `LogisticRegression`, at its default of 100
iterations (where it mostly stops early) at every site, and at ten times that, where it mostly gets
to its own tolerance, at a few. Accuracy is of rows held out. The objectives say how far from the
minimum each side stopped: ours is asserted to be within a thousandth of it.

All sides get the same number of threads, and each peer the better of two ways to use them (tried
on a few fits): BLAS threads, or that many fits at once with one BLAS thread each, as ours. Neither
is charged with the forward passes that gave the activations; their time stands beside the fits'.

    python -m bench.probes                       # all, some ten minutes on two cores
    python -m bench.probes --only ridge single   # the rest of bench/results/probes.json stays
    python -m bench.probes --only logistic
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score
from threadpoolctl import threadpool_limits

import interp
from bench.harness import record, recorded
from interp import engine
from probes.estimators import RidgeProbe, SharedLogistic, SharedRidge, SoftmaxMaps, penalties

EQUAL = 1e-6  # largest difference in R²
NEAR = 1e-3  # of its minimum that a softmax's objective may be above it
PARTS = ("ridge", "single", "logistic")
SITES = ("resid_mid", "resid_post", "attn_out", "mlp_out")


@dataclass(frozen=True)
class Data:
    """Float32 activations [n, d] by name; targets [n, targets]; digits [n, labels]; folds [n]."""

    forward: dict[str, Any]  # prompts, and seconds of the forward passes that gave the activations
    sites: dict[str, Any]
    targets: Any
    digits: Any
    digit_names: list[str]
    folds: Any


def extract(options: argparse.Namespace) -> Data:
    """Extract activations of the model at the requested number of sites."""
    model = interp.load(options.model)
    problems = interp.arithmetic.task(options.task).sample(options.rows, seed=options.seed)
    batch = model.prompts(problems, answer="none", format=options.format)
    layers, roles = range(model.shape.n_layers), ("last", "op")
    per_role = len(SITES) * len(layers)
    roles = roles[: -(-options.sites // per_role)]
    reads = [engine.Read(site, roles=roles) for site in SITES]
    run, wall, processor = timed(lambda: engine.run(model, batch, reads=reads, logits=None))
    forward = {
        "format": batch.format, "tokens": batch.tokens.shape[1],
        "seconds": wall, "processor_seconds": processor,
    }  # fmt: skip
    sites = {
        f"{site}[{layer}]@{role}": np.ascontiguousarray(values[:, index].numpy())
        for index, role in enumerate(roles)
        for (site, layer), values in run.activations.items()
    }
    sites = dict(list(sites.items())[: options.sites])
    numbers = {
        name: column.to_numpy(dtype=float)
        for name, column in batch.truth.items()
        if column.dtype.kind in "iu" and column.nunique() > 1
    }
    targets = np.stack(list(numbers.values())[: options.targets], axis=1)
    digits = {
        name: values.astype(int)
        for name, values in numbers.items()
        if name[:2] in ("a[", "b[", "c[") and len(np.unique(values)) == 10
    }
    _, operand = np.unique(np.asarray(problems.values(0), dtype=np.int64), return_inverse=True)
    by_lot = np.random.default_rng(options.seed).permutation(operand.max() + 1) % options.folds
    folds = by_lot[operand]  # equal first operands are held out together
    return Data(
        forward, sites, targets, np.stack(list(digits.values()), axis=1), list(digits), folds
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress scikit-learn's convergence warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def timed(function: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return value, wall seconds, and processor seconds of all threads of this process."""
    wall, processor = time.perf_counter(), time.process_time()
    with quiet():
        out = function()
    return out, time.perf_counter() - wall, time.process_time() - processor


def at_once(work: Callable[[Any], Any], items: Sequence[Any], threads: int) -> list[Any]:
    """Apply `work` to every item, `threads` at once with one BLAS thread each."""
    with threadpool_limits(1):
        return Parallel(n_jobs=threads, backend="threading")(delayed(work)(item) for item in items)


def with_blas_threads(work: Callable[[Any], Any], items: Sequence[Any], threads: int) -> list[Any]:
    """Apply `work` to every item in sequence, with `threads` BLAS threads."""
    with threadpool_limits(threads):
        return [work(item) for item in items]


WAYS = {"fits at once": at_once, "BLAS threads": with_blas_threads}  # to use the same threads


def better_way(
    work: Callable[[Any], Any], items: Sequence[Any], threads: int, trial: int = 4
) -> tuple[list[Any], dict[str, Any]]:
    """Results of a peer by the way that is faster on `trial` items, and its seconds."""
    tried = {
        name: timed(lambda way=way: way(work, items[:trial], threads))[1]
        for name, way in WAYS.items()
    }
    best = min(tried, key=lambda name: tried[name])
    found, wall, processor = timed(lambda: WAYS[best](work, items, threads))
    return found, {
        "seconds": wall, "processor_seconds": processor, "best_way": best,
        f"seconds_of_{min(trial, len(items))}": tried,
    }  # fmt: skip


def our_ridge(X: Any, data: Data) -> tuple[Any, Any]:
    """Scores of every fold, penalty and target of a site, and its refit."""
    shared = SharedRidge(X, data.folds)
    scores = shared.cross_validate(data.targets, penalties(shared.scale))
    return scores, shared.fit(data.targets, scores.alpha)


def sklearn_ridge(X: Any, data: Data, alphas: Any) -> Any:
    """R² [folds, penalties, targets] by `Ridge` of all targets, and its refit at the best ones."""
    Y, r2 = data.targets, []
    for fold in np.unique(data.folds):
        out = data.folds == fold
        fits = (Ridge(alpha=alpha).fit(X[~out], Y[~out]) for alpha in alphas)
        r2.append([r2_score(Y[out], fit.predict(X[out]), multioutput="raw_values") for fit in fits])
    Ridge(alpha=alphas[np.mean(r2, axis=0).argmax(axis=0)]).fit(X, Y)
    return np.array(r2)


def eigh_ridge(X: Any, data: Data, alphas: Any) -> Any:
    """`sklearn_ridge` in numpy: a fold's Gram matrix is that of all rows minus the fold's own."""
    Y, r2 = data.targets, []
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    gram, right = X.T @ X, X.T @ Y
    for fold in np.unique(data.folds):
        out = data.folds == fold
        mine, theirs, n = X[out], Y[out], (~out).sum()
        x, y = -mine.sum(axis=0) / n, -theirs.sum(axis=0) / n  # means of the rows that are left
        values, V = np.linalg.eigh(gram - mine.T @ mine - n * np.outer(x, x))
        inside = V.T @ (right - mine.T @ theirs - n * np.outer(x, y))
        rotated = (mine - x) @ V
        said = (rotated @ (inside / (values[:, None] + alpha)) + y for alpha in alphas)
        r2.append([r2_score(theirs, p, multioutput="raw_values") for p in said])
    values, V = np.linalg.eigh(gram)
    V @ ((V.T @ right) / (values[:, None] + alphas[np.mean(r2, axis=0).argmax(axis=0)]))
    return np.array(r2)


RIDGES = {"scikit-learn Ridge, all targets": sklearn_ridge, "numpy eigh": eigh_ridge}


def ridge(data: Data, options: argparse.Namespace) -> dict[str, Any]:
    """Time ridge: all sites for ours, a few for the peers, with every R² compared."""
    threads, names = options.threads, list(data.sites)
    found, wall, processor = timed(
        lambda: at_once(lambda X: our_ridge(X, data), list(data.sites.values()), threads)
    )
    picked = np.linspace(0, len(names) - 1, min(options.peer_sites, len(names))).astype(int)
    jobs = [(data.sites[names[i]].astype(np.float64), found[i][0].alphas) for i in picked]
    peers: dict[str, Any] = {}
    for name, peer in RIDGES.items():
        r2, taken = better_way(lambda job, peer=peer: peer(job[0], data, job[1]), jobs, threads)
        worst = max(
            float(np.abs(found[i][0].r2 - r).max()) for i, r in zip(picked, r2, strict=True)
        )
        assert worst <= EQUAL, (name, worst)
        seconds = taken["seconds"] * len(names) / len(picked)
        peers[name] = taken | {
            "seconds": seconds, "times_ours": seconds / wall,
            "scaled_from_sites": len(picked), "largest_difference_in_r2": worst,
        }  # fmt: skip
    rows, d = next(iter(data.sites.values())).shape
    return {
        "sites": len(names), "targets": data.targets.shape[1], "folds": len(np.unique(data.folds)),
        "penalties": 9, "rows": rows, "features": d,
        "seconds": wall, "processor_seconds": processor, "peers": peers,
        "forward": data.forward, "fitting_over_forward": wall / data.forward["seconds"],
    }  # fmt: skip


@threadpool_limits.wrap(limits=1)
def single_fits(data: Data, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Median times of single fits without folds at several shapes; the two sides alternate.

    One BLAS thread: in fits this short two threads wait for each other, on both sides, and times
    vary by a factor of two.
    """
    whole = next(iter(data.sites.values())).astype(np.float64)
    onehot = (data.digits[:, :, None] == np.arange(10)).reshape(len(whole), -1)
    few = whole.shape[1] * 3 // 4
    shapes = {
        "site": (whole, data.targets),
        "site, one target": (whole, data.targets[:, :1]),
        "wider than tall": (whole[:few], data.targets[:few]),
        "one-hot digits": (onehot.astype(np.float64), data.targets),
    }
    out = []
    for name, (X, Y) in shapes.items():
        narrow, times = X.astype(np.float32), {"ours": [], "peer": [], "peer in float32": []}
        fits = {
            "ours": lambda X=X, Y=Y: RidgeProbe().fit(X, Y),
            "peer": lambda X=X, Y=Y: Ridge().fit(X, Y),
            "peer in float32": lambda X=narrow, Y=Y: Ridge().fit(X, Y),
        }
        fitted: dict[str, Any] = {}
        for _ in range(options.repeat + 1):
            for side, fit in fits.items():
                fitted[side], wall, _ = timed(fit)
                times[side].append(wall)
        seconds = {side: float(np.median(values[1:])) for side, values in times.items()}
        score = {side: model.score(X, Y) for side, model in fitted.items()}
        assert abs(score["ours"] - score["peer"]) <= EQUAL, (name, score)
        out.append({
            "shape": name, "rows": len(X), "features": X.shape[1], "targets": Y.shape[1],
            "seconds": seconds, "over_peer": seconds["ours"] / seconds["peer"],
            "difference_in_r2_in_float32": abs(score["peer in float32"] - score["peer"]),
        })  # fmt: skip
    return out


def logistic(
    data: Data, options: argparse.Namespace, sites: int, limits: list[int], *, standardised: bool
) -> dict[str, Any]:
    """Every digit at every picked site; all digits of a site share one batch of ours. The peer may
    take as many iterations as each of `limits`."""
    picked = np.linspace(0, len(data.sites) - 1, min(sites, len(data.sites)))
    names, threads = [list(data.sites)[i] for i in picked.astype(int)], options.threads
    held = data.folds == 0
    labels = data.digits[:, : options.labels]
    halves = []
    for name in names:
        X = data.sites[name]
        if standardised:
            spread = X[~held].std(axis=0)
            X = (X - X[~held].mean(axis=0)) / np.where(spread > 0, spread, 1)
        halves.append((np.ascontiguousarray(X[~held]), X[held]))
    trained = [X for X, _ in halves]

    maps, wall, processor = timed(
        lambda: at_once(lambda X: SharedLogistic(X).fit(labels[~held], 1.0), trained, threads)
    )
    mine = np.stack([m.accuracy(X, labels[held]) for m, (_, X) in zip(maps, halves, strict=True)])
    ours = np.stack([objectives(m, X, labels[~held]) for m, X in zip(maps, trained, strict=True)])
    gaps = np.stack([m.gap for m in maps])
    assert (gaps <= NEAR * ours).all(), (gaps / ours).max()
    jobs = [(X, y) for X in trained for y in labels[~held].T]
    peers = {}
    for iterations in limits:
        models, taken = better_way(
            lambda job, most=iterations: LogisticRegression(max_iter=most).fit(*job), jobs, threads
        )
        rows = [models[at : at + labels.shape[1]] for at in range(0, len(models), labels.shape[1])]
        theirs = np.array(
            [
                [model.score(X, y) for model, y in zip(row, labels[held].T, strict=True)]
                for row, (_, X) in zip(rows, halves, strict=True)
            ]
        )
        reached = np.array(
            [
                [peer_objective(m, X, y) for m, y in zip(row, labels[~held].T, strict=True)]
                for row, X in zip(rows, trained, strict=True)
            ]
        )
        peers[f"at most {iterations} iterations"] = {
            **taken, "times_ours": taken["seconds"] / wall,
            "accuracy": theirs.mean(), "our_shortfall": (theirs - mine).mean(),
            "our_largest_shortfall": (theirs - mine).max(),
            "objective_over_ours": {
                "median": np.median(reached / ours), "largest": (reached / ours).max(),
            },
            "converged": np.mean([[m.n_iter_[0] < iterations for m in row] for row in rows]),
        }  # fmt: skip
    return {
        "sites": len(names), "labels": data.digit_names[: options.labels], "classes": 10,
        "rows_fitted": int((~held).sum()), "rows_held_out": int(held.sum()),
        "standardised": standardised, "seconds": wall, "processor_seconds": processor,
        "accuracy": mine.mean(), "passes": np.mean([m.evaluations for m in maps]),
        "objective_above_minimum_at_most": (gaps / (ours - gaps)).max(), "peer": peers,
    }  # fmt: skip


def objectives(maps: SoftmaxMaps, X: Any, labels: Any) -> Any:
    """Σ −log p(y) + ½‖W‖² of each target."""
    return maps.log_loss(X, labels) * len(X) + (maps.coef**2).sum(axis=(1, 2)) / 2


def peer_objective(model: LogisticRegression, X: Any, y: Any) -> float:
    """Objective of scikit-learn's solution, in float64."""
    logits = X.astype(np.float64) @ model.coef_.T.astype(np.float64) + model.intercept_
    log_p = log_softmax(logits, axis=1)[np.arange(len(y)), np.searchsorted(model.classes_, y)]
    return float(-log_p.sum() + (model.coef_.astype(np.float64) ** 2).sum() / 2)


def main() -> None:
    """Extract once, then measure ridge, single fits and logistic, and write the result file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--task", default="add:3")
    parser.add_argument("--format", default="plain", help="of the prompts: this one is short")
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--sites", type=int, default=124)
    parser.add_argument("--targets", type=int, default=20)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--peer-sites", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--logistic-sites", type=int, default=124)
    parser.add_argument("--longer-sites", type=int, default=2, help="for the longer --iterations")
    parser.add_argument("--labels", type=int, default=4)
    parser.add_argument("--iterations", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trial", action="store_true", help="print only; the file stays")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = extract(options)
    with threadpool_limits(options.threads):
        body = {"model": options.model, "task": options.task, "threads": options.threads}
        if "ridge" in options.only:
            body["ridge"] = ridge(data, options)
        if "single" in options.only:
            body["single_fit"] = single_fits(data, options)
        if "logistic" in options.only:
            body["logistic"] = [
                logistic(data, options, sites, limits, standardised=standardised)
                for sites, limits in (
                    (options.logistic_sites, options.iterations[:1]),
                    (options.longer_sites, options.iterations),
                )
                for standardised in (False, True)
            ]
    if options.trial:
        print(body)
        return
    kept = {} if set(options.only) == set(PARTS) else recorded("probes")
    commands = kept.get("commands", {}) | dict.fromkeys(options.only, " ".join(sys.argv[1:]))
    parts = {key: kept[key] for key in ("ridge", "single_fit", "logistic") if key in kept}
    record("probes", options.seed, parts | body | {"commands": commands})


if __name__ == "__main__":
    main()
