"""Decode generated token ids by a rule that is checked by round trips first.

    text   →   encode   →   ids   →   rule   →   text again, or the rule is not used

A tokenizer's own `decode` is the first rule tried. It may put blanks between tokens (a WordLevel
one without a decoder), drop them ("clean up"), or leave marks of the vocabulary in ("Ġ7"); then
"46" decodes to "4 6", and a right answer would be read as 4. The other rules concatenate the
tokens' vocabulary entries. If none round-trips the texts, each token's slice of text is learnt; if
that fails too, answers are unreadable and ModelError is raised.

A token without text (end of text, padding, unknown, or one that the tokenizer lacks) ends the text:
`4<pad>6` is not 46.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import decoders

from interp.errors import ModelError

UNSPELT = "⁇"  # a token of unknown text; no format reads it
SAMPLE = 32  # number of checked texts
_PROBES = ("0123456789", "12+34=46", " 7 + 8 = 15", "1 2 3", "90\n8", "-5", ", 6. 7")
_METASPACE = "▁"

Rule = Callable[[Any, list[int]], str]
Known = dict[int, str]


def _decoded(tokenizer: Any, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=True))


def _one_by_one(tokenizer: Any, ids: list[int]) -> str:
    return "".join(str(tokenizer.decode([i])) for i in ids)


def _entries(tokenizer: Any, ids: list[int]) -> str:
    return "".join(tokenizer.convert_ids_to_tokens(ids))


def _bytes(tokenizer: Any, ids: list[int]) -> str:
    return str(decoders.ByteLevel().decode(tokenizer.convert_ids_to_tokens(ids)))


def _metaspace(tokenizer: Any, ids: list[int]) -> str:
    return _entries(tokenizer, ids).replace(_METASPACE, " ")


def _affixes(tokenizer: Any, ids: list[int]) -> str:
    """Entries without the marks of a word's middle ("##4") or end ("4</w>")."""
    model = tokenizer.backend_tokenizer.model
    before = getattr(model, "continuing_subword_prefix", None) or ""
    behind = getattr(model, "end_of_word_suffix", None) or ""
    entries = tokenizer.convert_ids_to_tokens(ids)
    return "".join(entry.removeprefix(before).removesuffix(behind) for entry in entries)


RULES: dict[str, Rule] = {
    "decode": _decoded,
    "decode one by one": _one_by_one,
    "vocabulary": _entries,
    "byte-level vocabulary": _bytes,
    "metaspace vocabulary": _metaspace,
    "vocabulary without affixes": _affixes,
}


@dataclass(frozen=True)
class _Sample:
    """A text, its ids, and the slice of text that each id covers."""

    text: str
    ids: list[int]
    slices: list[str]

    def given_back(self, text: str) -> bool:
        """True if `text` equals this text, or the part of it that its tokens cover: a tokenizer may
        drop blanks. Ignores case and blanks at both ends, not blanks inside."""
        mine = (self.text, "".join(self.slices))
        return text.strip().casefold() in [one.strip().casefold() for one in mine]


