"""One small Result of every kind: how each is made, by the name of its folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import interp
import probes
from interp.results.result import Result
from tests.golden.subjects import unnamed_problems, wrapped

KINDS = (
    "ablation_comparison",
    "ablation_grid",
    "ablation_score",
    "ablation_transfer",
    "activation_patching",
    "agreement",
    "all_for_one",
    "approximation",
    "attention_patterns",
    "attention_tree",
    "behaviour",
    "cama_table",
    "carry_verdict",
    "circuit",
    "comparison",
    "cookbook",
    "counterfactual_attribution",
    "digit_circuits",
    "digit_losses",
    "edge_scores",
    "direct_attribution",
    "doctor",
    "error_explanation",
    "error_taxonomy",
    "fourier_fits",
    "helix_fit",
    "interchange",
    "intervened",
    "knock_out",
    "layer_removal",
    "logit_lens",
    "minkowski_sum",
    "modular_analysis",
    "modular_phases",
    "near_multiples",
    "neuron_effects",
    "noisy_prefix",
    "one_hot_baseline",
    "operand_grids",
    "over_series",
    "path_patching",
    "probe_sweep",
    "probe_use",
    "prompt_search",
    "regular_figure",
    "running_sums",
    "screen",
    "selfcheck",
    "swap_example",
    "tokenisation",
    "training_dynamics",
)
"""Result.analysis of every kind that the golden set holds."""

SEED = 3
_PUBLISHED = {"model": "gpt-3.5-turbo-0301", "answer_number_format": "comma_r2l"}


def _batch(name: str = "add5", n: int = 40, **options: Any) -> tuple[Any, Any]:
    model = interp.load(name)
    task = {"add5": "add:5", "mod113": "mod:113", "mul5x1-reversed": "mul:5x1"}[name]
    return model, model.prompts(interp.task(task).sample(n, seed=SEED, **options))


def _prompts(
    function: str, *given: Any, name: str = "add5", n: int = 40, **options: Any
) -> Callable[[], Result]:
    """An analysis of prompts: `function` is its public name, "attribution.logit_lens"."""

    def made() -> Result:
        room, _, last = function.rpartition(".")
        model, batch = _batch(name, n)
        return getattr(getattr(interp, room), last)(model, batch, *given, **options)

    return made


def _problems(function: str, name: str, *given: Any, **options: Any) -> Callable[[], Result]:
    """An analysis of a task or problems of a shipped model."""

    def made() -> Result:
        room, _, last = function.rpartition(".")
        return getattr(getattr(interp, room), last)(interp.load(name), *given, **options)

    return made


def _spoken(function: str, *given: Any, **options: Any) -> Callable[[], Result]:
    """An analysis of the wrapped module that writes digits."""
    return lambda: getattr(interp.behaviour, function)(wrapped(), *given, seed=SEED, **options)


def _sweep(name: str, task: str, **options: Any) -> Callable[[], Result]:
    return lambda: probes.probe(interp.load(name), task, seed=SEED, **options)


@cache
def _fitted(target: str, **options: Any) -> Any:
    found: dict[str, Any] = {
        "site": "resid_post",
        "layer": 1,
        "role": "c2",
        "n": 240,
        "seed": SEED,
    } | options
    return probes.fit(interp.load("add5"), "add:5", target, **found)


def _use(target: str, *given: Any, fitted: dict[str, Any], **options: Any) -> Callable[[], Result]:
    return lambda: probes.intervene(
        interp.load("add5"), _fitted(target, **fitted), *given, n=24, seed=SEED, **options
    )


def _transfer_of_a_schedule() -> Result:
    model = interp.load("add5")
    other, its_batch = _batch("mul5x1-reversed", 24)
    carries = model.prompts(interp.task("add:5").sample(24, seed=SEED, sampler="carries"))
    targets = {"carries": carries, "product": (other, its_batch)}
    schedule = {"wait": 1, "transfer": (1,)}
    return interp.ablation.transfer(model, schedule, targets, replacement="mean", seed=SEED)


def _transfer_of_a_search() -> Result:
    model, batch = _batch(n=80)
    found = interp.ablation.af1(model, batch, target=0.1, heads=False, seed=SEED)
    others = model.prompts(interp.task("add:5").sample(24, seed=SEED + 1))
    return interp.ablation.transfer(model, found, {"others": others}, seed=SEED)


_CARRIES = {"wait": 1, "transfer": (1,)}

ENTRIES: dict[str, Callable[[], Result]] = {
    # attribution
    "counterfactual": _prompts("attribution.counterfactual", seed=SEED),
    "counterfactual-recomputed": _prompts(
        "attribution.counterfactual",
        name="mul5x1-reversed",
        n=16,
        prefix="recompute",
        target="difference",
        draws="all",
        operand_digits=("a0", "b0"),
        seed=SEED,
    ),
    "swap-example": _prompts("attribution.swap_example", "a2", row=1, n=4),
    "logit-lens": _prompts("attribution.logit_lens", seed=SEED),
    "logit-lens-of-roles": _prompts(
        "attribution.logit_lens", name="mod113", roles=("eq",), seed=SEED
    ),
    "direct": _prompts("attribution.direct", n=12, neurons=5, seed=SEED),
    # heads
    "patch": _prompts("heads.patch", name="mul5x1-reversed", n=8, seed=SEED),
    "patch-of-values": _prompts(
        "heads.patch",
        name="mul5x1-reversed",
        n=8,
        kind="v",
        roles=("b0", "eq"),
        direction="noise",
        metrics=("probability",),
        swap="b0",
        answers=("c0", "c2"),
        prefix="recompute",
        same_answer=False,
        seed=SEED,
    ),
    "paths": _prompts("heads.paths", n=8, seed=SEED),
    "paths-into-queries": _prompts(
        "heads.paths", n=8, frozen="heads", receivers=("L1H0.q",), direction="denoise", seed=SEED
    ),
    "knockout": _prompts(
        "heads.knockout", name="mul5x1-reversed", n=12, random_orders=3, seed=SEED
    ),
    "knockout-in-order": _prompts(
        "heads.knockout",
        name="mul5x1-reversed",
        n=12,
        by="resample",
        order=("L0H2", "L0H0"),
        random_orders=2,
        only_right=False,
        seed=SEED,
    ),
    "screen": _prompts("heads.screen", n=8, seed=SEED),
    "neurons": _prompts("heads.neurons", n=8, top=3, swap="a3", answers="c3", seed=SEED),
    "edges": _prompts("heads.edges", n=8, top=4, swap="a3", answers="c3", seed=SEED),
    "interchange": _prompts(
        "heads.interchange",
        name="mul5x1-reversed",
        n=24,
        variable="carry[1]",
        kind="head",
        layers=(0,),
        roles=("predicts(c2)", "b0"),
        only_right=False,
        seed=SEED,
    ),
    "circuit": _prompts("heads.circuit", name="mul5x1-reversed", n=8, seed=SEED),
    "circuit-of-ones-own": _prompts(
        "heads.circuit", name="mul5x1-reversed", n=8, nodes=("L0H2", "L0.mlp"), seed=SEED
    ),
    "circuit-of-edges": _prompts(
        "heads.circuit", name="mul5x1-reversed", n=8, kinds="edge", seed=SEED
    ),
    "attention": _prompts("heads.attention", n=8, layers=(0,), seed=SEED),
    "digit-circuits": _prompts(
        "heads.digit_circuits", n=40, layer=0, head=3, query="predicts(c1)", key="a1", seed=SEED
    ),
    "tree": _prompts(
        "heads.tree", name="mul5x1-reversed", n=8, least_effect=0.05, resamples=3, seed=SEED
    ),
    "carry": _prompts("heads.carry", n=16, runs="asked", seed=SEED),
    "carry-planted": _problems("heads.carry", "add5-reversed", "add:5", n=12, seed=SEED),
    # ablation
    "ablation-score": _prompts("ablation.evaluate", _CARRIES, seed=SEED),
    "ablation-score-read": _prompts(
        "ablation.evaluate",
        {"transfer": (1,), "heads": ((1, 0), (1, 2))},
        n=16,
        replacement="resample:token",
        answers="generated",
        sink="none",
        seed=SEED,
    ),
    "ablation-score-zero": _prompts("ablation.evaluate", _CARRIES, replacement="zero", seed=SEED),
    "ablation-score-role-mean": _prompts(
        "ablation.evaluate", {"wait": 1}, replacement="role-mean", seed=SEED
    ),
    "ablation-score-own": _prompts("ablation.evaluate", _CARRIES, replacement="own", seed=SEED),
    "ablation-grid": _prompts("ablation.grid", seed=SEED),
    "ablation-grid-complete": _prompts(
        "ablation.grid",
        name="mul5x1-reversed",
        n=24,
        replacement="mean",
        kl=True,
        waits=(0, 1),
        route="complete",
        seed=SEED,
    ),
    "layer-removal": _prompts("ablation.removal", seed=SEED),
    "all-for-one": _prompts("ablation.af1", n=80, target=0.1, seed=SEED),
    "all-for-one-none": _prompts("ablation.af1", n=80, target=0.99, replacement="mean", seed=SEED),
    "ablation-comparison": _prompts(
        "ablation.compare",
        _CARRIES,
        replacements=("cama", "zero"),
        masks=("full-peek",),
        seed=SEED,
    ),
    "ablation-comparison-of-searches": _prompts(
        "ablation.compare",
        n=64,
        replacements=("mean",),
        masks=("full-peek", "window:2"),
        target=0.3,
        seed=SEED,
    ),
    "ablation-transfer": _transfer_of_a_schedule,
    "ablation-transfer-of-a-search": _transfer_of_a_search,
    "cama-table": _problems("ablation.cama", "add5", "add:5", n=64, seed=SEED),
    "cama-table-exact": _problems(
        "ablation.cama", "mod113", interp.task("mod:113").sample(60, seed=SEED), given="nothing"
    ),
    # behaviour
    "accuracy": _problems("behaviour.accuracy", "add5", "add:5", n=60, seed=SEED),
    "accuracy-forced": _problems(
        "behaviour.accuracy",
        "mul5x1-reversed",
        interp.task("mul:5x1").sample(40, seed=SEED),
        mode="forced",
    ),
    "error-taxonomy": _spoken("error_taxonomy", "add:2", n=40, strict=False, shuffles=20),
    "error-taxonomy-published": lambda: interp.behaviour.published_errors(
        where=_PUBLISHED, shuffles=20, seed=SEED
    ),
    "error-explanation": _spoken("explain_errors", "add:2", n=40, strict=False, shuffles=20),
    "error-explanation-published": lambda: interp.behaviour.explain_published(
        where=_PUBLISHED, shuffles=20, seed=SEED
    ),
    "prompt-search": _spoken(
        "search_prompts", "add:2", styles=("plain", "calculate"), shots=(0, 1), n=40
    ),
    "doctor": _problems("behaviour.doctor", "add5", "add:5", n=24, seed=SEED),
    "doctor-of-a-module": _spoken(
        "doctor", "add:2", n=20, formats=("plain", "calculate"), shots=(1,), longest=8
    ),
    "noisy-prefix": _problems("behaviour.noisy_prefix", "add5", "add:5", n=32, seed=SEED),
    "cookbook": _spoken("cookbook", ("add:integer", "max:integer"), lengths=(1, 2), n=8, shots=1),
    "approximation": _spoken("approximation", n=8),
    # probes
    "near-multiples": lambda: probes.near_multiples(
        interp.load("smollm2"), (5, 7), layers=(0, 3), n=60, draws=1, seed=SEED
    ),
    "probe-sweep": _sweep(
        "add5",
        "add:5",
        targets=("carry[1]", "running_sum[2]", "c[2]"),
        layers=(0, 1),
        roles=("eq", "c2"),
        n=240,
    ),
    "probe-sweep-of-heads": _sweep(
        "add5",
        "add:5",
        targets=("a[2]",),
        sites=("z",),
        layers=(0,),
        heads=(0, 1),
        roles=("c2",),
        n=160,
        split="problem",
        turns=2,
        controls=("shuffled",),
    ),
    "probe-sweep-of-a-circle": _sweep(
        "mod113",
        "mod:113",
        targets=("c_value",),
        layers=(0,),
        n=300,
        split="problem",
        controls=("embedding", "shuffled"),
    ),
    "one-hot-baseline": lambda: probes.one_hot_baseline(
        "add:3", ("running_sum[1]", "carry[1]"), n=400, seed=SEED
    ),
    "running-sums": lambda: probes.running_sums(
        {"reversed": interp.load("mul5x1-reversed")}, "mul:5x1", digits=(1, 2), n=200, seed=SEED
    ),
    "probe-use": _use("running_sum[2]", fitted={"role": "c3"}, randoms=2),
    "probe-use-remove": _use("carry[1]", fitted={"role": "c3"}, mode="remove", randoms=2),
    "probe-use-to": _use(
        "c[2]",
        interp.task("add:5").sample(20, seed=SEED + 1),
        fitted={"role": "c3"},
        to=7,
        along="probe",
        randoms=2,
    ),
    # training, and one analysis on several models
    "training-dynamics": lambda: interp.training.dynamics("add5"),
    "training-dynamics-by-accuracy": lambda: interp.training.dynamics(
        "mod113", measure="accuracy", threshold=0.9, smoothing=2, split="validation"
    ),
    "digit-losses": lambda: interp.training.digit_losses(["add5", "add5-s1"], smoothing=3),
    "agreement-of-attribution": lambda: interp.over_seeds(
        ["add5", "add5-s1"],
        interp.attribution.counterfactual,
        interp.task("add:5").sample(16, seed=SEED),
        shuffles=20,
        seed=SEED,
    ),
    "agreement-of-probes": lambda: interp.over_seeds(
        ["add5", "add5-s1"],
        probes.probe,
        "add:5",
        targets=("carry[1]",),
        layers=(1,),
        roles=("c2",),
        n=160,
        controls=("shuffled",),
        seed=SEED,
    ),
    "over-series-of-accuracy": lambda: interp.over_checkpoints(
        "mod113", interp.behaviour.accuracy, "mod:113", steps=(0, 500), n=40, seed=SEED
    ),
    "over-series-of-probes": lambda: interp.over_checkpoints(
        "mod113",
        probes.probe,
        "mod:113",
        steps=(0, 4000),
        targets=("c_value",),
        layers=(0,),
        n=200,
        split="problem",
        controls=("shuffled",),
        seed=SEED,
    ),
    "comparison": lambda: interp.compare(
        *(
            interp.attribution.logit_lens(interp.load(name), "add:5", n=40, seed=SEED)
            for name in ("add5", "add5-s1")
        ),
        grid="probability",
    ),
    # a stack of interventions
    "intervened": lambda: interp.intervene(
        interp.load("add5"),
        "add:5",
        stack=("head L0H1 mean", "frequency 2 at layer 1 role predicts(c2)"),
        problem="99999+1",
        controls=2,
        n=120,
        seed=SEED,
    ),
    # geometry
    "fourier-fits": _problems(
        "geometry.fourier", "add5", "add:5", layers=(1,), permutations=20, n=120, seed=SEED
    ),
    "regular-figure": _problems(
        "geometry.figure",
        "add5",
        "add:5",
        role="predicts(c0)",
        permutations=20,
        randoms=1,
        n=80,
        seed=SEED,
    ),
    "helix-fit": _problems(
        "geometry.helix", "add5", "add:5", layers=(0,), periods=(10,), pairs=12, n=60, seed=SEED
    ),
    "minkowski-sum": _problems(
        "geometry.minkowski", "add5", "add:5", role="predicts(c1)", draws=3, n=150, seed=SEED
    ),
    "operand-grids": _problems(
        "geometry.grid", "add5", "add:5", units=6, knocked=3, draws=1, n=60, seed=SEED
    ),
    "modular-analysis": lambda: interp.geometry.modular(
        wrapped(), modulus=7, triples=8, format="modular", seed=SEED
    ),
    "modular-phases": lambda: interp.geometry.phases(
        interp.load("mod113"), keys=(19, 23, 25, 37), steps=(4000,)
    ),
    # models
    "selfcheck": lambda: interp.engine.selfcheck(interp.load("add5")),
    "tokenisation": lambda: interp.load("add5").tokenisation(unnamed_problems()),
}
"""Folder → the call that makes its Result."""
