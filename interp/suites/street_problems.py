"""Everyday questions of "about how much", on StreetMath's topics (arXiv 2510.25776).

The published questions are free text written by people. These are templates in this project's own
words with drawn numbers, one for each of its eight topics, so their number is unlimited and their
exact values are known. An estimate of the Fermi kind states what is to be assumed, so that it has
an exact value too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from interp.errors import InputError

ROUGHLY = "Give a rough estimate, not the exact number."
EXACTLY = "Give the exact number."
HINTED = f"{ROUGHLY} First round each number to a whole number or to a multiple of 5 or 10."
WORDINGS = {"roughly": ROUGHLY, "hinted": HINTED, "exactly": EXACTLY}

Made = tuple[str, float]  # the question, and its exact value
_ATTEMPTS = 50  # maximum draws for each different question


def street_problems(n: int, *, seed: int = 0) -> pd.DataFrame:
    """`n` different questions, the topics in turn: columns topic, question, exact.

    Raises InputError for n below 1.
    """
    if n < 1:
        raise InputError(f"n must be at least 1, not {n}.")
    rng = np.random.default_rng(seed)
    found: dict[str, tuple[str, str, float]] = {}
    topics = list(TOPICS)
    for _ in range(_ATTEMPTS * n):
        topic = topics[len(found) % len(topics)]
        question, exact = TOPICS[topic](rng)
        found.setdefault(question, (topic, question, exact))
        if len(found) == n:
            break
    else:
        raise InputError(f"there are not {n} different questions: ask for fewer.")
    return pd.DataFrame(list(found.values()), columns=["topic", "question", "exact"])


def street_prompt(question: str, wording: str) -> str:
    """The prompt of a question, which the model continues with a number.

    >>> street_prompt("How long is a mile?", "roughly").splitlines()[-1]
    'Final answer:'
    """
    if wording not in WORDINGS:
        raise InputError(f"wording must be one of {', '.join(WORDINGS)}, not {wording!r}.")
    return f"Question: {question} {WORDINGS[wording]}\nFinal answer:"


def _price(rng: np.random.Generator, low: int, high: int) -> int:
    """A random price in cents, never whole dollars."""
    return int(rng.integers(low, high)) * 100 + int(rng.integers(1, 100))


def _dollars(cents: int) -> str:
    return f"${cents // 100}.{cents % 100:02d}"


def _basket(rng: np.random.Generator) -> Made:
    prices = [_price(rng, 1, 30) for _ in range(3)]
    first, second, third = map(_dollars, prices)
    text = f"Bread costs {first}, cheese {second} and coffee {third}. How many dollars is that?"
    return text, sum(prices) / 100


def _discount(rng: np.random.Generator) -> Made:
    price, percent = _price(rng, 20, 200), int(rng.integers(5, 60))
    text = f"A jacket of {_dollars(price)} is sold {percent}% off. How many dollars is it now?"
    return text, price * (100 - percent) / 10_000


def _tax(rng: np.random.Generator) -> Made:
    price, percent = _price(rng, 10, 300), int(rng.integers(3, 25))
    text = f"A lamp costs {_dollars(price)} plus {percent}% tax. How many dollars is it in all?"
    return text, price * (100 + percent) / 10_000


def _tip(rng: np.random.Generator) -> Made:
    price, percent = _price(rng, 12, 180), int(rng.integers(8, 26))
    text = f"A dinner costs {_dollars(price)}. How many dollars is a tip of {percent}%?"
    return text, price * percent / 10_000


def _units(rng: np.random.Generator) -> Made:
    miles = int(rng.integers(3, 400))
    text = f"A mile is 1.609 kilometres. How many kilometres are {miles} miles?"
    return text, miles * 1609 / 1000


def _travel(rng: np.random.Generator) -> Made:
    distance, speed = int(rng.integers(40, 900)), int(rng.integers(31, 129))
    text = f"A train goes {distance} km at {speed} km/h. How many minutes does it take?"
    return text, distance * 60 / speed


def _fermi(rng: np.random.Generator) -> Made:
    people, share = int(rng.integers(11, 990)) * 1000, int(rng.integers(3, 60))
    cups = int(rng.integers(2, 9))
    text = (
        f"In a city of {people} people {share}% drink {cups} cups of tea a day. "
        "How many cups of tea a day is that?"
    )
    return text, people * share * cups / 100


def _filling(rng: np.random.Generator) -> Made:
    litres, rate = int(rng.integers(30, 3000)), int(rng.integers(4, 95))
    text = (
        f"A tank of {litres} litres is filled at {rate} litres a minute. How many minutes is that?"
    )
    return text, litres / rate


TOPICS: dict[str, Callable[[np.random.Generator], Made]] = {
    "basket": _basket,
    "discount": _discount,
    "tax": _tax,
    "tip": _tip,
    "units": _units,
    "travel time": _travel,
    "fermi": _fermi,
    "filling": _filling,
}
