"""Probe targets: columns of the truth table and facts about a whole number.

A target lists the digits that determine it, hence the roles at which it can be known and those at
which the input token shows it: at the token c_k, ĉ_k mod 10 is part of the input.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from interp.arithmetic import truth
from interp.arithmetic.problems import Problems
from interp.arithmetic.subtasks import CLASSES
from interp.arithmetic.tasks import Task
from interp.arithmetic.tasks import task as task_named
from interp.errors import InputError
from interp.models.prompts import PromptBatch
from probes.needs import Visible, answer_digit_of, column_needs, told_by
from probes.number_texts import near
from probes.places import digits_held, digits_seen, is_thought, positions, roles_at

Kind = Literal["real", "class", "angle"]

_COMPUTED = ("product", "column_sum", "carry", "running_sum", "borrow", "c", "c_value", "wrap")
_ROWS = 20_000  # every value of a running sum occurs many times, with every carry below it
_CLASSES = frozenset(
    {"c", "borrow", "sum_is_nine", "difference_is_zero", "lookahead", "class", "sign", "operator",
     "wrap", "product_last", "parity", "near"}
)  # fmt: skip
_WHOLE = re.compile(r"(magnitude|parity|residue|near)\(([a-i])(?:,(\d+))?\)")


@dataclass(frozen=True)
class Target:
    """A probe target.

    Args:
        name: a truth column, `product_last[i,j]` (a_i·b_j mod 10), or `magnitude(a)` (log₁₀(1+a)),
            `parity(a)`, `residue(a,7)`, `near(a,5)` of an operand or of the answer, c.
        kind: "real" is read by ridge regression, "class" by softmax regression, "angle" as the
            point at 2πy/modulus of a circle.
        needs: the digits, and `op`, from which arithmetic works it out.
        modulus: of an angle.
        about: the number that a whole-number target is about; None for columns.
        answer_digit: the answer digit of its column, whose writing is before or after; None where
            it has none.
    """

    name: str
    kind: Kind
    needs: frozenset[str]
    modulus: int | None = None
    about: str | None = None
    answer_digit: str | None = None

    def values(self, problems: Problems) -> npt.NDArray[np.float64]:
        """The target's value for each problem, [n]; classes as numbers, names by their index in
        `labels`."""
        raw = _compute(self.name, problems.task)(problems)
        if raw.dtype.kind in "US" or raw.dtype == object:
            order = {label: i for i, label in enumerate(self.labels(problems.task) or ())}
            raw = np.array([order[str(value)] for value in raw])
        return np.asarray(raw, dtype=np.float64)

    def labels(self, task: Task) -> tuple[str, ...] | None:
        """Class names; None for numeric classes."""
        family = _family(self.name)
        if family == "class":
            return tuple(CLASSES)
        if family == "operator":
            return tuple(sorted({sign for gap in task.operators for sign in gap}))
        return None

    def known_at(self, batch: PromptBatch, place: str) -> bool:
        """Whether every digit that the target needs is seen at or before `place`, in every row."""
        seen, here = digits_seen(batch, place), positions(batch, place) >= 0
        return bool(here.any()) and all(
            name in seen and bool(seen[name][here].all()) for name in self.needs
        )

    def visible_at(self, batch: PromptBatch, place: str) -> Visible:
        """What the token at `place` alone shows of the target. "chain" for a token of a chain of
        thought: only the reference `shown` measures what such a token shows."""
        if any(is_thought(role) for role in roles_at(batch, place)):
            return "chain"
        held = {name for name, rows in digits_held(batch, place).items() if rows.any()}
        return told_by(batch.problems.task, self.name, held)

    @property
    def copied(self) -> bool:
        """Whether the question states the target outright, such as an operand digit."""
        return len(self.needs) == 1 and self.answer_digit is None and self.about is None

    def spec(self, task: Task) -> str:
        """The string from which `target` rebuilds it: the name, and any kind but the default."""
        return self.name if self.kind == _usual(self.name, task)[0] else f"{self.name}:{self.kind}"

    @property
    def metric(self) -> Literal["r2", "accuracy"]:
        return "accuracy" if self.kind == "class" else "r2"


def target(task: Task | str, name: str, kind: Kind | None = None) -> Target:
    """Return a target of a task by name.

    `kind` overrides the column's default kind, and so does a name such as "carry[1]:real".

    Raises InputError for a name that the task does not have, with those it has, and for a kind that
    makes no sense for it.
    """
    task = task_named(task)
    if not isinstance(name, str):
        raise InputError(f"a target is named by text such as 'carry[1]', not by {name!r}")
    clean, _, told = re.sub(r"\s", "", name).partition(":")
    _compute(clean, task)  # raises on unknown names
    usual, modulus = _usual(clean, task)
    chosen = kind or told or usual
    if chosen not in get_args(Kind):
        raise InputError(f"unknown kind {chosen!r}: choose one of {', '.join(get_args(Kind))}")
    if chosen == "angle" and modulus is None:
        raise InputError(f"{clean} is no residue, so it has no angle: use kind='real' or 'class'")
    if chosen == "real" and _family(clean) in ("class", "operator"):
        raise InputError(f"{clean} has names for values: only kind='class' makes sense")
    whole = _WHOLE.fullmatch(clean)
    return Target(
        clean,
        cast(Kind, chosen),
        column_needs(task, clean),
        modulus if chosen == "angle" else None,
        whole[2] if whole else None,
        answer_digit_of(task, clean),
    )


def target_names(task: Task | str) -> tuple[str, ...]:
    """Names of all probe targets of the task: truth columns, and the whole-number targets of
    StreetMath (arXiv 2510.25776)."""
    task = task_named(task)
    names = [name for family in truth.families(task) for name in truth.column_names(task, family)]
    if task.arithmetic == "product":
        names += [n.replace("product", "product_last") for n in truth.column_names(task, "product")]
    for number in (*task.operand_names, "c"):
        names += [f"magnitude({number})", f"parity({number})"]
        names += [f"near({number},{k})" for k in (5, 10)] + [f"residue({number},10)"]
    return tuple(names)


def computed(task: Task) -> tuple[str, ...]:
    """Columns that must be computed: products, sums, carries and answer digits."""
    found = [family for family in truth.families(task) if family in _COMPUTED]
    return tuple(name for family in found for name in truth.column_names(task, family))


def resolve(task: Task, wanted: Sequence[str | Target]) -> tuple[Target, ...]:
    """Targets by name, without duplicates. Raises InputError for an empty list."""
    if isinstance(wanted, str | Target):
        wanted = (wanted,)
    if not isinstance(wanted, Iterable):
        raise InputError(f"targets are a list of names, not {wanted!r}: write ['carry[1]']")
    chosen = [item if isinstance(item, Target) else target(task, item) for item in wanted]
    if not chosen:
        raise InputError("there is no target: name some, such as 'carry[1]'")
    names = [item.name for item in chosen]
    if len(set(names)) != len(names):
        raise InputError(f"a target is named twice: {', '.join(names)}")
    return tuple(chosen)


def has_numbers(target: Target) -> bool:
    """Whether the target's values are numbers, so that kind="real" makes sense."""
    return _family(target.name) not in ("class", "operator")


