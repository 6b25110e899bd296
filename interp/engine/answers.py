"""A model's answers: greedy generation, or teacher-forced first choices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from interp.arithmetic import formats
from interp.arithmetic.problems import Problems
from interp.arithmetic.scoring import score
from interp.engine._generate import generate
from interp.engine._run import run
from interp.engine.requests import Resources
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.spelling import Spelling
from interp.models.tokens import digits_in

MARGIN = 3  # tokens beyond the longest right answer, to detect longer ones


@dataclass(frozen=True, eq=False)
class Answered:
    """The model's answer to each problem.

    texts    generated text, cut where it stopped
    exact    bool [n]
    readable bool [n]: a number could be read
    correct  float [n, answer_digits]: 1, 0, or NaN where the prompt lacks the digit
    """

    texts: list[str]
    exact: npt.NDArray[np.bool_]
    readable: npt.NDArray[np.bool_]
    correct: npt.NDArray[np.float64]


def greedy(model: Model, problems: Problems, format: str, resources: Resources) -> Answered:
    """Answers by greedy decoding, read as text."""
    texts = generated_texts(model, problems, format, resources)
    table = score(problems, texts, format)
    digits = [f"correct[{k}]" for k in range(problems.task.answer_digits)]
    return Answered(
        texts,
        table["exact"].to_numpy(bool),
        table["parsed"].to_numpy(bool),
        table[digits].to_numpy(float),
    )


def generated_texts(
    model: Model, problems: Problems, format: str, resources: Resources
) -> list[str]:
    """Greedy continuation of each prompt, up to end-of-text or the end of the line.

    Raises ModelError if the tokenizer does not round-trip the right answers' text, since generated
    text would be unreadable too.
    """
    asked = model.prompts(problems, format=format, answer="none")
    told = model.prompts(problems, format=format, answer="true")
    longest = int((told.lengths - asked.lengths).max())
    if not formats.format(format).fixed_width(problems.task):
        longest += MARGIN
    one_line = not any("\n" in text for text in right_texts(asked, told))
    tokens = generate(
        model,
        asked,
        max_new_tokens=min(longest, model.room(int(asked.lengths.max()))),
        stop_tokens=stops(model, one_line),
        memory=resources.memory,
        cancel=resources.cancel,
        progress=resources.progress,
    )
    spelling = spelling_of(model, asked, told)
    return [spelling.text(row).rstrip("\n") for row in tokens.tolist()]


def right_texts(asked: PromptBatch, told: PromptBatch) -> list[str]:
    """The right answer's text after each question, as the format writes it."""
    pairs = zip(told.texts, asked.texts, strict=True)
    return [whole[len(question) :] for whole, question in pairs]


def spelling_of(model: Model, asked: PromptBatch, told: PromptBatch) -> Spelling:
    """Decoding rule of the model's tokens, checked on the right answers to these questions.

    Raises ModelError if no rule round-trips them: answers are then unreadable.
    """
    return model.tokens.spelling(right_texts(asked, told), told.texts, model.name)


def forced(model: Model, problems: Problems, format: str, resources: Resources) -> Answered:
    """Teacher-forced answers: the argmax at each answer token, given the right tokens before it."""
    batch = model.prompts(problems, format=format)
    labels = torch.stack([batch.labels(role) for role in batch.answer_roles], dim=1)
    found = run(
        model,
        batch,
        reduce=lambda logits, rows: logits.argmax(dim=-1),
        memory=resources.memory,
        cancel=resources.cancel,
        progress=resources.progress,
    ).logits
    assert found is not None
    asked = (labels >= 0).numpy()
    right = (found == labels).numpy() & asked
    correct = np.full((len(batch), problems.task.answer_digits), np.nan)
    for column, role in enumerate(batch.answer_roles):
        digits = digits_in(role)
        if digits is not None:
            rows = asked[:, column]
            places = slice(digits[1].start, digits[1].stop)
            correct[rows, places] = right[rows, column, None]
    texts = [
        "".join(model.pieces(row[known].tolist()))
        for row, known in zip(found.numpy(), asked, strict=True)
    ]
    exact = (right | ~asked).all(axis=1)
    return Answered(texts, exact, np.ones(len(batch), dtype=bool), correct)


def answer_table(problems: Problems, answered: Answered) -> pd.DataFrame:
    """One row a problem: `problem`, `answer`, `given`, `exact`, `readable`."""
    return pd.DataFrame(
        {
            "problem": problem_texts(problems),
            "answer": problems.answers().astype(str),
            "given": answered.texts,
            "exact": answered.exact,
            "readable": answered.readable,
        }
    )


def problem_texts(problems: Problems) -> npt.NDArray[np.str_]:
    """Each problem as a formula, `12-5+3`."""
    text = problems.values(0).astype(str)
    for gap in range(problems.operators.shape[1]):
        text = np.strings.add(text, problems.operators[:, gap])
        text = np.strings.add(text, problems.values(gap + 1).astype(str))
    return text


def stops(model: Model, one_line: bool) -> list[int]:
    """Stop tokens: end-of-text, and the line break unless right answers contain one."""
    tokenizer = model.tokens.tokenizer
    stops = [] if tokenizer.eos_token_id is None else [int(tokenizer.eos_token_id)]
    line = tokenizer("\n", add_special_tokens=False)["input_ids"]
    if one_line and len(line) == 1 and line[0] != tokenizer.unk_token_id:
        stops.append(int(line[0]))
    return stops
