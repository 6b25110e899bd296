"""What a model wrote, from its token ids: with and without a decoder, blanks, merges, bytes."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

import interp
from interp.arithmetic import formats
from interp.behaviour import (
    accuracy,
    approximation,
    cookbook,
    doctor,
    error_taxonomy,
    explain_errors,
    search_prompts,
)
from interp.engine import answers
from interp.errors import InputError, ModelError
from interp.models.fixtures import fixtures_root
from interp.models.spelling import UNSPELT, Spelling
from interp.models.tokens import Tokens
from tests import tiny
from tests.behaviour.saying import right, saying

SIGNS = "+-*=?:#|.,()"
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
PACKED = [f"{i:0{k}d}" for k in (2, 3) for i in range(10**k)]


def words(pattern: str, lead: bool, decoder: Any) -> PreTrainedTokenizerFast:
    """WordLevel over pieces of text; `lead` puts the blank in front of a number into its token."""
    digits = [*"0123456789", *(PACKED if "{" in pattern else [])]
    pieces = [*digits, *([f" {d}" for d in digits] if lead else []), *SIGNS, *LETTERS, " ", "\n"]
    vocabulary = {piece: i for i, piece in enumerate(["<pad>", "<unk>", *pieces])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    number = (" ?" if lead else "") + pattern
    core.pre_tokenizer = pre_tokenizers.Split(Regex(f"(?m:{number}|.)"), "isolated")
    core.decoder = decoder
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", unk_token="<unk>")


def merged(alphabet: str, decoder: bool) -> PreTrainedTokenizerFast:
    """BPE of bytes ("Ġ7") or of metaspaces ("▁7") that merges blanks with digits, and digits."""
    blank = "Ġ" if alphabet == "bytes" else "▁"
    pairs = [(blank, d) for d in "0123456789"] + [(a, b) for a in "123" for b in "0123456789"]
    base = sorted(pre_tokenizers.ByteLevel.alphabet()) if blank == "Ġ" else [
        *"0123456789", *SIGNS, *LETTERS, "\n", blank,
    ]  # fmt: skip
    pieces = ["<pad>", *base, *(a + b for a, b in pairs)]
    core = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, pairs))
    if blank == "Ġ":
        core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        own: Any = decoders.ByteLevel()
    else:
        core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
        own = decoders.Metaspace(prepend_scheme="never")
    if decoder:
        core.decoder = own
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>")


def every() -> dict[str, PreTrainedTokenizerFast]:
    made = {
        f"words {pattern} {lead} {name}": words(pattern, lead, decoder)
        for pattern in ("[0-9]", "[0-9]{1,3}")
        for lead in (False, True)
        for name, decoder in (("none", None), ("fuse", decoders.Fuse()),
                              ("WordPiece", decoders.WordPiece()))
    }  # fmt: skip
    for alphabet in ("bytes", "metaspace"):
        made |= {f"merged {alphabet} {has}": merged(alphabet, has) for has in (True, False)}
    return made


TOKENIZERS = every()


@settings(max_examples=120)
@given(
    st.sampled_from(sorted(TOKENIZERS)),
    st.sampled_from(["plain", "padded", "reversed", "qa-short", "calculate@2:0"]),
    st.integers(0, 10**6),
)
def test_right_and_wrong_answers_are_read_as_they_are(name: str, style: str, seed: int) -> None:
    tokenizer, form = TOKENIZERS[name], formats.format(style)
    task = interp.task("add:4")
    problems = task.sample(12, seed=seed)
    told = [written.text for written in form.render(problems)]
    asked = [written.text for written in form.render(problems, answer="none")]
    pairs = list(zip(told, asked, strict=True))
    spelling = Tokens(tokenizer).spelling([text[len(q) :] for text, q in pairs], told)
    others = task.sample(12, seed=seed + 1)  # answers that the check never saw
    texts = [text[len(q) :] for text, q in zip(
        (w.text for w in form.render(others)),
        (w.text for w in form.render(others, answer="none")), strict=True)]  # fmt: skip
    for text, value in zip(texts, others.answers(), strict=True):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert spelling.text([*ids, tokenizer.pad_token_id]).strip() == text.strip()
        assert form.read_answer(spelling.text(ids), task).value == value


def test_decode_is_used_only_where_it_gives_the_text_back() -> None:
    texts = ["123", "46"]
    rules = {name: Tokens(t).spelling(texts, ["80+43=123"]).rule for name, t in TOKENIZERS.items()}
    assert rules["words [0-9] False fuse"] == "decode"
    assert rules["merged bytes True"] == "decode"
    assert rules["words [0-9] False none"] == "decode one by one"
    assert rules["merged bytes False"] == "byte-level vocabulary"
    assert rules["merged metaspace False"] == "metaspace vocabulary"


def test_pieces_have_no_marks_of_the_vocabulary() -> None:
    for name in ("merged bytes False", "merged bytes True"):
        tokenizer = TOKENIZERS[name]
        ids = tokenizer(" 7+12", add_special_tokens=False)["input_ids"]
        assert Tokens(tokenizer).pieces(ids) == [" 7", "+", "12"]


def test_a_token_without_a_text_ends_the_answer() -> None:
    tokenizer = TOKENIZERS["words [0-9] False fuse"]
    spelling = Tokens(tokenizer).spelling(["123", "46"])
    four, six = tokenizer("46", add_special_tokens=False)["input_ids"]
    for silent in (tokenizer.pad_token_id, tokenizer.unk_token_id, 10**6):
        assert spelling.text([silent, four, silent, six]) == "4"
    assert spelling.text([four, six]) == "46"


def named_digits() -> PreTrainedTokenizerFast:
    """A tokenizer whose vocabulary names the digits by words."""
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    vocabulary = {name: i for i, name in enumerate(["<unk>", *names, "+", "="])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    core.normalizer = normalizers.Sequence(
        [normalizers.Replace(str(i), f" {name} ") for i, name in enumerate(names)]
    )
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Split(Regex("[+=]"), "isolated")]
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>")


def test_slices_are_learnt_where_no_rule_gives_the_text_back() -> None:
    tokenizer = named_digits()
    spelling = Tokens(tokenizer).spelling(["46", "123"], ["12+34=46"])
    assert spelling.rule == "learnt"
    ids = tokenizer("8074", add_special_tokens=False)["input_ids"]
    assert spelling.text(ids) == "8074"
    partly = Spelling(tokenizer, "learnt", frozenset(), dict.fromkeys(ids[:1], "8"))
    assert partly.text(ids[:2]) == f"8{UNSPELT}"
    assert (
        formats.format("plain").read_answer(partly.text(ids[:2]), interp.task("add:2")).value
        is None
    )


def test_readable_can_be_false() -> None:
    """Two digits with one token: nothing says which of them a model means."""
    core = Tokenizer(models.WordLevel({"<unk>": 0, "a": 1, "+": 2, "=": 3}, unk_token="<unk>"))
    core.normalizer = normalizers.Replace(Regex("[0-9]"), "a")
    core.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>")
    with pytest.raises(ModelError, match=r'what it writes cannot be read: .*mode="forced"'):
        Tokens(tokenizer).spelling(["46", "23"], ["12+34=46"], "it")


@pytest.fixture(scope="module")
def without_decoder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """`add5` as the tokenizers library saves a character model that nobody gave a decoder."""
    folder = tmp_path_factory.mktemp("models") / "add5"
    shutil.copytree(fixtures_root() / "models" / "add5", folder)
    file = folder / "tokenizer.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"decoder": None}))
    model = interp.load(str(folder))
    assert model.tokens.tokenizer.decode([4, 6]) == "4 6"
    return model


def test_a_perfect_model_without_a_decoder(without_decoder: Any, add5: Any) -> None:
    mine, theirs = (accuracy(m, "add:5", n=100, seed=1) for m in (without_decoder, add5))
    assert mine.metrics == theirs.metrics
    assert mine.metrics["exact_accuracy"] == 1
    assert mine.metrics["unreadable"] == 0
    assert mine.answers.equals(theirs.answers)
    told = doctor(without_decoder, n=60, formats=["padded"], shots=())
    assert "asked rightly" in str(told.conclusion())
    found = search_prompts(without_decoder, "add:5", n=40, styles=["padded"], shots=[0])
    assert found.metrics["exact_accuracy"] == 1
    for analysis in (error_taxonomy, explain_errors):
        with pytest.raises(InputError, match="none of these is wrong"):
            analysis(without_decoder, "add:5", n=40)


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A language model of characters without a decoder."""
    folder = tiny.save("llama", tmp_path_factory.mktemp("talker"))
    file = folder / "tokenizer.json"
    text = file.read_text()
    for letter, sign in (("Z", "$"), ("X", "%"), ("Y", "/")):  # everyday questions hold these
        text = text.replace(f'"{letter}":', f'"{sign}":')
    file.write_text(json.dumps(json.loads(text) | {"decoder": None}))
    config = json.loads((folder / "config.json").read_text()) | {"max_position_embeddings": 400}
    (folder / "config.json").write_text(json.dumps(config))
    return interp.load(str(folder))


def test_what_a_talker_says_is_read(talker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "generate", saying(right, talker))
    assert accuracy(talker, "add:2", n=60, format="plain").metrics["exact_accuracy"] == 1


def test_the_cookbook_without_a_decoder(talker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "generate", saying(lambda batch, row: " 1234", talker))
    found = cookbook(talker, ["add:integer"], lengths=[2], n=30, shots=1)
    assert set(found.answers["read"]) == {"1234"}
    assert found.metrics["unreadable"] == 0
    monkeypatch.setattr(answers, "generate", saying(lambda batch, row: " no", talker))
    found = cookbook(talker, ["add:integer"], lengths=[2], n=30, shots=1)
    assert (found.metrics["unreadable"], found.metrics["never_read"]) == (1, 1)
    assert "No answer could be read in add:integer" in str(found.conclusion())


def test_the_approximation_without_a_decoder(talker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "generate", saying(lambda batch, row: " 12", talker))
    found = approximation(talker, n=12)
    assert (found.answers["answer"] == 12).all()
