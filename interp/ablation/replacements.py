"""Named replacements for the state of a waiting token.

| name        | the state before layer L of the token at a role                              |
| `zero`      | zeros                                                                        |
| `mean`      | the mean over prompts and over all roles                                     |
| `role-mean` | the mean over prompts at that role                                           |
| `resample`  | another prompt's state at that role; with a key, a prompt that shares it     |
| `own`       | its own state in a pass where it sees only the sink and itself               |
| `cama`      | the mean over prompts that share its key at that role (arXiv 2509.09650)     |

The key (`given`) is the role's own "token"; its "value", the tokens of its number up to and
including this one, where a number spans tokens; or "nothing". A role at another position counts as
another role, so no mean mixes prompts of different layouts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from interp.errors import InputError, nearest

Name = Literal["zero", "mean", "role-mean", "resample", "own", "cama"]
Given = Literal["token", "value", "nothing"]
REPLACEMENTS: tuple[str, ...] = get_args(Name)
GIVEN: tuple[str, ...] = get_args(Given)


@dataclass(frozen=True)
class Replacement:
    """A replacement with its settings; "cama:value" in text.

    Args:
        name: one of `REPLACEMENTS`.
        given: the key, for `cama` (default "token") and `resample` (default "nothing"); "" for
            replacements without a key.
        n: prompts sampled for the table where the task has too many problems to use all.
        seed: draws these prompts, and the other prompt for `resample`.
    """

    name: Name = "cama"
    given: str = ""
    n: int = 1024
    seed: int = 0

    def __post_init__(self) -> None:
        if self.name not in REPLACEMENTS:
            raise InputError(
                f"unknown replacement {self.name!r}: choose {nearest(self.name, REPLACEMENTS)}."
            )
        keyed = {"cama": "token", "resample": "nothing"}
        if self.name not in keyed and self.given:
            raise InputError(f"{self.name!r} has no key to be given: write {self.name!r} alone.")
        given = self.given or keyed.get(self.name, "")
        if given not in ("", *GIVEN):
            raise InputError(f"unknown key {given!r}: choose one of {', '.join(GIVEN)}.")
        object.__setattr__(self, "given", given)
        if self.n < 2:
            raise InputError(f"a table needs at least 2 prompts, not n={self.n}.")

    @classmethod
    def of(cls, what: str | Replacement, seed: int = 0) -> Replacement:
        """Parse a replacement: a name, or a name and a key, "resample:token"."""
        if isinstance(what, Replacement):
            return what
        if not isinstance(what, str):
            raise InputError(
                f"a replacement is a name such as 'cama' or 'cama:value', or a Replacement, not "
                f"{what!r}."
            )
        name, _, given = what.partition(":")
        return cls(name, given, seed=seed)  # type: ignore[arg-type]

    @property
    def label(self) -> str:
        """The replacement as text, which `of` parses."""
        return f"{self.name}:{self.given}" if self.given else self.name

    @property
    def table_key(self) -> Given | None:
        """The key of its table, None for a replacement without a table."""
        if self.name == "cama":
            return self.given  # type: ignore[return-value]
        return "nothing" if self.name in ("mean", "role-mean") else None
