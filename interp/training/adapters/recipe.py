"""Recipe of an adapter: low-rank updates that teach a language model arithmetic."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from interp.arithmetic.formats import format, format_names
from interp.arithmetic.held_out import Split
from interp.arithmetic.tasks import task
from interp.errors import InputError
from interp.training.schedule import validate_schedule

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class AdapterRecipe:
    """LoRA (2106.09685) on a pre-trained model: W becomes W + (alpha / rank) · B A.

    The training data are sums, differences and products as people write them, each followed by a
    line break. The loss is the cross-entropy of the answers plus `prose_weight` times
    KL(base ‖ adapted) on windows of prose, which limits drift on ordinary text.

    Raises InputError for inconsistent fields.
    """

    weights_file: ClassVar[str] = "adapter_model.safetensors"
    muon_rate: ClassVar[float | None] = None  # AdamW for all

    name: str
    base: str
    tasks: tuple[tuple[str, float], ...]  # task and its share of the rows; the card's is the first
    styles: tuple[tuple[str, float], ...]  # the first is in every step, the others are drawn
    other_styles: tuple[str, ...] = ()  # never trained on, scored in the card

    rank: int = 16
    alpha: float = 32.0
    projections: tuple[str, ...] = PROJECTIONS
    # In place of rank, alpha and projections: the whole slices of these heads only.
    heads: tuple[tuple[int, int], ...] = ()
    shared_kv: bool = False  # also train keys and values shared with the group
    # Warm start: a trained adapter (name or folder) of the same base and shape; the optimiser and
    # the schedule restart. None for an initial update of zero.
    warm_start: str | None = None

    batch: int = 64  # problems a step
    first_share: float = 0.75  # of the rows, in the first style; the rest in one that is drawn
    prose_rows: int = 1
    prose_tokens: int = 48
    prose_weight: float = 1.0
    test_share: float = 1 / 8
    validation_share: float = 1 / 32
    split_seed: int = 0

    steps: int = 300
    learning_rate: float = 1e-3
    warmup: int = 15
    decay: str = "cosine"
    final_rate: float = 0.01
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0
    precision: str = "bfloat16"
    seed: int = 0

    target: float | None = None
    evaluate_every: int = 50
    evaluate_n: int = 60
    log_every: int = 10
    gradients_every: int | None = None
    checkpoint_every: int = 25
    series: tuple[int, ...] = ()
    card_n: int = 100  # held-out problems of each task in each style

    def __post_init__(self) -> None:
        validate_schedule(self)
        if self.rank < 1:
            raise InputError(f"rank={self.rank}: at least 1 is needed")
        if not 0 <= self.first_share <= 1:
            raise InputError(f"first_share={self.first_share} is a share of the rows: 0 to 1")
        if not (self.alpha > 0 and self.prose_weight >= 0 and self.prose_rows >= 0):
            raise InputError("alpha must be above 0, prose_weight and prose_rows not below 0")
        if self.prose_tokens < 2:
            raise InputError(f"prose_tokens={self.prose_tokens}: a window needs at least 2")
        if len(set(self.heads)) < len(self.heads) or any(min(pair) < 0 for pair in self.heads):
            raise InputError(f"heads={self.heads} must be different pairs (layer, head) from 0 on")
        if not self.tasks or not self.styles or not self.projections:
            raise InputError("an adapter needs at least one task, one style and one projection")
        if any(not weight > 0 for _, weight in (*self.tasks, *self.styles)):
            raise InputError("the weights of tasks and styles must be above 0")
        if unknown := sorted(set(self.projections) - set(PROJECTIONS)):
            raise InputError(f"no projection {unknown}; there are {', '.join(PROJECTIONS)}")
        for name, _ in self.tasks:
            if not self.styles_of(name):
                raise InputError(
                    f"no style can write {name}: add one of {', '.join(format_names(task(name)))}"
                )
        Split(self.test_share, self.validation_share, self.split_seed)

    def styles_of(self, task_name: str) -> tuple[str, ...]:
        """The trained styles that support a task."""
        the_task = task(task_name)
        return tuple(style for style, _ in self.styles if format(style).accepts(the_task))

    @property
    def last_step(self) -> int:
        """Number of steps of a run without early stopping."""
        return self.steps

    def to_json(self) -> dict[str, Any]:
        """The recipe as plain JSON values, the inverse of `from_json`."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> AdapterRecipe:
        """The recipe of JSON values, the inverse of `to_json`.

        Raises InputError for an unknown field.
        """
        known = {item.name for item in fields(cls)}
        if unknown := sorted(set(content) - known):
            raise InputError(f"no adapter's recipe has {unknown}; the fields are {sorted(known)}")
        return cls(**{name: _tuples(value) for name, value in content.items()})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