def _family(name: str) -> str:
    return re.split(r"[\[(]", name)[0]


def _usual(name: str, task: Task) -> tuple[Kind, int | None]:
    """Default kind of a target, and the modulus of its angle."""
    family = _family(name)
    if family == "residue":
        return "angle", int(name.rstrip(")").split(",")[1])
    if task.arithmetic == "modular" and family in ("a_value", "b_value", "c_value"):
        return "angle", task.operand_limits[0]
    digit = 10 if family in (*task.operand_names, "c", "product_last") else None
    two = task.arithmetic == "sum" and len(task.operand_digits) == 2
    if family in _CLASSES or family in task.operand_names or (family == "carry" and two):
        return "class", digit
    return "real", digit


def _compute(name: str, task: Task) -> Callable[[Problems], npt.NDArray[Any]]:
    """The function that computes a target's values. Raises InputError for an unknown name."""
    if whole := _WHOLE.fullmatch(name):
        return _whole(task, *whole.groups())
    if name.startswith("product_last["):
        product = name.replace("product_last", "product")
        truth.split_name(task, product)
        return lambda problems: problems.column(product) % 10
    try:
        truth.split_name(task, name)
    except InputError as error:
        raise InputError(
            f"{error}; besides columns there are product_last[i,j], magnitude(a), parity(a), "
            "residue(a,7) and near(a,5)"
        ) from None
    return lambda problems: problems.column(name)


def _whole(
    task: Task, fact: str, number: str, argument: str | None
) -> Callable[[Problems], npt.NDArray[Any]]:
    if number not in (*task.operand_names, "c"):
        raise InputError(
            f"{task.name} has no number {number!r}: choose one of {', '.join(task.operand_names)}"
        )
    takes = fact in ("residue", "near")
    if takes != (argument is not None) or (takes and int(argument or 0) < 2):
        raise InputError(f"write {fact}({number},K) with K of 2 or more" if takes
                         else f"write {fact}({number})")  # fmt: skip
    modulus = int(argument or 2)

    def values(problems: Problems) -> npt.NDArray[Any]:
        if number == "c":
            numbers = abs(problems.answers())
        else:
            numbers = problems.values(task.operand_names.index(number))
        if fact == "magnitude":
            return np.array([math.log10(1 + int(x)) for x in numbers])
        rest = (numbers % modulus).astype(np.int64)
        if fact != "near":
            return rest
        return near(rest, modulus).astype(np.int64)

    return values


def trained_in(
    card: Mapping[str, Any] | None, targets: Sequence[Target], task: Task
) -> frozenset[str]:
    """Names of the targets that are a function of ONE running sum with an auxiliary training loss
    (`interp.training.objectives.RunningSumLoss`).

    If ĉ_k was trained in, then so were carry[k] = floor(ĉ_k / 10), c[k] = ĉ_k mod 10 and
    product[0,0] = column_sum[0] = ĉ_0. The truth table decides: among 20,000 problems of the task,
    those with equal ĉ_k have equal values of the target. A target that needs the sums of two
    trained columns (column_sum[2] = ĉ_2 − floor(ĉ_1 / 10)) is not included, though a probe could
    read it from a model that holds both.
    """
    objective = ((card or {}).get("recipe") or {}).get("objective") or {}
    if objective.get("kind") != "running-sum" or "running_sum" not in truth.families(task):
        return frozenset()
    names, columns = truth.column_names(task, "running_sum"), objective.get("columns")
    asked = [k for k in range(len(names)) if columns is None or k in columns]
    problems = task.sample(_ROWS, seed=0)
    sums = [problems.column(names[k]) for k in asked]
    found = []
    for target in targets:
        values = target.values(problems)
        if np.ptp(values) > 0 and any(_decides(known, values) for known in sums):
            found.append(target.name)
    return frozenset(found)


def _decides(known: npt.NDArray[Any], values: npt.NDArray[np.float64]) -> bool:
    """Whether `known` [n] determines `values` [n]."""
    of = np.unique(known, return_inverse=True)[1].ravel()
    example = np.empty(int(of.max()) + 1)
    example[of] = values
    return bool((example[of] == values).all())
