"""Long sweeps in several processes: each measures one shard into a folder that all share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from joblib import Parallel, delayed

from interp.engine.requests import Cancel, Progress
from interp.errors import InputError, ModelError
from interp.models.loading import load_model
from interp.models.model import Model


def in_workers(
    function: Callable[..., Any],
    model: Model,
    asked: Any,
    options: Mapping[str, Any],
    *,
    n_jobs: int,
    keep: str | Path | None,
    progress: Progress | None,
    cancel: Cancel | None,
) -> Any:
    """`function(model, asked, …)` with its cells measured by `n_jobs` processes, then merged here.

    Each process opens the model anew by its name, with cores // n_jobs threads, and measures the
    shard "i/n_jobs". What a killed process leaves undone, the merging call measures. joblib starts
    them, so `joblib.parallel_config` chooses another backend, a dask cluster for one.

    Raises:
        InputError: for fewer than one process.
        ModelError: for a model that its name does not open again.
    """
    if n_jobs < 1:
        raise InputError(f"n_jobs={n_jobs}: give at least one process")
    if cancel is not None:
        cancel.check()
    with tempfile.TemporaryDirectory() as folder:
        kept = str(keep or folder)
        threads = max(1, (os.cpu_count() or 1) // n_jobs)
        about = (model.name, model.hash, str(model.dtype).removeprefix("torch."), str(model.device))
        try:
            Parallel(n_jobs=n_jobs)(
                delayed(_shard)(function, about, threads, asked,
                                {**options, "keep": kept, "shard": f"{i + 1}/{n_jobs}"})
                for i in range(n_jobs)
            )  # fmt: skip
        except _lost() as error:  # its cells are measured below
            if not any(Path(kept).rglob("*.npy")):
                raise ModelError(
                    f"no process finished a cell ({error}): take n_jobs=1, or less memory"
                ) from error
        with _threads(threads):  # the workers' rounding, or their cells are another sweep's
            return function(model, asked, **options, keep=kept, progress=progress, cancel=cancel)


def _lost() -> tuple[type[BaseException], ...]:
    """What joblib raises where a process was killed."""
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    return (TerminatedWorkerError,)


def _shard(
    function: Callable[..., Any],
    about: tuple[str, str, str, str],
    threads: int,
    asked: Any,
    options: dict[str, Any],
) -> None:
    name, weights, dtype, device = about
    with _threads(threads):
        model = load_model(name, dtype=dtype, device=device)
        if model.hash != weights:
            raise ModelError(
                f"{name!r} opens other weights than this model's: save it to a folder and load "
                "that, or take n_jobs=1"
            )
        function(model, asked, **options)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """torch with that many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
