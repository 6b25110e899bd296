"""The answer key of a planted model: its mechanism, and the expected result of each method.

A key is for evaluating methods; no method may use it. Its facts follow from the construction, its
numbers from the interpreter, which shares no code with the model, the engine or any analysis.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from interp.arithmetic.problems import Problems
from interp.arithmetic.tasks import Task, task
from interp.errors import InputError
from interp.planted import expected
from interp.planted.asked import asking, tokens_of
from interp.planted.interpret import Edit, Trace, Visible, interpret, looks_at, read_out
from interp.planted.linear import linear_r2, spread
from interp.planted.program import Floats, Head, Ints, Program, basis

_POPULATION = 20_000


class HeadFact(NamedTuple):
    """One head: its role, and how many places back it attends."""

    layer: int
    head: int
    role: Literal["mover", "distractor"]
    offset: int
    brings: str


class Edge(NamedTuple):
    """Information flow: a head at the token `target` brings it from the token `source`."""

    layer: int
    head: int
    source: str
    target: str
    brings: str


@dataclass(frozen=True, eq=False)
class AnswerKey:
    """The mechanism of a planted model; everything is derived from `program`."""

    program: Program

    @property
    def kind(self) -> str:
        return self.program.kind

    @property
    def task(self) -> Task:
        return task(self.program.task)

    @property
    def format(self) -> str:
        return self.program.format

    @property
    def answers(self) -> tuple[str, ...]:
        """The answer roles that the mechanism computes; always right without a `fault`."""
        return self.program.answers

    @property
    def logit_scale(self) -> float:
        return self.program.logit_scale

    @property
    def heads(self) -> tuple[HeadFact, ...]:
        """Every head of the model."""
        return tuple(
            HeadFact(layer, i, head.role, head.offset, head.brings)
            for layer, found in enumerate(self.program.layers)
            for i, head in enumerate(found.heads)
        )

    @property
    def movers(self) -> tuple[HeadFact, ...]:
        """The heads that the mechanism uses. Removing any of them changes answers; only the
        `direct_heads` have a direct effect on the logits."""
        return tuple(head for head in self.heads if head.role == "mover")

    @property
    def direct_heads(self) -> tuple[HeadFact, ...]:
        """The movers whose output the unembedding reads; in most kinds, none."""
        unembed = self.program.unembed
        return tuple(one for one in self.movers if (unembed @ self._head(one).write).any())

    @property
    def head_paths(self) -> tuple[tuple[HeadFact, HeadFact], ...]:
        """Pairs of movers where the later one's values read what the earlier one writes, at a token
        that it looks at. Queries and keys see positions alone."""
        found = []
        for sender in self.movers:
            for receiver in self.movers:
                reads, writes = self._head(receiver).read, self._head(sender).write
                places = {t - receiver.offset for t in self._targets(receiver)}
                later = receiver.layer > sender.layer and places & self._targets(sender)
                if later and (reads @ writes).any():
                    found.append((sender, receiver))
        return tuple(found)

    def _head(self, fact: HeadFact) -> Head:
        return self.program.layers[fact.layer].heads[fact.head]

    @property
    def distractors(self) -> tuple[HeadFact, ...]:
        """The heads without any effect, though their outputs correlate with the problem."""
        return tuple(head for head in self.heads if head.role == "distractor")

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Information flow, lowest layer first; the tree of a `column` model."""
        layout = self.program.layout
        return tuple(
            Edge(layer, i, layout[target - head.offset], layout[target], head.brings)
            for layer, found in enumerate(self.program.layers)
            for i, head in enumerate(found.heads)
            for target in head.targets
        )

    @property
    def layers(self) -> Mapping[str, int]:
        """The layer whose neurons compute each step of the mechanism."""
        return dict(self.program.facts["layers"])

    @property
    def readable_from(self) -> int:
        """The first layer after which the logit lens shows the model's full answer."""
        return int(self.program.facts["readable_from"])

    @property
    def saturated(self) -> bool:
        """True if the right tokens' logits have zero gradient despite their dependence on the
        input."""
        return bool(self.program.facts["saturated"])

    @property
    def fault(self) -> str | None:
        """For `careless`: the simulator of `interp.arithmetic` with the same answers."""
        return self.program.facts.get("fault")

    @property
    def carry_from(self) -> str | None:
        """For sound adders: "print" if the carry is read off the digit just printed, "operands" if
        it is computed from the operands."""
        return self.program.facts.get("carry_from")

    @property
    def wait(self) -> int:
        """Number of lowest layers in which every token may attend to itself alone."""
        return min(head.layer for head in self.movers)

    @property
    def transfer_layers(self) -> tuple[int, ...]:
        """The layers in which heads bring information to answer-predicting positions."""
        return tuple(sorted({layer for layer, head in self.transfer_heads}))

    @property
    def transfer_heads(self) -> tuple[tuple[int, int], ...]:
        """(layer, head) of those heads."""
        asked = {self.position(role) - 1 for role in self.answers}
        return tuple((h.layer, h.head) for h in self.movers if asked & self._targets(h))

    @property
    def only_last_looks(self) -> bool:
        """True if the prompt's other tokens never need one another: one subgraph of waiting,
        transfer to the last token, and computation there is then sufficient."""
        last = self.position("last")
        return all(min(self._targets(head)) >= last for head in self.movers)

    def _targets(self, head: HeadFact) -> set[int]:
        return set(self.program.layers[head.layer].heads[head.head].targets)

    @property
    def tree(self) -> Mapping[str, Sequence[str]] | None:
        """For `column`: truth columns, each with its inputs."""
        return self.program.facts.get("tree")

    @property
    def frequencies(self) -> Sequence[Mapping[str, float]] | None:
        """For `modular`: each `frequency` f (w = 2πf/p) with the `phase` and `radius` of the
        embedded circle and the `answer_phase` of the sum's."""
        return self.program.facts.get("frequencies")

    def facts(self) -> dict[str, Any]:
        """All of the above as JSON values."""
        return {
            "answers": list(self.answers),
            "logit_scale": self.logit_scale,
            "heads": [fact._asdict() for fact in self.heads],
            "edges": [edge._asdict() for edge in self.edges],
            "wait": self.wait,
            "transfer_layers": list(self.transfer_layers),
            "transfer_heads": [list(head) for head in self.transfer_heads],
            "only_last_looks": self.only_last_looks,
            "direct_heads": [[one.layer, one.head] for one in self.direct_heads],
            "head_paths": [[[one.layer, one.head] for one in pair] for pair in self.head_paths],
            **self.program.facts,
        }

    def direction(self, feature: str) -> Floats:
        """The vector [d_model] that one unit of a feature adds to the residual stream.

        Raises InputError for an unknown feature, with those there are.
        """
        if feature not in self.program.features:
            raise InputError(
                f"this {self.kind!r} model has no feature {feature!r}; it has "
                f"{', '.join(self.program.features)}"
            )
        return basis(self.program)[:, self.program.feature(feature)]

    def features_of(self, stream: Floats) -> Floats:
        """Residual stream [..., d_model] → features [..., features]."""
        return np.asarray(stream @ (basis(self.program) / self.program.scale**2))

    def problems(self, n: int, *, seed: int = 0) -> Problems:
        """Problems of the mechanism's domain, all of them where there are at most n."""
        if self.task.n_problems <= n:
            return self.task.grid()
        return self.task.sample(n, seed=seed)

    def tokens(self, problems: Problems, *, prefix: Problems | None = None) -> Ints:
        """Token ids [n, T] of problems with their answers, or with those of `prefix`."""
        return tokens_of(self.program, problems, prefix=prefix)

    def position(self, role: str) -> int:
        """The position of a role, the same in all prompts."""
        return self.program.position(role)

    def pattern(self, layer: int, head: int) -> Floats:
        """Attention [T, T] of a head: 1 at the attended place."""
        length = len(self.program.layout)
        return np.asarray(np.eye(length)[looks_at(self.program, layer, head, length)])

    def trace(
        self,
        problems: Problems,
        *,
        prefix: Problems | None = None,
        edit: Edit | None = None,
        visible: Visible | None = None,
    ) -> Trace:
        """Features at every site of a run, perhaps with an intervention (`asked`)."""
        tokens = self.tokens(problems, prefix=prefix)
        return interpret(self.program, tokens, edit=edit, visible=visible)

    def logits(
        self,
        problems: Problems,
        roles: Sequence[str] | None = None,
        *,
        prefix: Problems | None = None,
        edit: Edit | None = None,
        visible: Visible | None = None,
    ) -> Floats:
        """Logits [n, roles, vocabulary] that predict `roles` (all answers)."""
        trace = self.trace(problems, prefix=prefix, edit=edit, visible=visible)
        where = asking(self.program, self._roles(roles))
        return read_out(self.program, trace.resid_post[-1][:, where])

    def accuracy(self, problems: Problems) -> float:
        """Teacher-forced accuracy over answer tokens; 1 without a fault."""
        labels = self.tokens(problems)[:, [self.position(role) for role in self.answers]]
        return float((self.logits(problems).argmax(axis=-1) == labels).mean())

    def said(self, problems: Problems) -> Ints:
        """Greedily generated answer tokens [n, roles in order of print]."""
        tokens = self.tokens(problems)
        first = self.position("last") + 1
        for place in range(first, tokens.shape[1]):
            stream = interpret(self.program, tokens[:, :place]).resid_post[-1][:, -1]
            tokens[:, place] = read_out(self.program, stream).argmax(axis=-1)
        return tokens[:, first:]

    def counterfactual(
        self,
        problems: Problems,
        *,
        roles: Sequence[str] | None = None,
        prefix: Literal["keep", "recompute"] = "keep",
        target: Literal["argmax", "true", "difference"] = "argmax",
        operand_digits: Sequence[str] | None = None,
    ) -> expected.CounterfactualKey:
        """Expected counterfactual attribution over all other digit values."""
        asked = self._roles(roles)
        return expected.counterfactual(
            self.program, problems, asked, prefix, target, operand_digits
        )

    def logit_lens(self, problems: Problems, roles: Sequence[str] | None = None) -> Floats:
        """Logits [layers + 1, n, roles, vocabulary] off the embedding and off each layer."""
        return expected.logit_lens(self.program, problems, self._roles(roles))

    def direct_effects(
        self, problems: Problems, roles: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Direct logit attribution of every part (see `expected.direct_effects`)."""
        return expected.direct_effects(self.program, problems, self._roles(roles))

    def head_effects(self, problems: Problems, roles: Sequence[str] | None = None) -> pd.DataFrame:
        """Effect of removing each head, and its gradient (`expected.head_effects`)."""
        return expected.head_effects(self.program, problems, self._roles(roles))

    def linear_r2(
        self,
        columns: Sequence[str],
        role: str,
        *,
        site: str = "resid_post",
        problems: Problems | None = None,
    ) -> pd.DataFrame:
        """Best-linear R² of truth columns at a role and site, by layer (`linear.linear_r2`).

        With `problems`: in-sample, the R² of ordinary least squares on their activations. Without:
        over the population, all problems equally often, the test R² of a probe trained on many of
        them. Exact for at most 20,000 problems; else from 20,000 drawn, adjusted for their number,
        with an error of about 0.005.
        """
        if problems is not None:
            return linear_r2(self.program, problems, columns, role, site)
        population = self.problems(_POPULATION)
        drawn = len(population) < self.task.n_problems
        return linear_r2(self.program, population, columns, role, site, adjusted=drawn)

    def spread(
        self, role: str, *, site: str = "resid_post", problems: Problems | None = None
    ) -> pd.Series:
        """√(Σ variance) over problems (1000) of the activation at a role and site, by layer.

        0 if the mechanism leaves it constant (`linear.spread`): R² is then 0, and a float32 model
        varies there only by rounding.
        """
        asked = self.problems(1000) if problems is None else problems
        return spread(self.program, asked, role, site)

    def _roles(self, roles: Sequence[str] | None) -> tuple[str, ...]:
        return self.answers if roles is None else tuple(roles)
