"""Until which layer tokens may wait, where information must move, where the answer is computed."""

from interp.ablation.af1 import af1
from interp.ablation.cama import cama
from interp.ablation.compare import compare
from interp.ablation.evaluate import evaluate
from interp.ablation.grid import grid
from interp.ablation.masks import full_peek, knock_out, self_peek, window
from interp.ablation.removal import removal
from interp.ablation.replacements import REPLACEMENTS, Replacement
from interp.ablation.schedule import Schedule
from interp.ablation.transfer import transfer
from interp.ablation.visible import MASKS

__all__ = [
    "MASKS",
    "REPLACEMENTS",
    "Replacement",
    "Schedule",
    "af1",
    "cama",
    "compare",
    "evaluate",
    "full_peek",
    "grid",
    "knock_out",
    "removal",
    "self_peek",
    "transfer",
    "window",
]
