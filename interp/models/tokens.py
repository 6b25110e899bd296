"""Roles of tokens, from the roles of their characters, for any tokenizer.

One token may hold one digit (`a2`), several (`a[0:3]`, low to high, exclusive end), or template
text (`op`, `eq`, `x0`; further tokens of the same piece of text are `x0.1`, `x0.2`, …). Blanks are
neutral: a token " 7" has the role of its digit, and the single blank that some tokenizers put
before a text is template text, `x`. A token that mixes a digit with other text has no valid role
and raises.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from interp.arithmetic.formats.layout import Written
from interp.errors import InputError, ModelError, RoleError
from interp.models.spelling import Spelling

_DIGIT = re.compile(r"([a-rvwyz])(\d+)")
_SPOKEN = ("eq", "op", "sign", "eos")  # precedence of names for a mixed template token
Layout = tuple[str, ...]  # the role of each token of one row
_Spans = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Encoded:
    """Right-padded token ids with the role of every token."""

    ids: npt.NDArray[np.int64]  # [n, longest]
    lengths: npt.NDArray[np.int64]  # [n]
    prompt_lengths: npt.NDArray[np.int64]  # [n], tokens before the answer
    layouts: tuple[Layout, ...]  # the distinct ones
    layout_of: npt.NDArray[np.int64]  # [n], index into layouts
    joined: npt.NDArray[np.bool_]  # [n], False where prompt and answer were tokenised separately


class Tokens:
    """A tokenizer with roles for the tokens of problems.

    `bos`: ids that the tokenizer itself puts before a text (often none), found by encoding one.
    `start`: the text that `starting_with` put there instead, else None. `d_vocab`: the number of
    tokens that the model reads, if known; `d_vocab_out`: that it writes, by default the same.
    """

    def __init__(
        self, tokenizer: Any, d_vocab: int | None = None, d_vocab_out: int | None = None
    ) -> None:
        self.tokenizer = tokenizer
        self.d_vocab = d_vocab
        self.d_vocab_out = d_vocab if d_vocab_out is None else d_vocab_out
        with_special = list(tokenizer("1", add_special_tokens=True)["input_ids"])
        plain = list(tokenizer("1", add_special_tokens=False)["input_ids"])
        start = next(
            (
                i
                for i in range(len(with_special) - len(plain) + 1)
                if with_special[i : i + len(plain)] == plain
            ),
            0,
        )
        self.bos: tuple[int, ...] = tuple(with_special[:start])
        self.start: str | None = None
        pad = tokenizer.pad_token_id
        self.pad: int = int(pad if pad is not None else (tokenizer.eos_token_id or 0))
        if d_vocab is not None and self.pad >= d_vocab:  # a pad token without an embedding
            self.pad = 0

    def starting_with(self, text: str) -> Tokens:
        """The same tokenizer with the tokens of `text` before every prompt.

        Raises InputError for a text without tokens in its vocabulary.
        """
        ids = list(self.tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []
        if self.tokenizer.unk_token_id is not None and self.tokenizer.unk_token_id in ids:
            raise InputError(
                f"the tokenizer has no token for {text!r}, so no prompt can begin with it."
            )
        other = copy.copy(self)
        other.bos, other.start = tuple(ids), text
        return other

    def spelling(
        self, answers: Sequence[str], texts: Sequence[str] = (), name: str = "this model"
    ) -> Spelling:
        """Decoding rule, checked on answers and whole texts (`Spelling.checked`).

        Raises ModelError if no rule round-trips them.
        """
        return Spelling.checked(self.tokenizer, answers, texts, name)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of these tokens, for display."""
        return self._usual.text([int(i) for i in ids])

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The text of each single token, for display."""
        return self._usual.pieces([int(i) for i in ids])

    @cached_property
    def _usual(self) -> Spelling:
        """The decoding rule that round-trips the most of some fixed sums."""
        return Spelling.checked(self.tokenizer, ())

    def encode(self, written: Sequence[Written]) -> Encoded:
        """Tokenise prompt and answer; the prompt's tokens equal those of the prompt alone.

        A generating model sees the prompt's tokens alone; if the tokenizer would merge across the
        border to the answer, the two are tokenised separately and the row is marked.

        Raises RoleError for an unknown character and for a token that mixes digits with other text;
        ModelError for a token that the model does not know.
        """
        rows = self._ids_and_spans(written)
        cache: dict[tuple[Any, ...], int] = {}
        layouts: list[Layout] = []
        layout_of = np.empty(len(rows), dtype=np.int64)
        for i, (row, text) in enumerate(zip(rows, written, strict=True)):
            key = (text.spans, row.spans)
            if key not in cache:
                layouts.append(self._layout(text, row))
                cache[key] = len(layouts) - 1
            layout_of[i] = cache[key]
        self._check_known(rows)
        lengths = np.array([len(row.ids) for row in rows], dtype=np.int64)
        ids = np.full((len(rows), int(lengths.max(initial=1))), self.pad, dtype=np.int64)
        for i, row in enumerate(rows):
            ids[i, : len(row.ids)] = row.ids
        return Encoded(
            ids,
            lengths,
            np.array([row.prompt for row in rows], dtype=np.int64),
            tuple(layouts),
            layout_of,
            np.array([row.joined for row in rows], dtype=bool),
        )

    def _ids_and_spans(self, written: Sequence[Written]) -> list[_Row]:
        prompts = self._tokenise([w.text[: w.answer_start] for w in written])
        answers = [w.text[w.answer_start :] for w in written]
        if not any(answers):
            return [self._row(p, ([], []), 0, True) for p in prompts]
        wholes = self._tokenise([w.text for w in written])
        aparts = None
        rows = []
        for i, (w, prompt, whole) in enumerate(zip(written, prompts, wholes, strict=True)):
            n = len(prompt[0])
            if whole[0][:n] == prompt[0]:
                rest = (whole[0][n:], [(s, e) for s, e in whole[1][n:]])
                rows.append(self._row(prompt, rest, 0, True))
                continue
            if aparts is None:
                aparts = [_without_lone_blank(*pair) for pair in self._tokenise(answers)]
            rows.append(self._row(prompt, aparts[i], w.answer_start, False))
        return rows

    def _tokenise(self, texts: list[str]) -> list[tuple[list[int], list[tuple[int, int]]]]:
        out = self.tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
        unknown = self.tokenizer.unk_token_id
        if unknown is not None:
            for text, ids, spans in zip(
                texts, out["input_ids"], out["offset_mapping"], strict=True
            ):
                if unknown in ids:
                    start, stop = spans[ids.index(unknown)]
                    raise RoleError(
                        f"the tokenizer does not know {text[start:stop]!r} in {text!r}. Choose a "
                        f"format this model was trained on (format=)."
                    )
        return [
            (ids, self._spans(ids, spans))
            for ids, spans in zip(out["input_ids"], out["offset_mapping"], strict=True)
        ]

    def _check_known(self, rows: Sequence[_Row]) -> None:
        """Raise ModelError unless the model reads every token but the answer's last, and writes
        every token of the answer."""
        for does, size, parts in (
            ("reads", self.d_vocab, [row.ids[: max(row.prompt, len(row.ids) - 1)] for row in rows]),
            ("writes", self.d_vocab_out, [row.ids[row.prompt :] for row in rows]),
        ):
            largest = max((max(part, default=0) for part in parts), default=0)
            if size is not None and largest >= size:
                raise ModelError(
                    f"the tokenizer writes {self.tokenizer.decode([largest])!r} as token "
                    f"{largest}, but the model {does} {size} tokens: they are not from the same "
                    f"model. Save the tokenizer that the model was trained with beside its weights."
                )

    def _spans(self, ids: list[int], spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Character spans of the tokens. A blank that the tokenizer puts before every text claims
        the next token's first character: it gets an empty span."""
        shared = len(spans) > 1 and spans[0][0] == spans[1][0]
        if shared and not self.pieces(ids[:1])[0].strip():
            return [(spans[0][0], spans[0][0]), *spans[1:]]
        return spans

    def _row(
        self,
        prompt: tuple[list[int], _Spans],
        answer: tuple[list[int], _Spans],
        shift: int,
        joined: bool,
    ) -> _Row:
        spans = [*prompt[1], *((s + shift, e + shift) for s, e in answer[1])]
        ids = [*self.bos, *prompt[0], *answer[0]]
        return _Row(ids, tuple(spans), len(self.bos) + len(prompt[0]), joined)

    def _layout(self, written: Written, row: _Row) -> Layout:
        roles = ["bos" if i == 0 else f"bos.{i}" for i in range(len(self.bos))]
        used: dict[str, int] = {}
        owner = _character_roles(written)
        for token, (start, stop) in zip(row.ids[len(self.bos) :], row.spans, strict=True):
            role = _token_role(written.text, owner, start, stop)
            if _DIGIT.fullmatch(role) or "[" in role:
                self._check_digits(token, written.text[start:stop], role)
            elif role in used:
                used[role] += 1
                role = f"{role}.{used[role]}"
            else:
                used[role] = 0
            if role in roles:
                raise RoleError(
                    f"two tokens of {written.text!r} hold the same digit {role!r}: this tokenizer "
                    f"splits a digit. Use a tokenizer with whole digits."
                )
            roles.append(role)
        _check_all_found(written, roles)
        return tuple(roles)

    def _check_digits(self, token: int, text: str, role: str) -> None:
        piece = self.pieces([token])[0].strip()
        if piece != text.strip():
            raise RoleError(
                f"the token for {role} should read {text.strip()!r} but decodes to {piece!r}. This "
                f"tokenizer rewrites numbers; digits can't be found in its prompts."
            )


