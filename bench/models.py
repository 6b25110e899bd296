"""Which families open, and how: writes docs/models.md from tiny random models, made here.

`python -m bench.models` writes the page. Largest difference from Hugging Face: of all answer
logits of five padded three-digit sums, eager attention, as a share of the largest |logit|.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

import interp
from bench import families
from interp.models.adapter import SITES
from interp.models.model import Model
from interp.results.atomic import write_atomic

PAGE = Path(__file__).resolve().parents[1] / "docs" / "models.md"
EQUAL = {"float64": 1e-9, "float32": 1e-4}
_BOUND_IN_FLOAT32 = 1e-7  # float64, of a model that computes its attention in float32
_IN_FLOAT32 = ("GPT-J", "GPT-Neo", "CodeGen", "MPT")
_NO_FLOAT64 = ("XGLM",)  # transformers' own forward fails
_COLUMNS = ("family", "route", "float32", "float64", "KV groups", "context", "sites not usable")

_HEAD = """# Models that open

`interp.load` opens any causal language model of transformers that has attention in every block, \
from a folder, a GGUF file or a Hub id. This page is written by `python -m bench.models` from tiny \
models with random weights, one of each family below; a test remakes rows of it. Other families \
take the same routes and are checked at load in the same way.

- **blocks**: the blocks run one by one. Sweeps skip what they can (shared prefixes, blocks below \
an edit), and every site exists.
- **module**: the module runs as a whole under hooks: slower, and `q`, `k`, `v` and `pattern` do \
not exist, nor do the analyses that need them (attention masks, AF1, trees).

`float32` and `float64`: the largest difference from Hugging Face's own logits (eager attention), \
as a share of the largest |logit|. *KV groups*: key/value heads of as many query heads. *Context*: \
of the tiny model; 2,048 stands where a model has no limit and names none (ALiBi). Sliding windows \
here are 5 positions, shorter than the prompts.

`attn_out` and `mlp_out` are the tensors that are added to the residual stream. Where a \
normalisation stands behind a sublayer (Gemma 2 and 3, OLMo 2 and 3, GLM 4, Exaone 4) that is its \
output; where a multiplier does (Granite), the multiplied one; where the sublayer adds the stream \
itself (BLOOM, MPT), what it adds. `resid_mid` does not exist where attention and MLP run in \
parallel, `mlp_post` not where the MLP is a mixture of experts. `q` and `k` are the projections' \
outputs, before a normalisation of them (Qwen3, Gemma 3, OLMo 2) and before the rotation.

"""

_TAIL = """
GPT-J, GPT-Neo, CodeGen and MPT compute attention in float32 in every precision: their float64 is \
equal to about 1e-8. XGLM's own forward fails in float64.

Not opened, each with its reason: models without attention in some block (Mamba, RWKV, Jamba, \
LFM2), encoder-decoders and encoders (T5, BERT), models without a final normalisation (the first \
GPT; OPT-350m), and any whose logits the self-check cannot reproduce.
"""


def compare(family: str, folder: Path, dtype: str) -> tuple[Model, float]:
    """The loaded model, and its largest difference from Hugging Face's module alone."""
    model = interp.load(str(folder), dtype=dtype)
    batch = model.prompts(interp.Addition(3).sample(5, seed=0), format="padded")
    got = interp.engine.run(model, batch).logits
    assert got is not None
    places = [torch.from_numpy(batch.predicting_positions(r)) for r in batch.answer_roles]
    ends = torch.stack(places, dim=1)
    with torch.no_grad():
        tokens = batch.tokens[:, : int(ends.max()) + 1]
        want = families.plain(folder, model.dtype)(tokens).logits
    want = want[torch.arange(len(batch))[:, None], ends]
    return model, float((got - want).abs().max() / want.abs().max())


def row(family: str) -> dict[str, str]:
    """One row of the page."""
    with tempfile.TemporaryDirectory() as place:
        folder = families.save(family, Path(place))
        model, single = compare(family, folder, "float32")
        double = None if family in _NO_FLOAT64 else compare(family, folder, "float64")[1]
    s = model.shape
    equal = _BOUND_IN_FLOAT32 if family in _IN_FLOAT32 else EQUAL["float64"]
    lacks = [site for site in SITES if site not in model.usable_sites]
    return {
        "family": f"{family} (`{model.family}`)",
        "route": model.route,
        "float32": _shown(single, EQUAL["float32"]),
        "float64": "no float64" if double is None else _shown(double, equal),
        "KV groups": f"{s.n_kv_heads} of {s.n_heads}",
        "context": f"{s.n_ctx:,}",
        "sites not usable": ", ".join(f"`{site}`" for site in lacks) or "none",
    }


def _shown(gap: float, equal: float) -> str:
    """The difference, bold where the two are not equal."""
    if not gap <= equal:
        return f"**{gap:.1e}**"
    return f"{gap:.0e}" if gap else "0"


def table(rows: Iterable[dict[str, str]]) -> str:
    """The rows as a Markdown table."""
    lines = [_line(_COLUMNS), _line("---" for _ in _COLUMNS)]
    return "\n".join([*lines, *(_line(r[c] for c in _COLUMNS) for r in rows)]) + "\n"


def _line(cells: Iterable[Any]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Write the page, one family after the other."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    rows = []
    for family in families.FAMILIES:
        rows.append(row(family))
        print(_line(rows[-1].values()), flush=True)
    write_atomic(PAGE, (_HEAD + table(rows) + _TAIL).encode())


if __name__ == "__main__":
    main()
