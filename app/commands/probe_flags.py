"""The flags of ``arithmoscope probe`` as the library takes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from interp.errors import InputError

if TYPE_CHECKING:
    from interp.arithmetic.problems import Problems

_COMMA = re.compile(r",(?![^\[(]*[\])])")  # one that is not inside brackets


def names(text: str) -> tuple[str, ...]:
    """Names separated by commas, where those inside brackets belong to a name.

    >>> names("carry[1], product[0,1]")
    ('carry[1]', 'product[0,1]')
    """
    return tuple(name for part in _COMMA.split(text) if (name := part.strip()))


def target_names(problems: Problems, text: str) -> tuple[str, ...]:
    """Targets by name, `carry[1]:real` for another kind than the usual; a family, such as `carry`,
    stands for those of its columns that vary.

    Raises:
        InputError: where none is named, or a name is neither a target nor a family.
    """
    import probes
    from probes.design import varying

    known = probes.target_names(problems.task)
    found: list[str] = []
    for name in names(text):
        family = [probes.target(problems.task, x) for x in known if x.startswith(f"{name}[")]
        one = () if family else (probes.target(problems.task, name),)
        found += [target.spec(problems.task) for target in (*varying(problems, family), *one)]
    if not found:
        raise InputError(f"--targets names none: take some of {', '.join(known[:8])}, …")
    return tuple(dict.fromkeys(found))


def shard_of(text: str | None) -> tuple[int, int] | None:
    """`i/n` as a pair; None where the flag was left out.

    Raises:
        InputError: for anything else.
    """
    if text is None:
        return None
    number, slash, of = text.partition("/")
    if not (slash and number.isdecimal() and of.isdecimal()):
        raise InputError(f"--shard takes i/n, such as 0/4 for the first of four, not {text!r}")
    return int(number), int(of)
