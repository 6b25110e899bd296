"""Until which layer tokens may wait, where information must move, where the answer is computed."""

from interp.ablation.cache import cache_folder
from interp.ablation.evaluate import evaluate
from interp.ablation.masks import full_peek, knock_out, self_peek, window
from interp.ablation.replacements import REPLACEMENTS, Replacement
from interp.ablation.schedule import Schedule
from interp.ablation.visible import MASKS

__all__ = [
    "MASKS",
    "REPLACEMENTS",
    "Replacement",
    "Schedule",
    "cache_folder",
    "evaluate",
    "full_peek",
    "knock_out",
    "self_peek",
    "window",
]
