"""Catalogue of analyses: function, Result, figures, command and inputs of each.

`Result.load` and `Result.figure`, `over_seeds` and `over_checkpoints`, the command line, the
explorer and the report read this table. A new analysis adds one entry and is available in all of
them. Functions and classes are strings, imported on first use, so the catalogue loads fast.

>>> from interp import catalogue
>>> catalogue.entry("attribution.logit_lens").asks
'prompts'
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from interp import faces
from interp.errors import InputError, nearest
from interp.results import kinds

Asks = Literal["prompts", "problems", "task", "log", "model", "file", "models"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One analysis.

    name      public name, "attribution.logit_lens" under `interp` or "probes.probe"
    function  "module:function", or "" for a Result that no public function returns
    kind      name of the Result in `result.json`
    result    "module:Class" of the Result
    figures   module that draws the Result, "" for none
    command   one or two words after `arithmoscope`, "" for none
    question  the question that the analysis answers
    asks      its second argument: "prompts" and "problems" take a task's name, a Task, Problems or
              a PromptBatch; "task" only a task; "log" a training log; "model" no second argument;
              "file" a file of published answers; "models" several models
    n         default number of problems; None for an analysis without a sample
    """

    name: str
    function: str
    kind: str
    result: str
    figures: str
    command: str
    question: str
    asks: Asks
    n: int | None = None

    @property
    def public(self) -> str:
        """The name in a script: "interp.attribution.logit_lens", "probes.probe"."""
        return self.name if self.name.startswith("probes.") else f"interp.{self.name}"

    def load(self) -> Callable[..., Any]:
        """Import and return the function."""
        function: Callable[..., Any] = faces.found(self.function)
        return function


