"""Probes of many sites beside scikit-learn's own loops, on activations of a real model.

Ridge: every site × target × grouped fold × penalty. The peer is `GridSearchCV` over `Ridge` with
the same folds and penalties, target by target; it is timed on a few sites and targets and scaled
to all of them, which is said in the result. Its R² of every fold and penalty is asserted equal to
ours to 1e-6 before any ratio is taken, so it computes in float64, as ours does.

Single fit: `RidgeProbe` beside scikit-learn's multi-output `Ridge`, without folds, at several
shapes, one BLAS thread each. In float32 the peer is about twice as fast and its R² differs: that
is shown, not compared.

Logistic: ten-class digits of the problems. The peer is a loop of `LogisticRegression`, at its
default of 100 iterations (where it mostly stops early) at every site, and at up to ten times that
at a few. Accuracy is of rows held out.

For the others both sides get the same number of threads: ours fits so many sites at once with one
BLAS thread each, the peer is given the faster of BLAS threads and `n_jobs`. Neither is charged with
the forward passes that gave the activations; their time stands beside the fits'.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed, parallel_config
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

import interp
from bench.harness import record
from interp import engine
from probes.estimators import RidgeProbe, SharedLogistic, SharedRidge, penalties

EQUAL = 1e-6  # largest difference in R²
CLOSE = 0.005  # largest shortfall in accuracy, mean over sites and labels; that of each is shown
SITES = ("resid_mid", "resid_post", "attn_out", "mlp_out")


@dataclass(frozen=True)
class Data:
    """Activations [n, d] by name, float32; targets [n, targets]; digits [n, labels]; folds [n]."""

    forward: dict[str, Any]  # prompts, and seconds of the forward passes that gave the activations
    sites: dict[str, Any]
    targets: Any
    digits: Any
    digit_names: list[str]
    folds: Any


def extract(options: argparse.Namespace) -> Data:
    """Real activations of the model at as many sites as asked for."""
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
    """Without scikit-learn's notes that it stopped early."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def timed(function: Callable[[], Any]) -> tuple[Any, float, float]:
    """What it returns, wall seconds, and processor seconds of all threads of this process."""
    wall, processor = time.perf_counter(), time.process_time()
    with quiet():
        out = function()
    return out, time.perf_counter() - wall, time.process_time() - processor


def each_site(work: Callable[[Any], Any], data: Data, threads: int) -> list[Any]:
    """`work` of every site, `threads` sites at once."""
    with threadpool_limits(1):
        return Parallel(n_jobs=threads, backend="threading")(
            delayed(work)(X) for X in data.sites.values()
        )


def our_ridge(X: Any, data: Data) -> tuple[Any, Any]:
    """Scores of every fold, penalty and target of a site, and its refit."""
    shared = SharedRidge(X, data.folds)
    scores = shared.cross_validate(data.targets, penalties(shared.scale))
    return scores, shared.fit(data.targets, scores.alpha)


def peer_ridge(X: Any, y: Any, data: Data, alphas: Any, n_jobs: int | None) -> GridSearchCV:
    """The same for one target."""
    folds = [
        (np.flatnonzero(data.folds != fold), np.flatnonzero(data.folds == fold))
        for fold in np.unique(data.folds)
    ]
    with parallel_config("threading"):
        return GridSearchCV(Ridge(), {"alpha": alphas}, cv=folds, n_jobs=n_jobs).fit(X, y)


