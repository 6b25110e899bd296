"""``arithmoscope attribute``: which operand digits each answer digit depends on."""

from __future__ import annotations

from typing import Annotated, Literal

from typer import Option

from app.commands.finish import finish
from app.commands.options import (
    Count,
    Device,
    Dtype,
    FormatName,
    ModelName,
    Out,
    SamplerName,
    Seed,
    TaskName,
    task_of,
)
from app.commands.watch import Watch

Method = Annotated[
    Literal["counterfactual", "logit-lens"],
    Option("--method", help="Swap operand digits, or read the answer off every layer."),
]
Prefix = Annotated[
    Literal["keep", "recompute"],
    Option("--prefix", help="The answer's earlier digits: the original's, or the new problem's."),
]
Target = Annotated[
    Literal["argmax", "true", "difference"],
    Option(
        "--target", help="Whose logit: the model's first choice, the right digit, or their gap."
    ),
]


def attribute(
    model: ModelName,
    task: TaskName = None,
    n: Count = 512,
    seed: Seed = 0,
    format: FormatName = None,
    sampler: SamplerName = "uniform",
    method: Method = "counterfactual",
    prefix: Prefix = "keep",
    target: Target = "argmax",
    device: Device = "cpu",
    dtype: Dtype = "float32",
    out: Out = None,
) -> None:
    """Which operand digits does each answer digit depend on, and which must it?"""
    with Watch(f"loading {model}") as watch:
        import interp
        from app.sample import problems
        from interp.results.result import Result

        loaded = interp.load(model, device=device, dtype=dtype)
        sample = problems(task_of(loaded, task), n, seed=seed, sampler=sampler)
        batch = loaded.prompts(sample, format=format)
        watch.step(f"{method} of {batch.n} problems")
        result: Result
        if method == "logit-lens":
            result = interp.attribution.logit_lens(
                loaded, batch, seed=seed, progress=watch.progress, cancel=watch.cancel
            )
        else:
            result = interp.attribution.counterfactual(
                loaded,
                batch,
                prefix=prefix,
                target=target,
                seed=seed,
                progress=watch.progress,
                cancel=watch.cancel,
            )
    finish(result, out)
