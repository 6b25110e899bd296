"""Problems as tensors: tokens, mask of learnt tokens, and digit positions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interp.arithmetic.formats import format
from interp.arithmetic.formats.layout import Spans
from interp.arithmetic.problems import Problems
from interp.arithmetic.tasks import Task


@dataclass(frozen=True)
class Rows:
    """`n` written problems of `T` tokens, padded on the right.

    tokens   int64 [n, T]
    learnt   bool  [n, T], mask of the tokens in the loss; never the first one
    digits   int64 [n, D], position of each answer role's token; -1 where a row has none
    roles    the D answer roles: c0, c1, …, and `sign` if the format writes one
    """

    problems: Problems
    tokens: Tensor
    learnt: Tensor
    digits: Tensor
    roles: tuple[str, ...]

    @property
    def start(self) -> int:
        """The first position with needed logits: the one before the first learnt token."""
        return int(self.learnt.any(0).nonzero()[0]) - 1


class _Layout(NamedTuple):
    """Positions of the T tokens in the text of one written form, the same for all its problems."""

    characters: NDArray[np.intp]  # [T] first character of each token; -1 for <bos>
    ids: NDArray[np.int64]  # [T] of the example text
    fixed: NDArray[np.bool_]  # [T] constant over problems: <bos>, and signs such as ####
    roles: dict[str, int]  # answer role → token
    answer_start: int  # first token of the answer
    question_end: int  # first token behind the question: a chain's, or the answer's


class Encoder:
    """Writes problems in a format and turns them into token ids.

    With one token a digit, ids are looked up by character for all rows at once, which is faster
    than the tokenizer.
    """

    def __init__(self, tokenizer: Any, task: Task, format_name: str) -> None:
        self.tokenizer = tokenizer
        self.format = format(format_name)
        self._layouts: dict[Spans, _Layout] = {}
        vocabulary = tokenizer.get_vocab()
        self._digit_a_token = all(len(word) == 1 for word in vocabulary if word.isdigit())
        self._by_character = np.full(128, tokenizer.unk_token_id, dtype=np.int64)
        for word, token in vocabulary.items():
            if len(word) == 1:
                self._by_character[ord(word)] = token
        self.roles = self._answer_roles(task)
        self._last: tuple[Problems, bool, Rows] | None = None

    def __call__(self, problems: Problems, *, thoughts: bool = False) -> Rows:
        """The rows of some problems. With `thoughts` all behind the question is learnt: the chain
        of thought, or the scratchpad with its template text.

        The rows of the last object are cached, so a run over a whole grid encodes it once.
        """
        last = self._last
        if last is None or last[0] is not problems or last[1] != thoughts:
            last = self._last = (problems, thoughts, self._encode(problems, thoughts))
        return last[2]

    def _encode(self, problems: Problems, thoughts: bool) -> Rows:
        groups: dict[Spans, list[tuple[int, str]]] = {}
        for row, one in enumerate(self.format.render(problems)):
            groups.setdefault(one.spans, []).append((row, one.text))
        layouts = [
            self._layout(spans, group[0][1], problems[[group[0][0]]])
            for spans, group in groups.items()
        ]
        n, width = len(problems), max(len(layout.ids) for layout in layouts)
        tokens = np.full((n, width), self.tokenizer.pad_token_id, dtype=np.int64)
        learnt = np.zeros((n, width), dtype=bool)
        digits = np.full((n, len(self.roles)), -1, dtype=np.int64)
        for group, layout in zip(groups.values(), layouts, strict=True):
            rows, texts = zip(*group, strict=True)
            index, length = list(rows), len(layout.ids)
            tokens[index, :length] = self._ids(texts, layout)
            learnt[index, layout.question_end if thoughts else layout.answer_start : length] = True
            digits[index] = [layout.roles.get(role, -1) for role in self.roles]
        as_tensor = torch.from_numpy
        return Rows(problems, as_tensor(tokens), as_tensor(learnt), as_tensor(digits), self.roles)

    def _ids(self, texts: Sequence[str], layout: _Layout) -> NDArray[np.int64]:
        if not self._digit_a_token:
            return np.array(self.tokenizer(list(texts))["input_ids"], dtype=np.int64)
        page = np.frombuffer("".join(texts).encode("ascii"), dtype=np.uint8)
        codes = page.reshape(len(texts), -1)[:, layout.characters]
        return np.where(layout.fixed, layout.ids, self._by_character[codes])

    def _layout(self, spans: Spans, text: str, problem: Problems) -> _Layout:
        if spans not in self._layouts:
            question = self.format.render(problem, answer="none")[0].text
            self._layouts[spans] = _lay_out(self.tokenizer, spans, text, len(question))
        return self._layouts[spans]

    def _answer_roles(self, task: Task) -> tuple[str, ...]:
        problems = task.sample(256, seed=0)
        found = {
            role
            for row, one in enumerate(self.format.render(problems))
            for role in self._layout(one.spans, one.text, problems[[row]]).roles
        }
        return tuple(sorted(found, key=lambda role: (role == "sign", len(role), role)))


def _lay_out(tokenizer: Any, spans: Spans, text: str, question: int) -> _Layout:
    encoded = tokenizer(text, return_offsets_mapping=True)
    ids, offsets = np.array(encoded["input_ids"]), encoded["offset_mapping"]
    special = np.array([start == stop for start, stop in offsets])
    roles = [
        [role for role, low, high in spans if low < stop and start < high]
        for start, stop in offsets
    ]
    answers = {_role(names): at for at, names in enumerate(roles) if _is_answer(names)}
    behind = [at for at, (start, stop) in enumerate(offsets) if stop > start >= question]
    return _Layout(
        characters=np.where(special, -1, [start for start, _ in offsets]),
        ids=ids,
        fixed=special | np.array([stop - start > 1 for start, stop in offsets]),
        roles=answers,
        answer_start=min(answers.values()),
        question_end=behind[0],
    )


def _is_answer(names: Sequence[str]) -> bool:
    return any(role == "sign" or (role[0] == "c" and role[1:].isdigit()) for role in names)


def _role(names: Sequence[str]) -> str:
    """The role of a token: its digit's role, or `c[0:3]` for a token of several digits."""
    if len(names) == 1:
        return names[0]
    columns = [int(role[1:]) for role in names]
    return f"c[{min(columns)}:{max(columns) + 1}]"
