"""The search for wait, transfer and compute returns what was planted, or says that nothing was."""

from __future__ import annotations

from interp import ablation
from tests.planted.subjects import Subject

_PROMPTS = 120


def prove_all_for_one(subject: Subject) -> None:
    """Exactly the wait, the transfer layers and the heads; on `early`, that there are none."""
    key, model = subject.key, subject.model
    batch = model.prompts(key.problems(_PROMPTS, seed=key.program.seed))
    found = ablation.af1(model, batch, seed=key.program.seed)
    if not key.only_last_looks:
        assert found.status == "none", f"{found.status}: {found.reason}"
        assert found.wait == -1
        assert not found.transfer
        assert not len(found.heads)
        return
    assert found.status == "found", found.reason
    assert found.wait == key.wait, f"wait {found.wait}, not {key.wait}"
    assert found.transfer == key.transfer_layers, f"{found.transfer}, not {key.transfer_layers}"
    heads = {(layer, head) for layer, head in found.heads.tolist()}
    assert heads == set(key.transfer_heads), "the heads that look"
    assert found.metrics["faithfulness"] == 1
    together = found.removal[found.removal["layer"] < 0]
    assert len(together) == 2
    assert (together["faithfulness"] < found.target).all(), "the transfer is necessary"
    alone = found.removal[found.removal["where"] == "full"].set_index("layer")["faithfulness"]
    needed = tuple(int(la) for la in alone.index if la >= 0 and alone[la] < found.target)
    assert needed == key.transfer_layers, f"necessary layers {needed}"