@dataclass(frozen=True)
class Spelling:
    """Decoding rule: `text` of generated ids, `pieces` of single tokens.

    rule    the name of the rule, one of RULES or "learnt"
    silent  ids without text
    known   the learnt text of tokens, if the rule is "learnt"
    """

    tokenizer: Any
    rule: str
    silent: frozenset[int]
    known: Known

    @classmethod
    def checked(
        cls, tokenizer: Any, answers: Sequence[str], texts: Sequence[str] = (), name: str = "it"
    ) -> Spelling:
        """A rule that round-trips all `answers`: `decode` if it does, else the rule that also
        round-trips the most of `texts` and of some sums. If no answer has two tokens, a blank
        between tokens cannot show, and `texts` must round-trip instead.

        Raises ModelError, quoting a text and its decoding, if there is none.
        """
        must, more = _samples(tokenizer, answers), _samples(tokenizer, texts)
        if all(len(sample.ids) < 2 for sample in must):
            must, more = must + more, []
        more += _samples(tokenizer, _PROBES)
        silent = _silent(tokenizer, must + more)
        passed = {
            rule: sum(_gives_back(tokenizer, rule, {}, sample) for sample in more)
            for rule in RULES
            if all(_gives_back(tokenizer, rule, {}, sample) for sample in must)
        }
        if must and "decode" in passed:
            return cls(tokenizer, "decode", silent, {})
        if passed:
            return cls(tokenizer, max(passed, key=lambda rule: passed[rule]), silent, {})
        known = _learnt(must + more)
        if not all(_gives_back(tokenizer, "learnt", known, sample) for sample in must):
            raise ModelError(_refusal(tokenizer, must, name))
        return cls(tokenizer, "learnt", silent, known)

    def text(self, ids: Sequence[int]) -> str:
        """The generated text, from the first token with text to the next one without."""
        kept: list[int] = []
        for one in ids:
            if not self._silent(one):
                kept.append(one)
            elif kept:
                break
        return _spelt(self.tokenizer, self.rule, self.known, kept)

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The text of each single token; special tokens have their names."""
        return [self._piece(one) for one in ids]

    def _piece(self, one: int) -> str:
        if self.rule == "decode" or self._silent(one):
            return str(self.tokenizer.decode([one]))
        return _spelt(self.tokenizer, self.rule, self.known, [one])

    def _silent(self, one: int) -> bool:
        return one in self.silent or not self.tokenizer.convert_ids_to_tokens([one])[0]


def _spelt(tokenizer: Any, rule: str, known: Known, ids: list[int]) -> str:
    if rule == "learnt":
        return "".join(known.get(one, UNSPELT) for one in ids)
    return RULES[rule](tokenizer, ids)


def _gives_back(tokenizer: Any, rule: str, known: Known, sample: _Sample) -> bool:
    spelt = _spelt(tokenizer, rule, known, sample.ids)
    return sample.given_back(spelt)


def _samples(tokenizer: Any, texts: Sequence[str]) -> list[_Sample]:
    """At most SAMPLE of the texts that the tokenizer can encode."""
    texts = list(dict.fromkeys(text for text in texts if text))
    texts = texts[:: -(-len(texts) // SAMPLE) or 1]
    if not texts:
        return []
    out = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
    samples = []
    for text, ids, spans in zip(texts, out["input_ids"], out["offset_mapping"], strict=True):
        if ids and tokenizer.unk_token_id not in ids:
            samples.append(_Sample(text, list(ids), _slices(text, spans)))
    return samples


def _slices(text: str, spans: Sequence[tuple[int, int]]) -> list[str]:
    """The text of each span; an overlap belongs to the later token."""
    starts = [start for start, _ in spans]
    ends = [
        max(start, min(end, *starts[i + 1 :], len(text))) for i, (start, end) in enumerate(spans)
    ]
    return [text[start:end] for start, end in zip(starts, ends, strict=True)]


def _silent(tokenizer: Any, samples: Sequence[_Sample]) -> frozenset[int]:
    """Special tokens that occur in no text."""
    spoken = {one for sample in samples for one in sample.ids}
    return frozenset(int(one) for one in tokenizer.all_special_ids if one not in spoken)


def _learnt(samples: Sequence[_Sample]) -> Known:
    """The slice of each token that always covers the same text, up to case and leading blanks."""
    found: dict[int, set[str]] = {}
    for sample in samples:
        for one, piece in zip(sample.ids, sample.slices, strict=True):
            found.setdefault(one, set()).add(piece)
    return {
        one: max(pieces, key=len)
        for one, pieces in found.items()
        if len({piece.lstrip().casefold() for piece in pieces}) == 1
    }


def _refusal(tokenizer: Any, samples: Sequence[_Sample], name: str) -> str:
    sample = next(s for s in samples if not _gives_back(tokenizer, "decode", {}, s))
    return (
        f"what {name} writes cannot be read: its tokenizer turns {sample.text[-40:]!r} into tokens "
        f"that say {_decoded(tokenizer, sample.ids)[-40:]!r}. Save the tokenizer with the decoder "
        f'that belongs to it (tokenizer.json, "decoder"), or have token ids compared: '
        f'accuracy(…, mode="forced").'
    )
