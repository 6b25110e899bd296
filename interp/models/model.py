"""A loaded model: adapter, tokenizer, card, and the lock that guards its hooks."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from interp.arithmetic import formats
from interp.arithmetic.formats.layout import Written
from interp.arithmetic.held_out import Split
from interp.arithmetic.problems import Problems
from interp.arithmetic.tasks import Task
from interp.arithmetic.tasks import task as as_task
from interp.errors import InputError, SiteError
from interp.models.adapter import Adapter
from interp.models.decoder import DecoderAdapter
from interp.models.fixtures import SMOLLM2
from interp.models.prompts import PromptBatch
from interp.models.tokenisation import report
from interp.models.tokens import Encoded, Tokens
from interp.models.toy_adapter import ToyAdapter
from interp.models.wrapped import WrappedAdapter
from interp.results.calls import problems_call
from interp.results.identity import WRAPPED, ModelId

if TYPE_CHECKING:
    from interp.models.results.tokenisation import TokenisationReport

Answer = Literal["true", "none"] | npt.NDArray[Any]


def no_padding(name: str) -> str:
    """Message: a model without a causal mask takes prompts of one length."""
    return (
        f"these prompts have several lengths, and {name} has no causal mask: padding would change "
        f"its logits. Ask questions of one length, such as a padded format, or one length at a "
        f"time."
    )


LLM_FORMATS = ("plain", "qa-short", "calculate")
# The prompt that a search over 44 found best for its one-digit sums, then the others.
SMOLLM2_FORMATS = ("calculate@1:0", "calculate", *LLM_FORMATS[:2])


@dataclass(frozen=True)
class Shape:
    """The sizes of a transformer. `n_kv_heads` < `n_heads` means grouped-query attention.

    `d_vocab` counts the tokens that it reads, `d_vocab_out` its logits; logit i is that of token i.
    """

    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_model: int
    d_head: int
    d_mlp: int
    d_vocab: int
    n_ctx: int
    d_vocab_out: int


@dataclass(eq=False)
class Model:
    """A transformer behind one adapter, with its tokenizer and its card.

    `hash` is the hash of the stored weights, independent of the precision of a run. `unusable` maps
    sites to the reason why the self-check at load rejected them; the engine refuses these.
    `noise_floor` is the largest |Δlogit| of a patch by the site's own value, measured at load in a
    16-bit model (None in others): smaller effects are rounding. `lock` is held for a batch, not a
    sweep.
    """

    name: str
    hash: str
    family: str
    shape: Shape
    adapter: Adapter | DecoderAdapter | ToyAdapter | WrappedAdapter
    tokens: Tokens
    dtype: torch.dtype
    device: torch.device
    card: Mapping[str, Any] | None = None
    unusable: Mapping[str, str] = field(default_factory=dict)
    noise_floor: float | None = None
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def route(self) -> Literal["blocks", "module"]:
        """How it runs: its blocks one by one, or the module as a whole (docs/models.md)."""
        return "module" if self.adapter.whole else "blocks"

    @property
    def wrapped(self) -> bool:
        """True for a module given to `interp.wrap`, which no name opens again."""
        return self.family == "wrapped"

    @property
    def id(self) -> ModelId:
        """The name that loads the model again, and the hash of its weights."""
        return ModelId(f"{WRAPPED}{self.name}" if self.wrapped else self.name, self.hash)

    @property
    def tokenizer(self) -> Tokens:
        return self.tokens

    @property
    def task(self) -> Task | None:
        """The task that a fixture was trained on; None for a general language model."""
        return as_task(str(self.card["task"])) if self.card and "task" in self.card else None

    @property
    def split(self) -> Split | None:
        """The train/test split of its training, from the card. For an adapter, of the adapter's
        training: the base model's training data are unknown."""
        data = (self.card or {}).get("data")
        told = data.get("held_out") if isinstance(data, Mapping) else None
        if not isinstance(told, Mapping) or set(told) != {"test", "validation", "seed"}:
            return None
        return Split(**told)

    def held_out(
        self, n: int, *, task: Task | str | None = None, seed: int = 0, full_width: bool = False
    ) -> Problems:
        """At most `n` distinct problems of `split`'s test part, uniform over its task, or over
        another task: a pair of numbers is held out of every task. With `full_width` none has a
        leading zero, as in the published multiplications.

        Raises InputError if the card gives no split, or the test part is empty.
        """
        chosen = self.task if task is None else as_task(task)
        if self.split is None or chosen is None:
            raise InputError(
                f"nobody wrote down what {self.name} was trained on: it has no card of this "
                "trainer. Draw from the whole task: interp.task('add:2').sample(512, seed=0)"
            )
        return self.split.sample(chosen, "test", n, seed, full_width=full_width)

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats that this model reads, the default first."""
        if self.card and "format" in self.card:
            return (str(self.card["format"]),)
        return SMOLLM2_FORMATS if self.name == SMOLLM2 else LLM_FORMATS

    def prompts(
        self, problems: Problems, *, format: str | None = None, answer: Answer = "true"
    ) -> PromptBatch:
        """Write `problems` in a format and find the position of every digit.

        `answer` is "true" (teacher-forced with the right answer), "none" (the bare question) or an
        array of digits [n, answer_digits], least significant first, to force another answer.

        The last answer token is predicted and not read, so it needs no place in the context. A
        model without a causal mask reads the question alone, and answers with one token.

        Raises InputError for an empty sample, a format that cannot write this task, a text longer
        than the context and, without a causal mask, questions of several lengths or answers of
        several tokens; RoleError where digits can't be found among the tokens.
        """
        name = format or self.formats[0]
        writer = formats.format(name)
        written = writer.render(problems, answer=answer)
        encoded = self.tokens.encode(written)
        context = self._context(encoded, written)
        return PromptBatch.build(
            self.id, problems, name, [w.text for w in written], encoded, context
        )

    def _context(self, encoded: Encoded, written: Sequence[Written]) -> int:
        """Number of positions that the model reads of these prompts; errors as in `prompts`."""
        if not self.adapter.causal:
            self._check_questions(encoded)
        asked, answered = encoded.prompt_lengths, encoded.lengths > encoded.prompt_lengths
        reads = encoded.lengths - answered
        if reads.max() > self.shape.n_ctx:
            worst = written[int(reads.argmax())].text
            raise InputError(
                f"a prompt of {reads.max()} tokens does not fit the context of {self.name} "
                f"({self.shape.n_ctx}): {worst[:60]!r}. Use shorter operands, or fewer shots."
            )
        return self.shape.n_ctx if self.adapter.causal else int(asked.max())

    def _check_questions(self, encoded: Encoded) -> None:
        if len(set(encoded.prompt_lengths.tolist())) > 1:
            raise InputError(no_padding(self.name))
        longest = int((encoded.lengths - encoded.prompt_lengths).max())
        if longest > 1:
            raise InputError(
                f"{self.name} has no causal mask, so it is read at the last token of the question "
                f"alone, and this answer has {longest} tokens. Ask a format whose answer is one "
                f"token, or make bare questions: answer='none'."
            )

    def room(self, length: int) -> int:
        """Number of tokens that fit behind a prompt of `length` tokens: the last one is not read.
        Without a causal mask it is one."""
        room = max(self.shape.n_ctx - length + 1, 0)
        return room if self.adapter.causal else min(room, 1)

    def starting_with(self, text: str) -> Model:
        """The same model with prompts that start with `text`: its BOS token, a line break, '' for
        none.

        Shares weights, lock and hash with this one. To make it permanent, save a tokenizer that
        adds the token itself. Raises InputError if the tokenizer has no token for `text`.
        """
        return replace(self, tokens=self.tokens.starting_with(text))

    def tokenisation(self, problems: Problems, *, format: str | None = None) -> TokenisationReport:
        """Report how the tokenizer splits the numbers of `problems`."""
        made = {"problems": problems_call(problems)}
        return report(self.tokens, self.prompts(problems, format=format), made)

    def require_site(self, site: str) -> None:
        """Raise SiteError if `site` does not exist here or the self-check rejected it."""
        self.adapter.require_site(site)
        if site in self.unusable:
            raise SiteError(
                f"site {site!r} of {self.name} is unusable: {self.unusable[site]} "
                f"Use one of: {', '.join(self.usable_sites)}."
            )

    @property
    def usable_sites(self) -> tuple[str, ...]:
        return tuple(site for site in self.adapter.sites if site not in self.unusable)

    @property
    def n_parameters(self) -> int:
        """Number of weights, tied ones counted once; for an adapter, the base model's."""
        return self.adapter.n_parameters

    def __repr__(self) -> str:
        s = self.shape
        return (
            f"Model({self.name!r}, {self.family}, {s.n_layers} layers × {s.n_heads} heads, "
            f"d_model {s.d_model}, {str(self.dtype).removeprefix('torch.')} on {self.device}, "
            f"{'' if self.adapter.causal else 'no causal mask, '}"
            f"{'' if self.adapter.unit_rows else 'attention rows do not sum to 1, '}"
            f"hash {self.hash[:12]})"
        )

    def pieces(self, ids: Sequence[int] | npt.NDArray[np.int64]) -> list[str]:
        """The text of each token id."""
        return self.tokens.pieces([int(i) for i in ids])