CATALOGUE: tuple[Entry, ...] = (
    Entry(
        name="attribution.counterfactual",
        function="interp.attribution._counterfactual:counterfactual",
        kind="counterfactual_attribution",
        result="interp.attribution.results.counterfactual:CounterfactualAttribution",
        figures="interp.attribution.figures.counterfactual",
        command="attribute",
        question="Which operand digits does each answer digit depend on, and which must it?",
        asks="prompts",
        n=512,
    ),
    Entry(
        name="attribution.logit_lens",
        function="interp.attribution._logit_lens:logit_lens",
        kind="logit_lens",
        result="interp.attribution.results.logit_lens:LogitLens",
        figures="interp.attribution.figures.logit_lens",
        command="attribute logit-lens",
        question="After which layer can each answer digit be read off?",
        asks="prompts",
        n=512,
    ),
    Entry(
        name="attribution.direct",
        function="interp.attribution._direct:direct",
        kind="direct_attribution",
        result="interp.attribution.results.direct:DirectAttribution",
        figures="interp.attribution.figures.direct",
        command="attribute direct",
        question="Which components write towards the right token?",
        asks="prompts",
        n=256,
    ),
    Entry(
        name="attribution.swap_example",
        function="interp.attribution.example:swap_example",
        kind="swap_example",
        result="interp.attribution.results.counterfactual:SwapExample",
        figures="interp.attribution.figures.counterfactual",
        command="",
        question="How do the logits of one prompt change when one operand digit changes?",
        asks="prompts",
        n=512,
    ),
    Entry(
        name="heads.patch",
        function="interp.heads._patch:patch",
        kind="activation_patching",
        result="interp.heads.results.patch:ActivationPatching",
        figures="interp.heads.figures.patch",
        command="heads",
        question="Which heads, MLPs or positions carry the answer?",
        asks="prompts",
        n=64,
    ),
    Entry(
        name="heads.paths",
        function="interp.heads._paths:paths",
        kind="path_patching",
        result="interp.heads.results.paths:PathPatching",
        figures="interp.heads.figures.paths",
        command="paths",
        question="Which nodes write to the logits, or into another head?",
        asks="prompts",
        n=64,
    ),
    Entry(
        name="heads.knockout",
        function="interp.heads._knockout:knockout",
        kind="knock_out",
        result="interp.heads.results.knockout:KnockOut",
        figures="interp.heads.figures.knockout",
        command="heads knockout",
        question="How many heads can be removed, and what is each needed for?",
        asks="prompts",
        n=256,
    ),
    Entry(
        name="heads.screen",
        function="interp.heads._screen:screen",
        kind="screen",
        result="interp.heads.results.screen:Screen",
        figures="interp.heads.figures.screen",
        command="heads screen",
        question="Which nodes might carry the answer, by gradients?",
        asks="prompts",
        n=64,
    ),
    Entry(
        name="heads.edges",
        function="interp.heads._edges:edges",
        kind="edge_scores",
        result="interp.heads.results.edges:EdgeScores",
        figures="interp.heads.figures.edges",
        command="heads edges",
        question="Which edges carry the answer, by gradients?",
        asks="prompts",
        n=64,
    ),
    Entry(
        name="heads.neurons",
        function="interp.heads._neurons:neurons",
        kind="neuron_effects",
        result="interp.heads.results.neurons:NeuronEffects",
        figures="interp.heads.figures.neurons",
        command="heads neurons",
        question="Which neurons carry the answer, and which number do MLPs write?",
        asks="prompts",
        n=64,
    ),
    Entry(
        name="heads.interchange",
        function="interp.heads._interchange:interchange",
        kind="interchange",
        result="interp.heads.results.interchange:Interchange",
        figures="interp.heads.figures.interchange",
        command="heads interchange",
        question="Does another carry or digit, swapped in, give the predicted answer?",
        asks="prompts",
        n=256,
    ),
    Entry(
        name="heads.circuit",
        function="interp.heads._circuit:circuit",
        kind="circuit",
        result="interp.heads.results.circuit:CircuitScore",
        figures="interp.heads.figures.circuit",
        command="circuit",
        question="How few nodes keep the answer?",
        asks="prompts",
        n=128,
    ),
    Entry(
        name="heads.attention",
        function="interp.heads._attention:attention",
        kind="attention_patterns",
        result="interp.heads.results.attention:AttentionPatterns",
        figures="interp.heads.figures.attention",
        command="attention",
        question="Where does each head look?",
        asks="prompts",
        n=256,
    ),
    Entry(
        name="heads.carry",
        function="interp.heads._carry:carry",
        kind="carry_verdict",
        result="interp.heads.results.carry:CarryVerdict",
        figures="interp.heads.figures.carry",
        command="carry",
        question="Does the carry come from the operands or from the digit just printed?",
        asks="prompts",
        n=512,
    ),
    Entry(
        name="heads.digit_circuits",
        function="interp.heads._digit_circuits:digit_circuits",
        kind="digit_circuits",
        result="interp.heads.results.digit_circuits:DigitCircuits",
        figures="interp.heads.figures.digit_circuits",
        command="attention digits",
        question="Why does this head look at this digit, and what does it write of it?",
        asks="prompts",
        n=1_000,
    ),
    Entry(
        name="heads.tree",
        function="interp.heads._tree:tree",
        kind="attention_tree",
        result="interp.heads.results.tree:AttentionTree",
        figures="interp.heads.figures.tree",
        command="tree",
        question="Which products are cached where, and which answer digit fetches them?",
        asks="prompts",
        n=128,
    ),
    Entry(
        name="behaviour.accuracy",
        function="interp.behaviour._accuracy:accuracy",
        kind="behaviour",
        result="interp.behaviour.results.accuracy:Behaviour",
        figures="interp.behaviour.figures.accuracy",
        command="behaviour accuracy",
        question="What does it get right?",
        asks="problems",
        n=1_024,
    ),
    Entry(
        name="behaviour.error_taxonomy",
        function="interp.behaviour.errors:error_taxonomy",
        kind="error_taxonomy",
        result="interp.behaviour.results.errors:ErrorTaxonomy",
        figures="interp.behaviour.figures.errors",
        command="behaviour errors",
        question="What do its wrong answers look like?",
        asks="problems",
        n=1_024,
    ),
    Entry(
        name="behaviour.explain_errors",
        function="interp.behaviour.explain:explain_errors",
        kind="error_explanation",
        result="interp.behaviour.results.explain:ErrorExplanation",
        figures="interp.behaviour.figures.explain",
        command="behaviour explain",
        question="Which fault predicts its wrong answers?",
        asks="problems",
        n=1_024,
    ),
    Entry(
        name="behaviour.published_errors",
        function="interp.behaviour.errors:published_errors",
        kind="error_taxonomy",
        result="interp.behaviour.results.errors:ErrorTaxonomy",
        figures="interp.behaviour.figures.errors",
        command="",
        question="What do published wrong answers look like?",
        asks="file",
    ),
    Entry(
        name="behaviour.explain_published",
        function="interp.behaviour.explain:explain_published",
        kind="error_explanation",
        result="interp.behaviour.results.explain:ErrorExplanation",
        figures="interp.behaviour.figures.explain",
        command="",
        question="Which fault predicts published wrong answers?",
        asks="file",
    ),
    Entry(
        name="behaviour.search_prompts",
        function="interp.behaviour.search:search_prompts",
        kind="prompt_search",
        result="interp.behaviour.results.accuracy:PromptSearch",
        figures="interp.behaviour.figures.accuracy",
        command="behaviour search",
        question="Which prompt does it answer best?",
        asks="problems",
        n=200,
    ),
    Entry(
        name="behaviour.doctor",
        function="interp.behaviour._doctor:doctor",
        kind="doctor",
        result="interp.behaviour.results.doctor:Diagnosis",
        figures="interp.behaviour.figures.doctor",
        command="doctor",
        question="Which prompt format was it trained on?",
        asks="problems",
        n=80,
    ),
    Entry(
        name="suggest",
        function="interp.behaviour._suggest:suggest",
        kind="doctor",
        result="interp.behaviour.results.doctor:Diagnosis",
        figures="interp.behaviour.figures.doctor",
        command="suggest",
        question="Which task and prompt does a model without a card answer?",
        asks="model",
        n=80,
    ),
    Entry(
        name="suites.noisy_prefix",
        function="interp.suites._noisy_prefix:noisy_prefix",
        kind="noisy_prefix",
        result="interp.suites.results.noisy_prefix:NoisyPrefix",
        figures="interp.suites.figures.noisy_prefix",
        command="behaviour noisy-prefix",
        question="What do wrong digits do to the digits after them?",
        asks="problems",
        n=256,
    ),
    Entry(
        name="suites.cookbook",
        function="interp.suites._cookbook:cookbook",
        kind="cookbook",
        result="interp.suites.results.cookbook:CookbookScores",
        figures="interp.suites.figures.cookbook",
        command="behaviour cookbook",
        question="How far does its knowledge of numbers go?",
        asks="model",
        n=40,
    ),
    Entry(
        name="suites.approximation",
        function="interp.suites._approximation:approximation",
        kind="approximation",
        result="interp.suites.results.approximation:Approximation",
        figures="interp.suites.figures.approximation",
        command="behaviour approximation",
        question="How good are its rough answers?",
        asks="model",
        n=120,
    ),
    Entry(
        name="ablation.evaluate",
        function="interp.ablation._evaluate:evaluate",
        kind="ablation_score",
        result="interp.ablation.results.evaluate:AblationScore",
        figures="interp.ablation.figures.evaluate",
        command="ablate cama",
        question="What does one schedule of waiting and moving keep of the answers?",
        asks="prompts",
        n=512,
    ),
    Entry(
        name="ablation.grid",
        function="interp.ablation._grid:grid",
        kind="ablation_grid",
        result="interp.ablation.results.grid:AblationGrid",
        figures="interp.ablation.figures.grid",
        command="ablate grid",
        question="Until when may tokens wait, and when must information move?",
        asks="prompts",
        n=512,
    ),
    Entry(
        name="ablation.removal",
        function="interp.ablation._removal:removal",
        kind="layer_removal",
        result="interp.ablation.results.removal:LayerRemoval",
        figures="interp.ablation.figures.removal",
        command="ablate removal",
        question="Which layer's attention must move information?",
        asks="prompts",
        n=512,
    ),
    Entry(
        name="ablation.af1",
        function="interp.ablation._af1:af1",
        kind="all_for_one",
        result="interp.ablation.results.af1:AllForOne",
        figures="interp.ablation.figures.af1",
        command="ablate af1",
        question="What is the sparsest schedule that keeps the answers?",
        asks="prompts",
        n=512,
    ),
    Entry(
        name="ablation.compare",
        function="interp.ablation._compare:compare",
        kind="ablation_comparison",
        result="interp.ablation.results.compare:AblationComparison",
        figures="interp.ablation.figures.compare",
        command="ablate compare",
        question="Does the finding depend on the replacement or the mask?",
        asks="prompts",
        n=512,
    ),
    Entry(
        name="ablation.transfer",
        function="interp.ablation._transfer:transfer",
        kind="ablation_transfer",
        result="interp.ablation.results.transfer:AblationTransfer",
        figures="interp.ablation.figures.transfer",
        command="ablate transfer",
        question="Does a schedule carry over to other formats, tasks and models?",
        asks="models",
        n=512,
    ),
    Entry(
        name="ablation.cama",
        function="interp.ablation._cama:cama",
        kind="cama_table",
        result="interp.ablation.results.cama:CamaTable",
        figures="interp.ablation.figures.cama",
        command="ablate table",
        question="What does a token's own key say of its state?",
        asks="problems",
        n=1_024,
    ),
    Entry(
        name="geometry.fourier",
        function="interp.geometry._fourier:fourier",
        kind="fourier_fits",
        result="interp.geometry.results.fourier:FourierFits",
        figures="interp.geometry.figures.fourier",
        command="geometry fourier",
        question="Do the numbers lie on a few waves, beyond chance?",
        asks="prompts",
        n=2_048,
    ),
    Entry(
        name="geometry.figure",
        function="interp.geometry._figure:figure",
        kind="regular_figure",
        result="interp.geometry.results.figure:RegularFigure",
        figures="interp.geometry.figures.figure",
        command="geometry figure",
        question="What shape have the digits, and does the answer follow along it?",
        asks="prompts",
        n=2_048,
    ),
    Entry(
        name="geometry.helix",
        function="interp.geometry._helix:helix",
        kind="helix_fit",
        result="interp.geometry.results.helix:HelixFit",
        figures="interp.geometry.figures.helix",
        command="geometry helix",
        question="Is an operand a helix, and does the fit carry the answer?",
        asks="prompts",
        n=512,
    ),
    Entry(
        name="geometry.minkowski",
        function="interp.geometry._minkowski:minkowski",
        kind="minkowski_sum",
        result="interp.geometry.results.minkowski:MinkowskiSum",
        figures="interp.geometry.figures.minkowski",
        command="geometry minkowski",
        question="Does a head add one point of each of two numbers?",
        asks="prompts",
        n=1_024,
    ),
    Entry(
        name="geometry.grid",
        function="interp.geometry._grid:grid",
        kind="operand_grids",
        result="interp.geometry.results.grid:OperandGrids",
        figures="interp.geometry.figures.grid",
        command="geometry grid",
        question="Which heuristic does each neuron follow, and is it needed?",
        asks="prompts",
        n=1_024,
    ),
    Entry(
        name="geometry.modular",
        function="interp.geometry._modular:modular",
        kind="modular_analysis",
        result="interp.geometry.results.modular:ModularAnalysis",
        figures="interp.geometry.figures.modular",
        command="geometry modular",
        question="By which waves does it add modulo p?",
        asks="model",
    ),
    Entry(
        name="geometry.phases",
        function="interp.geometry._phases:phases",
        kind="modular_phases",
        result="interp.geometry.results.phases:ModularPhases",
        figures="interp.geometry.figures.phases",
        command="geometry phases",
        question="When are the waves of modular addition learnt?",
        asks="model",
    ),
    Entry(
        name="training.dynamics",
        function="interp.training.learning:dynamics",
        kind="training_dynamics",
        result="interp.training.results.learning:TrainingDynamics",
        figures="interp.training.figures.learning",
        command="dynamics",
        question="In which order were the digits and subtasks learnt?",
        asks="log",
    ),
    Entry(
        name="training.digit_losses",
        function="interp.training.learning:digit_losses",
        kind="digit_losses",
        result="interp.training.results.learning:DigitLosses",
        figures="interp.training.figures.learning",
        command="",
        question="How do several models' digit losses fall?",
        asks="log",
    ),
    Entry(
        name="probes.probe",
        function="probes.sweep:probe",
        kind="probe_sweep",
        result="probes.results.sweep:ProbeSweep",
        figures="probes.figures.sweep",
        command="probe",
        question="What is represented, where, beyond what the digits give for free?",
        asks="problems",
        n=2_000,
    ),
    Entry(
        name="probes.one_hot_baseline",
        function="probes.baseline:one_hot_baseline",
        kind="one_hot_baseline",
        result="probes.results.baseline:OneHotBaseline",
        figures="probes.figures.baseline",
        command="probe baseline",
        question="What do the one-hot digits alone give a probe?",
        asks="task",
        n=20_000,
    ),
    Entry(
        name="probes.near_multiples",
        function="probes.near:near_multiples",
        kind="near_multiples",
        result="probes.results.near:NearMultiples",
        figures="probes.figures.near",
        command="probe near",
        question="Does a state tell whether its number is near a multiple of k?",
        asks="model",
        n=2_000,
    ),
    Entry(
        name="probes.running_sums",
        function="probes.running:running_sums",
        kind="running_sums",
        result="probes.results.baseline:RunningSums",
        figures="probes.figures.running",
        command="",
        question="How well is each running sum read off the residual stream?",
        asks="models",
        n=2_000,
    ),
    Entry(
        name="probes.intervene",
        function="probes.causal_test:intervene",
        kind="probe_use",
        result="probes.results.causal_test:ProbeUse",
        figures="probes.figures.causal_test",
        command="",
        question="Does the answer use what a probe reads?",
        asks="models",
        n=256,
    ),
    Entry(
        name="intervene",
        function="interp.stack._intervene:intervene",
        kind="intervened",
        result="interp.stack.results.intervene:Intervened",
        figures="interp.stack.figures.intervene",
        command="intervene",
        question="What does a stack of interventions change in one answer?",
        asks="prompts",
        n=512,
    ),
    Entry(
        name="over_seeds",
        function="interp.many._over_seeds:over_seeds",
        kind="agreement",
        result="interp.many.results.over_seeds:Agreement",
        figures="interp.many.figures.over_seeds",
        command="agree",
        question="Which findings do all seeds share?",
        asks="models",
    ),
    Entry(
        name="over_checkpoints",
        function="interp.many._over_checkpoints:over_checkpoints",
        kind="over_series",
        result="interp.many.results.over_checkpoints:OverSeries",
        figures="interp.many.figures.over_checkpoints",
        command="series",
        question="How does a finding come about during training?",
        asks="models",
    ),
    Entry(
        name="compare",
        function="interp.many._compare:compare",
        kind="comparison",
        result="interp.many.results.compare:Comparison",
        figures="interp.many.figures.compare",
        command="",
        question="What differs between two Results of one analysis?",
        asks="models",
    ),
    Entry(
        name="engine.selfcheck",
        function="interp.engine._selfcheck:selfcheck",
        kind="selfcheck",
        result="interp.engine.results.selfcheck:SelfCheck",
        figures="interp.engine.figures.selfcheck",
        command="",
        question="Does the engine equal the plain module, and where do edits take effect?",
        asks="model",
    ),
    Entry(
        name="models.tokenisation_report",
        function="interp.models._tokenisation_report:tokenisation_report",
        kind="tokenisation",
        result="interp.models.results.tokenisation:TokenisationReport",
        figures="interp.models.figures.tokenisation",
        command="",
        question="How does its tokenizer cut numbers?",
        asks="prompts",
        n=512,
    ),
)

