"""Circuits as values: sets of nodes or edges of a model, as JSON; areas under faithfulness."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from interp.errors import InputError
from interp.results.atomic import write_atomic

SIZES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Shares of all nodes, or edges, at which MIB (arXiv 2504.13151) measures faithfulness."""
_WIDTH = SIZES[-1] - SIZES[0]


@dataclass(frozen=True)
class Circuit:
    """A set of nodes of one model; of edges where `kinds` is ("edge",)."""

    model: str
    weights: str
    n_layers: int
    n_heads: int
    task: str
    kinds: tuple[str, ...]
    nodes: tuple[str, ...]

    def save(self, path: str | Path) -> Path:
        """Write JSON, atomically."""
        text = json.dumps({"circuit": 1, **asdict(self)}, indent=1) + "\n"
        write_atomic(Path(path), text.encode())
        return Path(path)

    @classmethod
    def read(cls, path: str | Path) -> Circuit:
        """Read a saved circuit. Raises InputError for a file that holds none."""
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            if content.pop("circuit") != 1:
                raise ValueError("another version")
            for name in ("kinds", "nodes"):
                content[name] = tuple(content[name])
            return cls(**content)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path} holds no circuit ({error}): save one with result.circuit.save(path)"
            ) from error

    def check_fits(self, name: str, n_layers: int, n_heads: int) -> None:
        """Raise InputError for a model of other sizes."""
        if (n_layers, n_heads) != (self.n_layers, self.n_heads):
            raise InputError(
                f"this circuit is of {self.model}, with {self.n_layers} layers × {self.n_heads} "
                f"heads; {name} has {n_layers} × {n_heads}, so its nodes are others. Use a model "
                "of the same sizes, such as another seed or checkpoint"
            )


def areas(curve: Mapping[float, float], nodes: int) -> dict[str, float]:
    """CPR and CMD of a faithfulness curve, size → f (arXiv 2504.13151).

    CPR is the trapezoid area under f over the sizes, CMD that of |1 − f|; a perfect f gives .999
    and 0. Below one node (or edge) a size is empty and left out: `cpr` and `cmd` are then scaled by
    the width that is covered, `cpr_covered` and `cmd_covered` are not. With 1,000 nodes or more
    they are equal.
    """
    sizes = sorted(size for size in curve if int(size * nodes) >= 1)
    f = np.array([curve[size] for size in sizes])
    width = sizes[-1] - sizes[0] if sizes else 0.0
    if width <= 0:
        return dict.fromkeys(("cpr", "cmd", "cpr_covered", "cmd_covered"), float("nan"))
    under = float(np.trapezoid(f, sizes))
    beside = float(np.trapezoid(np.abs(1 - f), sizes))
    scale = _WIDTH / width
    return {
        "cpr": under * scale,
        "cmd": beside * scale,
        "cpr_covered": under,
        "cmd_covered": beside,
    }


def jaccard(sets: Sequence[frozenset[int]]) -> float:
    """Mean |A ∩ B| / |A ∪ B| over pairs."""
    return float(np.mean([len(a & b) / max(1, len(a | b)) for a, b in combinations(sets, 2)]))
