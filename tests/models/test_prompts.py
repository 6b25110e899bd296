"""Roles and positions: one digit a token or several, BOS or none, fixed width or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

import interp
from interp.arithmetic import formats
from interp.errors import InputError, RoleError, RowError
from interp.models import Tokens
from tests import tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return interp.load(str(tiny.save("llama", tmp_path_factory.mktemp("one"))))


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return interp.load(
        str(tiny.save("gpt2", tmp_path_factory.mktemp("packed"), pattern="[0-9]{1,3}|."))
    )


def test_positions_of_a_padded_prompt(model: Any) -> None:
    batch = model.prompts(interp.Addition(2).problems([12, 99], [34, 1]), format="padded")
    assert batch.texts == ("12+34=046", "99+01=100")
    want = ["a1", "a0", "op", "b1", "b0", "eq", "c2", "c1", "c0"]
    assert [batch.positions[role] for role in want] == list(range(9))
    assert batch.positions["last"] == 5
    assert batch.predicts("c2") == 5 and batch.predicts("c0") == 7
    assert batch.answer_roles == ("c2", "c1", "c0")
    assert model.pieces(batch.labels("c2").tolist()) == ["0", "1"]
    assert batch.n == 2 and batch.n_distinct == 2


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, 9999), st.integers(0, 9999)), min_size=1, max_size=6),
    st.sampled_from(["plain", "padded", "reversed", "af1-qa", "commas-r2l"]),
)
def test_every_digit_is_where_its_role_says(
    model: Any, pairs: list[tuple[int, int]], format: str
) -> None:
    a, b = [list(column) for column in zip(*pairs, strict=True)]
    batch = model.prompts(interp.Addition(4).problems(a, b), format=format)
    for letter, values in (("a", a), ("b", b), ("c", [x + y for x, y in pairs])):
        for place in range(5):
            role = f"{letter}{place}"
            if role not in batch.roles:
                continue
            for row, where in enumerate(batch.position_array(role)):
                if where >= 0:
                    piece = model.pieces([batch.tokens[row, where]])[0]
                    assert int(piece) == values[row] // 10**place % 10
                else:
                    assert values[row] < 10**place


def test_packed_digits_name_their_span(packed: Any) -> None:
    batch = packed.prompts(interp.Addition(4).problems([1234], [7]), format="plain")
    assert batch.texts == ("1234+7=1241",)
    assert list(batch.layouts[0]) == ["a[1:4]", "a0", "op", "b0", "eq", "c[1:4]", "c0"]
    report = packed.tokenisation(interp.Addition(4).problems([1234, 5], [7, 7]), format="plain")
    assert set(report.packing["pattern"]) == {"3+1", "1", "2"}
    assert report.metrics["max_digits_per_token"] == 3


def test_bos_is_found_and_is_a_role() -> None:
    words = tiny.tokenizer()
    from tokenizers.processors import TemplateProcessing

    words.add_special_tokens({"bos_token": "<s>"})
    bos = words.convert_tokens_to_ids("<s>")
    words.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", bos)]
    )
    tokens = Tokens(words)
    assert tokens.bos == (bos,)
    written = formats.format("padded").render(interp.Addition(1).problems([1], [2]))
    encoded = tokens.encode(written)
    assert encoded.layouts[0][:2] == ("bos", "a0")
    assert encoded.ids[0, 0] == bos and encoded.prompt_lengths[0] == 5


def test_rows_of_different_length(model: Any) -> None:
    batch = model.prompts(interp.Addition(1).problems([3, 7], [4, 5]), format="plain")
    assert batch.texts == ("3+4=7", "7+5=12")
    assert list(batch.positions["c0"]) == [4, 5]
    assert list(batch.positions["c1"]) == [-1, 4]
    assert batch.labels("c1")[0] == -1
    only = batch[[1]]
    assert only.positions["c1"] == 4 and only.texts == ("7+5=12",)


def test_missing_role_lists_what_there_is(model: Any) -> None:
    batch = model.prompts(interp.Addition(2).problems([12], [34]))
    with pytest.raises(RoleError, match=r"role 'a7' is in none of these prompts. They have: a1"):
        batch.predicts("a7")
    with pytest.raises(RoleError, match="is the first token: nothing predicts it"):
        batch.predicts("a1")


def test_bad_prompts(model: Any, packed: Any) -> None:
    problems = interp.Addition(2).problems([12], [34])
    with pytest.raises(InputError, match="the selection leaves none"):
        model.prompts(problems[:0])
    with pytest.raises(InputError, match=r"cannot write 'mul:2x2'|cannot write mul:2x2"):
        model.prompts(interp.Multiplication(2, 2).problems([12], [34]), format="scratchpad")
    wide = interp.Addition(40)
    value = 10**39
    with pytest.raises(InputError, match=r"does not fit the context of .* \(64\)"):
        model.prompts(wide.problems([value], [value]), format="plain")


def test_rows_that_are_not_there(model: Any) -> None:
    batch = model.prompts(interp.Addition(2).problems([1, 2, 3], 4))
    assert [one.texts for one in batch] == [(text,) for text in batch.texts]
    for rows in (3, [0, -4], np.array([True])):
        with pytest.raises(RowError, match="there are 3 prompts"):
            batch[rows]


def test_unknown_character() -> None:
    tokens = Tokens(tiny.tokenizer("0123456789+"))
    written = formats.format("padded").render(interp.Addition(1).problems([1], [2]))
    with pytest.raises(RoleError, match="does not know '='"):
        tokens.encode(written)


def test_token_that_mixes_a_digit_with_text() -> None:
    words: PreTrainedTokenizerFast = tiny.tokenizer(pattern="[+][0-9]{1,3}|.")
    tokens = Tokens(_with_pieces(words, [f"+{i}" for i in range(10)]))
    written = formats.format("padded").render(interp.Addition(1).problems([1], [2]))
    with pytest.raises(RoleError, match=r"token '\+2' .* mixes op and b0"):
        tokens.encode(written)


def _with_pieces(words: PreTrainedTokenizerFast, pieces: list[str]) -> PreTrainedTokenizerFast:
    import json

    from tokenizers import Tokenizer

    core = json.loads(words.backend_tokenizer.to_str())
    for piece in pieces:
        core["model"]["vocab"][piece] = len(core["model"]["vocab"])
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(core)),
        pad_token="<pad>",
        unk_token="<unk>",
    )


def test_prompt_tokens_never_depend_on_the_answer() -> None:
    """Where a tokenizer would merge the last blank with the answer, the two are cut apart."""
    words = _with_pieces(tiny.tokenizer(pattern=" [0-9]|."), [f" {i}" for i in range(10)])
    tokens = Tokens(words)
    problems = interp.Addition(1).problems([1], [2])
    style = formats.format("qa-short")
    full = tokens.encode(style.render(problems))
    prompt = tokens.encode(style.render(problems, answer="none"))
    n = int(prompt.lengths[0])
    assert np.array_equal(full.ids[0, :n], prompt.ids[0, :n])
    assert not full.joined[0]
    assert full.layouts[0][-1] == "c0"
