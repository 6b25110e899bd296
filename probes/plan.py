"""Read a run of probes from a small YAML file.

model: add5                      # what interp.load takes
task: add:5                      # default: the model's own
n: 2000
seed: 0
probe:                           # arguments of probes.probe
  targets: ["carry[1]", "running_sum[2]"]
  sites: [resid_mid, resid_post]
  controls: [embedding, shuffled]
  memory: 4294967296             # bytes, of running_sums too; store and backend stand here as well
use:                             # a causal test each: a cell, and arguments of probes.fit and .use;
                                 # format, split, test and folds are those of `probe` unless given;
                                 # with turns it is the probe of the first
  - {target: "carry[1]:real", site: resid_post, layer: 0, role: predicts(c2)}
baseline: true                   # probes.one_hot_baseline of the same targets, prompts and split
running_sums: {seed 0: add5}     # models by name, for the figure of running sums
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from inspect import signature
from pathlib import Path
from typing import Any

import yaml

from interp.errors import InputError
from probes.causal_test import intervene
from probes.fitted import fit
from probes.sweep import probe

_SPLIT = ("split", "test", "folds")
_GIVEN = {"model", "problems", "n", "seed", "resume", "shard", "jobs", "progress", "cancel",
          "fitted", "target"}  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """Parsed plan of a run; the module text shows the file.

    Raises InputError for arguments that the functions do not take.
    """

    model: str
    task: str | None = None
    n: int = 2000
    seed: int = 0
    probe: Mapping[str, Any] = field(default_factory=dict)
    use: tuple[Mapping[str, Any], ...] = ()
    baseline: bool = True
    running_sums: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        _check_names("probe", self.probe, _arguments(probe))
        for part in (self.probe, *self.use):
            _check_memory(part.get("memory", 1))
        for wanted in self.use:
            _check_names("use", wanted, {"target", "n"} | _arguments(fit) | _arguments(intervene))
            if missing := {"target", "site", "layer", "role"} - set(wanted):
                raise InputError(f"a use needs {', '.join(sorted(missing))}: it names one cell")

    @classmethod
    def read(cls, path: str | Path) -> Plan:
        """Read a plan. Raises InputError for a missing file, invalid YAML or an unknown key."""
        try:
            content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from error
        except yaml.YAMLError as error:
            raise InputError(f"{path} is no YAML: {error}") from error
        if not isinstance(content, dict) or "model" not in content:
            raise InputError(f"{path} names no model: write 'model: add5', then what to probe")
        known = {item.name: item for item in fields(cls)}
        _check_names("a plan", content, set(known))
        if not isinstance(content.get("probe", {}), dict):
            raise InputError("'probe' holds arguments by name: targets, sites, layers, roles")
        if not isinstance(content.get("use", []), list):
            raise InputError("'use' is a list: a causal test each")
        return cls(**(content | {"use": tuple(content.get("use", ()))}))


def fit_arguments(plan: Plan, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `probes.fit` for a `use` entry: its own, else those of the sweep, so that both
    measure the same cell."""
    swept = {name: plan.probe[name] for name in ("format", *_SPLIT) if name in plan.probe}
    own = {name: value for name, value in wanted.items() if name in _arguments(fit)}
    return {"n": plan.n, "seed": plan.seed} | swept | own


def baseline_arguments(plan: Plan) -> dict[str, Any]:
    """Arguments of the baseline: the sweep's targets, prompts and split, so that it equals the
    sweep's one-hot column."""
    usual = signature(probe).parameters
    return {
        "targets": plan.probe.get("targets"), "n": plan.n, "seed": plan.seed,
        **{name: plan.probe.get(name, usual[name].default) for name in (*_SPLIT, "turns")},
    }  # fmt: skip


def use_arguments(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of the causal test; `n` is the number of edited prompts."""
    return {name: value for name, value in wanted.items() if name in {"n"} | _arguments(intervene)}


def _arguments(function: Any) -> set[str]:
    return set(signature(function).parameters) - _GIVEN


def _check_memory(given: object) -> None:
    if not isinstance(given, int) or given < 1:
        raise InputError(f"memory={given!r}: write a whole number of bytes, 4294967296 for 4 GiB")


def _check_names(what: str, given: Mapping[str, Any], known: set[str]) -> None:
    if unknown := sorted(set(given) - known):
        raise InputError(f"{what} knows no {unknown[0]!r}: it takes {', '.join(sorted(known))}")
