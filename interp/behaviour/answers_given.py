"""Input of the error analyses: answers of a model, or of a published result file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from interp.arithmetic.problems import Problems
from interp.arithmetic.published_answers import read_published
from interp.arithmetic.scoring import check_answered_in, read_answer
from interp.engine.answers import generated_texts
from interp.engine.requests import Resources
from interp.errors import InputError
from interp.models.asking import Asked, sample
from interp.models.fixtures import fixtures_root
from interp.models.model import Model
from interp.results.identity import ModelId


@dataclass(frozen=True, eq=False)
class GivenAnswers:
    """Problems, the number in each answer (None for none), and their source.

    from_right   bool [n], whether the answer's digits are grouped into tokens from the right
    settings     of the Result; `source` is the format or the file
    """

    model: ModelId | None
    problems: Problems
    answers: npt.NDArray[np.object_]
    from_right: npt.NDArray[np.bool_]
    tokens: str
    source: str
    settings: Mapping[str, Any]
    never_read: tuple[str, ...] = ()

    @property
    def readable(self) -> npt.NDArray[np.bool_]:
        """True for answers with a readable number, [n]."""
        return np.array([answer is not None for answer in self.answers])

    def common(self, seed: int, shuffles: int) -> dict[str, Any]:
        """The fields of a Result on these answers, except its tables."""
        return {
            "model": self.model,
            "task": self.problems.task.name,
            "n": len(self.problems),
            "n_distinct": self.problems.n_distinct,
            "seed": seed,
            "settings": {**self.settings, "shuffles": shuffles},
            "source": self.source,
            "read": int(self.readable.sum()),
            "never_read": self.never_read,
        }


def of_model(
    model: Model,
    asked: Asked,
    *,
    n: int,
    seed: int,
    format: str | None,
    held_out: bool,
    strict: bool,
    resources: Resources,
) -> GivenAnswers:
    """The model's greedy answers, one for each distinct problem.

    Raises InputError as `asking.sample` and for a format that cannot write the task, and
    FormatError if `strict` and most answers are unreadable.
    """
    drawn = sample(model, asked, n=n, seed=seed, format=format, held_out=held_out)
    problems, name = drawn.problems, drawn.format
    texts = generated_texts(model, problems, name, resources)
    if strict:
        check_answered_in(problems, texts, name)
    tokens = token_cut(model)
    return GivenAnswers(
        model=model.id,
        problems=problems,
        answers=numbers_in(texts, name, problems),
        from_right=np.full(len(problems), tokens == "right"),
        tokens=tokens,
        source=name,
        settings=drawn.settings | {"format": name, "strict": strict},
    )


def of_file(path: str | Path | None, where: Mapping[str, Any] | None) -> GivenAnswers:
    """The answers of a published file in the rows with the values `where`; None means the shipped
    file. Raises StorageError and InputError as `read_published`."""
    file = published_file() if path is None else Path(path)
    published = read_published(file)
    published = published.where(**where) if where else published
    cuts = published.cut_from_right
    return GivenAnswers(
        model=None,
        problems=published.problems,
        answers=published.answers,
        from_right=cuts,
        tokens="mixed" if len(set(cuts)) > 1 else "right" if cuts[0] else "left",
        source=file.name,
        settings={
            "path": None if path is None else str(path),
            "where": dict(where) if where else None,
        },
        never_read=published.never_read,
    )


def published_file() -> Path:
    """The path of the shipped result file: 1,080 answers of GPT-3.5."""
    return fixtures_root() / "data" / "tokenization_counts_io.csv"


def numbers_in(texts: list[str], format: str, problems: Problems) -> npt.NDArray[np.object_]:
    """The number in each text, None for none, [n]."""
    answers = np.empty(len(problems), dtype=object)
    answers[:] = [read_answer(text, format, problems.task).value for text in texts]
    return answers


def token_cut(model: Model) -> str:
    """The end from which the tokenizer groups digits into tokens of three: "left" or "right".

    "none" for other tokenizers, such as those with single-digit tokens.
    """
    ids = model.tokens.tokenizer("12345678", add_special_tokens=False)["input_ids"]
    pieces = tuple(piece.strip() for piece in model.pieces(ids))
    if pieces == ("123", "456", "78"):
        return "left"
    return "right" if pieces == ("12", "345", "678") else "none"


def check_shuffles(shuffles: int) -> None:
    """Raise InputError for too few shuffles for a control."""
    if shuffles < 1:
        raise InputError(f"shuffles={shuffles}: the control needs at least one")
