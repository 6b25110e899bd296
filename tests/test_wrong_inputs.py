"""Wrong containers, types, keys and files at the public functions: each is refused by name.

A row is a call that a user might write, and words of its message: what was given, and the remedy.
No such call may end in an AttributeError, TypeError, KeyError or UnicodeDecodeError alone.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import interp
import probes
from app.commands.explore import check_free
from interp import ablation, engine
from interp.arithmetic import formats
from interp.arithmetic.published_answers import COLUMNS, read_published
from interp.catalogue import entry
from interp.engine import Add, Constant, Mean, Project, Read, Replace, Rows, Scale, UserHook, Zero
from interp.errors import ArithmoscopeError, StorageError, nearest
from probes.estimators import RidgeProbe

TASK = "mod:113"


@cache
def M() -> Any:  # noqa: N802
    return interp.load("mod113")


@cache
def B() -> Any:  # noqa: N802
    return M().prompts(M().task.sample(8, seed=0))


@cache
def R() -> Any:  # noqa: N802
    return engine.run(M(), B(), reads=[Read("z", (0,), ("eq",))])


BF16 = torch.arange(8.0).reshape(4, 2).bfloat16()
Call = Callable[[], Any]


def probed(**options: Any) -> Any:
    return probes.probe(M(), TASK, n=40, targets="wrap", **options)


CALLS: dict[str, tuple[Call, str, str]] = {
    # name → the call, what was given, the remedy
    "run one": (lambda: engine.run(M(), B(), Replace("z", Zero())), "Replace", r"[Replace("),
    "run text": (lambda: engine.run(M(), B(), "z"), "str", "[Replace("),
    "run odd": (lambda: engine.run(M(), B(), [Zero()]), "Zero", "Replace(site, source)"),
    "run mapping": (lambda: engine.run(M(), B(), {"z": Zero()}), "dict", "[Replace("),
    "run none": (lambda: engine.run(M(), B(), None), "NoneType", "[Replace("),
    "run name": (lambda: engine.run("mod113", B()), "str", "interp.load"),
    "run task": (lambda: engine.run(M(), TASK), "str", "model.prompts(problems)"),
    "run tensor": (lambda: engine.run(M(), torch.zeros(2, 3)), "Tensor", "model.prompts(problems)"),
    "run reads": (lambda: engine.run(M(), B(), reads="z"), "str", "['z']"),
    "run read": (lambda: engine.run(M(), B(), reads=Read("z")), "Read", "[Read("),
    "run number": (lambda: engine.run(M(), B(), reads=[3]), "3", "Read(site, layers, roles)"),
    "run logits": (lambda: engine.run(M(), B(), logits=3), "3", "'answer'"),
    "run variants": (lambda: engine.run_variants(M(), B(), engine.Variant("a")), "Variant", "["),
    "variant one": (lambda: engine.Variant("a", Replace("z", Zero())), "Replace", "[Replace("),
    "gradients one": (lambda: engine.gradients(M(), B(), Read("z")), "Read", "[Read("),
    "gradients batch": (lambda: engine.gradients(M(), None, [Read("z")]), "NoneType", "prompts"),
    "gradients of": (lambda: engine.gradients(M(), B(), [Read("z")], of=3), "3", "'true'"),
    "constant numpy": (lambda: Constant(np.zeros(3)), "numpy.ndarray", "torch.as_tensor"),
    "constant list": (lambda: Constant([1.0]), "list", "torch.as_tensor"),
    "constant bool": (lambda: Constant(torch.ones(2, dtype=torch.bool)), "bool", ".float()"),
    "rows list": (lambda: Rows([torch.zeros(2)]), "list", "{layer: tensor}"),
    "rows numpy": (lambda: Rows({0: np.zeros(2)}), "numpy.ndarray", "torch.as_tensor"),
    "rows key": (lambda: Rows({"a": torch.zeros(2)}), "'a'", "whole numbers"),
    "rows of": (lambda: Rows.of({}, "z"), "dict", "engine.run"),
    "source tensor": (lambda: Replace("z", torch.zeros(2)), "Tensor", "Constant(tensor)"),
    "source class": (lambda: Replace("z", Mean), "class Mean", "Mean()"),
    "source zero": (lambda: Add("z", Zero()), "Zero", "Constant(tensor)"),
    "direction": (lambda: Project("resid_post", torch.ones(3)), "Tensor", "Constant(tensor)"),
    "factor": (lambda: Scale("z", "2"), "str", "float(value)"),
    "factor tensor": (lambda: Scale("z", torch.ones(2)), "Tensor", "float(value)"),
    "hook": (lambda: UserHook("z", 3), "int", "lambda"),
    "site": (lambda: Replace(0, Zero()), "0", "'resid_post'"),
    "layers": (lambda: Replace("z", Zero(), layers="0"), "'0'", "whole numbers"),
    "heads": (lambda: Replace("z", Zero(), heads=True), "True", "whole numbers"),
    "roles": (lambda: Read("z", roles=(1,)), "1", "'a0'"),
    "logits key": (lambda: R().logits["c0"], "'c0'", "run.logit('c0')"),
    "logits pair": (lambda: R().logits[0, "c0"], "'c0'", "run.logit('c0')"),
    "activations key": (lambda: R().activations["z"], "'z'", "(site, layer)"),
    "activations layer": (lambda: R().activations["z", 9], "9", "('z', 0)"),
    "cache axis": (lambda: interp.cache(M(), B(), "z").at(rolle="eq"), "'rolle'", "role"),
    "cache asked": (lambda: interp.cache(M(), 3), "int", "'add:5'"),
    "ridge bf16": (lambda: RidgeProbe().fit(BF16, [0, 1, 2, 3]), "bfloat16", ".cpu().float()"),
    "ridge target": (lambda: RidgeProbe().fit(np.eye(4), BF16[:, 0]), "bfloat16", ".float()"),
    "ridge grad": (
        lambda: RidgeProbe().fit(torch.eye(4, requires_grad=True), [0, 1, 2, 3]),
        "float32", ".detach()",
    ),
    "ridge text": (lambda: RidgeProbe().fit("rows", [0, 1]), "str", "array"),
    "ridge unfitted": (lambda: RidgeProbe().predict(np.eye(2)), "RidgeProbe", "fit(X, y)"),
    "probe targets": (lambda: probes.probe(M(), TASK, targets=3), "3", "['carry[1]']"),
    "probe layers": (lambda: probed(layers="0"), "'0'", "[0, 1]"),
    "probe layer": (lambda: probed(layers=[0.5]), "0.5", "[0, 1]"),
    "probe site": (lambda: probed(sites="resid_pos"), "resid_pos", "resid_post"),
    "schedule": (lambda: ablation.evaluate(M(), B(), 3), "3", "Schedule("),
    "replacement": (
        lambda: ablation.evaluate(M(), B(), ablation.Schedule(1), replacement=3), "3", "'cama'",
    ),
    "mask": (lambda: ablation.Schedule(transfer_mask=3), "3", "full-peek"),
    "masks": (
        lambda: ablation.evaluate(M(), B(), ablation.Schedule(1), masks="open"), "str", "knock_out",
    ),
    "edges": (lambda: ablation.knock_out(B(), "eq", [0]), "'e'", "('eq', 'a0')"),
    "targets": (lambda: ablation.transfer(M(), ablation.Schedule(1), B()), "PromptBatch", "{"),
    "accuracy model": (lambda: interp.behaviour.accuracy("mod113", TASK), "str", "interp.load"),
    "accuracy asked": (lambda: interp.behaviour.accuracy(M(), 113), "int", "'add:5'"),
    "accuracy n": (lambda: interp.behaviour.accuracy(M(), TASK, n="8"), "'8'", "whole number"),
    "doctor model": (lambda: interp.behaviour.doctor("mod113", TASK), "str", "interp.load"),
    "ablation model": (lambda: ablation.grid("mod113", TASK), "str", "interp.load"),
    "probe model": (lambda: probes.probe("mod113", TASK), "str", "interp.load"),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_input_is_refused_by_name_with_its_remedy(name: str) -> None:
    call, given, remedy = CALLS[name]
    with pytest.raises(ArithmoscopeError) as caught:
        call()
    assert given in str(caught.value) and remedy in str(caught.value)


def test_the_remedies_work() -> None:
    zeros = engine.run(M(), B(), [Replace("z", Zero())])
    assert zeros.changed
    found = engine.gradients(M(), B(), [Read("z")])
    assert found.gradients["z", 0].abs().sum() > 0
    one = Constant(torch.as_tensor(np.zeros(3)))
    assert one.value.dtype == torch.float64
    assert torch.equal(R().logit(R().logit_roles[0]), torch.Tensor(R().logits[:, 0]))
    assert type(R().logits * 1) is torch.Tensor
    assert RidgeProbe().fit(BF16.detach().cpu().float(), [0, 1, 2, 3]).coef_.shape == (2,)
    swept = probed(layers=[0], roles="last")
    assert set(swept.frame["role"]) == {"last"}


def test_a_mean_without_roles_is_the_mean_at_every_role() -> None:
    roles = tuple(role for role in B().roles if role != "last")
    bare = engine.run(M(), B(), [Replace("z", Mean(), heads=(0,))])
    named = engine.run(M(), B(), [Replace("z", Mean(), heads=(0,), roles=roles)])
    assert bare.changed and torch.equal(bare.logits * 1, named.logits * 1)


NAMES: dict[str, tuple[Call, str]] = {
    "model": (lambda: interp.load("mod114"), "mod113"),
    "task": (lambda: interp.task("ad:5"), "add:5"),
    "format": (lambda: formats.format("paded"), "padded"),
    "site": (lambda: engine.run(M(), B(), reads=["resid_pst"]), "resid_post"),
    "role": (lambda: M().prompts(M().task.sample(2)).position_array("eqq"), "eq"),
    "analysis": (lambda: entry("behaviour.acuracy"), "behaviour.accuracy"),
}


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_name_is_answered_with_the_nearest_three(name: str) -> None:
    call, right = NAMES[name]
    with pytest.raises(ArithmoscopeError) as caught:
        call()
    said = str(caught.value)
    assert right in said and said.count(", ") < 6, said


def test_nearest_names() -> None:
    assert nearest("mod114", ["add5", "mod113", "mul4x4", "mod113-s1"]).startswith("mod113, ")
    assert nearest("x", ["a"]) == "a" and nearest(3, []) == ""


def test_result_files_of_other_encodings_and_kinds(tmp_path: Path) -> None:
    head = ",".join(("", *COLUMNS))
    row = "0,12,34,46,gpt,nosep,nosep,8,"
    wide = tmp_path / "wide.csv"
    wide.write_text(f"{head}\n{row}\n", encoding="utf-16")
    with pytest.raises(StorageError, match=r"not written in UTF-8.*encoding='utf-16'"):
        read_published(wide)
    import pandas as pd

    pd.read_csv(wide, encoding="utf-16", index_col=0).to_csv(wide)  # the remedy
    assert read_published(wide).n == 1
    lines = tmp_path / "answers.jsonl"
    pd.read_csv(wide, index_col=0).to_json(lines, orient="records", lines=True)
    with pytest.raises(ArithmoscopeError, match=r"pandas\.read_json\(path, lines=True\)"):
        read_published(lines)
    pd.read_json(lines, lines=True).to_csv(wide)
    assert read_published(wide).n == 1


def test_a_port_in_use_is_refused_with_a_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ArithmoscopeError, match=rf"port {port} .*--port (\d+) is free") as told:
            check_free("127.0.0.1", port)
        check_free("127.0.0.1", int(str(told.value).split("--port ")[1].split()[0]))
    with pytest.raises(ArithmoscopeError, match="1 to 65535, not 0"):
        check_free("127.0.0.1", 0)