@dataclass(frozen=True)
class _Row:
    ids: list[int]
    spans: tuple[tuple[int, int], ...]  # character span of each token after bos
    prompt: int
    joined: bool


def _without_lone_blank(
    ids: list[int], spans: list[tuple[int, int]]
) -> tuple[list[int], list[tuple[int, int]]]:
    """Drop the tokenizer's leading blank from a separately tokenised answer, which is mid-text."""
    lone = bool(spans) and spans[0][0] == spans[0][1]
    return (ids[1:], spans[1:]) if lone else (ids, spans)


def _character_roles(written: Written) -> list[str]:
    owner = [""] * len(written.text)
    for role, start, stop in written.spans:
        for i in range(start, stop):
            owner[i] = role
    return owner


def _token_role(text: str, owner: list[str], start: int, stop: int) -> str:
    """The role of the token over characters [start, stop); RoleError if it has no valid one."""
    solid = [i for i in range(start, stop) if not text[i].isspace()] or list(range(start, stop))
    roles = list(dict.fromkeys(owner[i] for i in solid)) or ["x"]
    digits = [match for role in roles if (match := _DIGIT.fullmatch(role))]
    if not digits:
        return next((r for name in _SPOKEN for r in roles if r.startswith(name)), roles[0])
    letters = {match[1] for match in digits}
    if len(digits) < len(roles) or len(letters) > 1:
        raise RoleError(
            f"the token {text[start:stop]!r} of {text!r} mixes {' and '.join(roles)}, so its "
            f"digits have no position of their own. Choose a format that separates them (format=)."
        )
    places = sorted(int(match[2]) for match in digits)
    letter = letters.pop()
    if len(places) == 1:
        return f"{letter}{places[0]}"
    return f"{letter}[{places[0]}:{places[-1] + 1}]"


def digits_in(role: str) -> tuple[str, range] | None:
    """('a', range(0, 3)) for `a[0:3]`, ('c', range(2, 3)) for `c2`, None for any other role."""
    if match := _DIGIT.fullmatch(role):
        return match[1], range(int(match[2]), int(match[2]) + 1)
    if match := re.fullmatch(r"([a-rvwyz])\[(\d+):(\d+)\]", role):
        return match[1], range(int(match[2]), int(match[3]))
    return None


def _check_all_found(written: Written, roles: Sequence[str]) -> None:
    found = {f"{d[0]}{i}" for role in roles if (d := digits_in(role)) for i in d[1]}
    wanted = {role for role, _, _ in written.spans if _DIGIT.fullmatch(role)}
    if missing := sorted(wanted - found):
        raise RoleError(
            f"the digits {', '.join(missing)} of {written.text!r} can't be found among its tokens. "
            f"This tokenizer hides them; choose another format (format=)."
        )
