"""Mistakes in the analyses of how a model is asked and what it says (`mutations`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from interp.arithmetic.wrong_answers import WrongAnswers
from interp.behaviour.trials import Bench
from interp.models.model import Model
from tests.planted.mutations import Mutation, answers_of_others, later, never_shuffled

Function = Callable[..., Any]


def _rows_moved(generate: Function) -> Function:
    return lambda *args, **options: generate(*args, **options).roll(1, dims=0)


def _texts_moved(continued: Function) -> Function:
    def moved(*args: Any) -> Any:
        texts = continued(*args)
        return [*texts[1:], texts[0]]

    return moved


def _same_half_twice(halves: Function) -> Function:
    return lambda problems, seed: (problems, problems)


def _right_and_wrong_swapped(asked: Function) -> Function:
    def swapped(*args: Any) -> Any:
        found = asked(*args)
        return found | {"accuracy": 1 - found["accuracy"]}

    return swapped


def _formats_swapped(greedy: Function) -> Function:
    other = {"padded": "reversed", "reversed": "padded"}
    return lambda model, problems, name, *args: greedy(model, problems, other[name], *args)


def _worst(best: Function) -> Function:
    return lambda trials: int(np.argmin([trial.first.gain for trial in trials]))


def _start_ignored(starting_with: Function) -> Function:
    return lambda model, text: model


def _compared_with_itself(prepare: Function) -> Function:
    def prepared(bench: Bench) -> None:
        prepare(bench)
        bench.others = bench.problems

    return prepared


def _digits_reversed(share_of_digits: Function) -> Function:
    def turned(*args: Any, **options: Any) -> Any:
        table = share_of_digits(*args, **options)
        return table.assign(digit=table["digit"].to_numpy()[::-1])

    return turned


def _kinds_moved(share_of_kinds: Function) -> Function:
    def moved(*args: Any, **options: Any) -> Any:
        table = share_of_kinds(*args, **options)
        return table.assign(kind=np.roll(table["kind"].to_numpy(), 1))

    return moved


def _groups_swapped(longer_answer: Function) -> Function:
    return lambda problems: ~longer_answer(problems)


def _prefix_swapped(swapped_prompts: Function) -> Function:
    other = {"keep": "recompute", "recompute": "keep"}
    return lambda model, batch, swap, prefix: swapped_prompts(model, batch, swap, other[prefix])


def _reversed_runs(run_variants: Function) -> Function:
    return lambda *args, **options: run_variants(*args, **options)[::-1]


def _higher(swap: Function) -> Function:
    """Another new digit than the next one up."""

    def moved(one: Any, role: str, value: int | None) -> Any:
        old = int(one.problems.operands["ab".index(role[0])][0, int(role[1:])])
        return swap(one, role, (old + 3) % 10)

    return moved


def _roles_moved(example: Function) -> Function:
    def moved(*args: Any) -> Any:
        table = example(*args)
        return table.assign(role=np.roll(table["role"].to_numpy(), 1))

    return moved


def _a_digit_a_token(digits_in: Function) -> Function:
    def one(role: str) -> Any:
        found = digits_in(role)
        return found and (found[0], found[1][:1])

    return one


def _aligned_left(string_score: Function) -> Function:
    return lambda mine, true, kind: string_score(mine[::-1], true[::-1], kind)


def _lengths_late(by_length: Function) -> Function:
    return lambda scores: by_length(scores).assign(length=lambda t: t["length"] + 1)


def _thresholds_swapped(learned: Function) -> Function:
    def swapped(*args: Any) -> Any:
        other = {"well_learned": "performance_preserving",
                 "performance_preserving": "well_learned"}  # fmt: skip
        return learned(*args).rename(columns=other)

    return swapped


def _wordings_swapped(street_prompt: Function) -> Function:
    other = {"roughly": "exactly", "exactly": "roughly", "hinted": "hinted"}
    return lambda question, wording: street_prompt(question, other[wording])


def _not(function: Function) -> Function:
    return lambda *args: ~function(*args)


def _own_shares(chance: Function) -> Function:
    from interp.suites.grades import GRADES

    return lambda table, seed: [float((table["grade"] == name).mean()) for name in GRADES]


_SEARCH, _DOCTOR = "interp.behaviour.search", "interp.behaviour._doctor"
_ERRORS, _EXAMPLE = "interp.behaviour.errors", "interp.attribution.example"
_TOKENISATION, _PLAN = "interp.models.tokenisation", "interp.engine.plan"
_COOKBOOK, _APPROXIMATION = "interp.suites._cookbook", "interp.suites._approximation"
_ANSWERS = "interp.engine.answers"

ASKING = (
    Mutation("prompt_search", "one half for both", _SEARCH, "_halves", _same_half_twice),
    Mutation("prompt_search", "sign flipped", _SEARCH, "_asked", _right_and_wrong_swapped),
    Mutation("prompt_search", "two formats swapped", _SEARCH, "greedy", _formats_swapped),
    Mutation("prompt_search", "answers of others", _ANSWERS, "generate", _rows_moved),
    Mutation("doctor", "the worst chosen", _DOCTOR, "_best", _worst),
    Mutation("doctor", "beginning ignored", Model, "starting_with", _start_ignored),
    Mutation("doctor", "control dropped", Bench, "__post_init__", _compared_with_itself),
    Mutation("doctor", "answers of others", _ANSWERS, "generate", _rows_moved),
    Mutation("error_taxonomy", "answers of others", _ERRORS, "of_model", answers_of_others),
    Mutation("error_taxonomy", "digits reversed", _ERRORS, "share_of_digits", _digits_reversed),
    Mutation("error_taxonomy", "kinds off by one", _ERRORS, "share_of_kinds", _kinds_moved),
    Mutation("error_taxonomy", "groups swapped", _ERRORS, "longer_answer", _groups_swapped),
    Mutation("error_taxonomy", "control dropped", WrongAnswers, "shuffles", never_shuffled),
    Mutation("swap_example", "logits read one token late", _PLAN, "_logit_positions", later),
    Mutation("swap_example", "prefixes swapped", _EXAMPLE, "swapped_prompts", _prefix_swapped),
    Mutation("swap_example", "before and after swapped", _EXAMPLE, "run_variants", _reversed_runs),
    Mutation("swap_example", "another digit", _EXAMPLE, "_swap", _higher),
    Mutation("tokenisation", "positions shifted by one", _TOKENISATION, "_example", _roles_moved),
    Mutation("tokenisation", "a digit a token", _TOKENISATION, "digits_in", _a_digit_a_token),
    Mutation("cookbook", "answers of others", _COOKBOOK, "continued", _texts_moved),
    Mutation(
        "cookbook", "aligned at the left", "interp.suites.number_cookbook.scores", "string_score",
        _aligned_left,
    ),
    Mutation("cookbook", "lengths off by one", _COOKBOOK, "by_length", _lengths_late),
    Mutation("cookbook", "thresholds swapped", _COOKBOOK, "learned_lengths", _thresholds_swapped),
    Mutation("approximation", "answers of others", _APPROXIMATION, "continued", _texts_moved),
    Mutation("approximation", "wordings swapped", _APPROXIMATION, "street_prompt",
             _wordings_swapped),
    Mutation("approximation", "sign flipped", _APPROXIMATION, "_is_good", _not),
    Mutation("approximation", "control dropped", _APPROXIMATION, "_chance", _own_shares),
)  # fmt: skip