_MOVED = {
    "interp:across": "interp:over_seeds",
    "interp:replicas": "interp:seeds_of",
    "interp:over": "interp:over_checkpoints",
    "interp:series": "interp:checkpoints",
    "interp.behaviour:noisy_prefix": "interp.suites:noisy_prefix",
    "interp.behaviour:cookbook": "interp.suites:cookbook",
    "interp.behaviour:approximation": "interp.suites:approximation",
    "interp.arithmetic:cookbook": "interp.suites.number_cookbook",
    "interp.models:planted": "interp.planted",
    "probes:use": "probes:intervene",
}


def entry(name: str, among: Iterable[Entry] = CATALOGUE) -> Entry:
    """The entry of a public name, with or without the prefix "interp.".

    Raises InputError for a name that is not in the catalogue: with the new name if it moved, else
    with the nearest names `among` the entries that the caller can use.
    """
    short = name.removeprefix("interp.")
    for one in CATALOGUE:
        if one.name == short:
            return one
    names = [one.name for one in among]
    new = _now(short)
    if new in names:
        raise InputError(f"no analysis {name!r}; it is now {new}")
    raise InputError(f"no analysis {name!r}; the nearest names are {nearest(short, names)}")


def _now(old: str) -> str | None:
    """The new public name of one that moved, both without the prefix "interp."."""
    for before, after in _MOVED.items():
        if before.replace(":", ".").removeprefix("interp.") == old:
            return after.replace(":", ".").removeprefix("interp.")
    return None


def entry_of(function: Callable[..., Any]) -> Entry | None:
    """The entry of a function; None for the user's own function."""
    where = f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', '')}"
    return next((one for one in CATALOGUE if one.function == where), None)


def _register() -> None:
    for one in CATALOGUE:
        kinds.register(one.kind, one.result, one.figures)
        package, _, name = one.public.rpartition(".")
        faces.serve(package, name, one.function)
        faces.serve("interp.results", one.result.partition(":")[2], one.result)
    for old, target in _MOVED.items():
        package, _, name = old.partition(":")
        faces.moved(package, name, target)


_register()