def ridge(data: Data, options: argparse.Namespace) -> dict[str, Any]:
    """All sites of ours, a few sites and targets of the peer's, R² compared one by one."""
    threads, names = options.threads, list(data.sites)
    found, wall, processor = timed(lambda: each_site(lambda X: our_ridge(X, data), data, threads))
    picked = np.linspace(0, len(names) - 1, min(options.peer_sites, len(names))).astype(int)
    chosen = range(min(options.peer_targets, data.targets.shape[1]))
    ways, worst = {}, 0.0
    for way, n_jobs in {"BLAS threads": None, "n_jobs": threads}.items():
        taken = spent = 0.0
        for site in picked:
            scores, X = found[site][0], data.sites[names[site]].astype(np.float64)
            for target in chosen:
                with threadpool_limits(threads if n_jobs is None else 1):
                    peer, one, its_processor = timed(
                        lambda X=X, t=target, a=scores.alphas, n=n_jobs: peer_ridge(
                            X, data.targets[:, t], data, a, n
                        )
                    )
                taken, spent = taken + one, spent + its_processor
                for fold in range(len(scores.r2)):
                    theirs = peer.cv_results_[f"split{fold}_test_score"]
                    gap = np.abs(scores.r2[fold, :, target] - theirs)
                    worst = max(worst, float(gap.max()))
        scale = len(names) * data.targets.shape[1] / (len(picked) * len(chosen))
        ways[way] = {"seconds": taken * scale, "processor_seconds": spent * scale}
    assert worst <= EQUAL, worst
    best = min(ways, key=lambda way: ways[way]["seconds"])
    rows, d = next(iter(data.sites.values())).shape
    return {
        "sites": len(names), "targets": data.targets.shape[1], "folds": len(np.unique(data.folds)),
        "penalties": 9, "rows": rows, "features": d,
        "seconds": wall, "processor_seconds": processor,
        "peer": ways, "peer_scaled_from": f"{len(picked)} sites × {len(chosen)} targets",
        "times_faster": ways[best]["seconds"] / wall,
        "forward": data.forward, "fitting_over_forward": wall / data.forward["seconds"],
        "largest_difference_in_r2": worst,
    }  # fmt: skip


@threadpool_limits.wrap(limits=1)
def single_fits(data: Data, options: argparse.Namespace) -> list[dict[str, Any]]:
    """One fit without folds at several shapes, the two sides in turns, medians.

    With one BLAS thread: of two, one waits for the other in fits as short as these, on both sides,
    and the times of either spread over a factor of two.
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

    def ours() -> list[Any]:
        with threadpool_limits(1):
            return Parallel(n_jobs=threads, backend="threading")(
                delayed(lambda X: SharedLogistic(X).fit(labels[~held], 1.0))(X) for X, _ in halves
            )

    maps, wall, processor = timed(ours)
    mine = np.stack([m.accuracy(X, labels[held]) for m, (_, X) in zip(maps, halves, strict=True)])
    peers = {}
    for iterations in limits:
        with threadpool_limits(threads):
            models, taken, spent = timed(
                lambda most=iterations: [
                    [LogisticRegression(max_iter=most).fit(X, y) for y in labels[~held].T]
                    for X, _ in halves
                ]
            )
        theirs = np.array(
            [
                [model.score(X, y) for model, y in zip(row, labels[held].T, strict=True)]
                for row, (_, X) in zip(models, halves, strict=True)
            ]
        )
        peers[f"at most {iterations} iterations"] = {
            "seconds": taken, "processor_seconds": spent, "times_faster": taken / wall,
            "accuracy": theirs.mean(), "our_shortfall": (theirs - mine).mean(),
            "our_largest_shortfall": (theirs - mine).max(),
            "converged": np.mean([[m.n_iter_[0] < iterations for m in row] for row in models]),
        }  # fmt: skip
    shortfall = max(peer["our_shortfall"] for peer in peers.values())
    assert shortfall <= CLOSE, shortfall
    return {
        "sites": len(names), "labels": data.digit_names[: options.labels], "classes": 10,
        "rows_fitted": int((~held).sum()), "rows_held_out": int(held.sum()),
        "standardised": standardised, "seconds": wall, "processor_seconds": processor,
        "accuracy": mine.mean(), "evaluations": np.mean([m.evaluations for m in maps]),
        "peer": peers,
    }  # fmt: skip


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
    parser.add_argument("--peer-targets", type=int, default=2)
    parser.add_argument("--logistic-sites", type=int, default=124)
    parser.add_argument("--longer-sites", type=int, default=4, help="for the longer --iterations")
    parser.add_argument("--labels", type=int, default=4)
    parser.add_argument("--iterations", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = extract(options)
    with threadpool_limits(options.threads):
        body = {
            "model": options.model, "task": options.task, "threads": options.threads,
            "ridge": ridge(data, options),
            "single_fit": single_fits(data, options),
            "logistic": [
                logistic(data, options, sites, limits, standardised=standardised)
                for sites, limits in (
                    (options.logistic_sites, options.iterations[:1]),
                    (options.longer_sites, options.iterations),
                )
                for standardised in (False, True)
            ],
        }  # fmt: skip
    record("probes", options.seed, body)


if __name__ == "__main__":
    main()
