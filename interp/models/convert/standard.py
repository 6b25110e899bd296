"""A converted source: standard configuration, standard tensors, and the source's forward."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from interp.errors import InputError, ModelError


@dataclass(frozen=True)
class Options:
    """User settings that a state dict does not contain.

    heads          number of attention heads
    activation     activation function: "gelu", "gelu_new" (the tanh formula), "relu", "silu"
    normalization  "LNPre" for layer norms without weights, "none" for no normalisation
    causal         whether a token sees the earlier ones alone
    attention_rate α of attention rows α · softmax + (1 − α)
    """

    heads: int | None = None
    activation: str | None = None
    normalization: str | None = None
    causal: bool | None = None
    attention_rate: float | None = None


@dataclass(frozen=True)
class Standard:
    """A model in the layout of transformers, with the source's forward for verification.

    config    a GPT2Config, LlamaConfig or ToyConfig
    tensors   by the names of that class
    forward   token ids [n, P] → logits [n, P, d_vocab_out] in float64, straight from the source
    notes     assumptions and filled-in values
    """

    config: Any
    tensors: Mapping[str, Tensor]
    forward: Callable[[Tensor], Tensor]
    notes: tuple[str, ...] = ()


def agreed(name: str, given: int | None, saved: Any) -> int:
    """A number given by the user, saved with the weights, or both.

    Raises InputError if neither exists, or they disagree.
    """
    if given is None and saved is None:
        raise InputError(
            f"the checkpoint does not say how many {name} the model has. Give it: "
            f"{name}=… (--{name})."
        )
    if given is not None and saved is not None and given != saved:
        raise InputError(
            f"{name}={given} was given, but the checkpoint says {saved}. Leave {name} out, or "
            f"convert another file."
        )
    return int(saved if given is None else given)


def heads_note(heads: int, saved: Mapping[str, Any]) -> tuple[str, ...]:
    """A note where the number of heads is the user's word alone: any divisor of the width fits the
    tensors, and another one is another model."""
    if saved.get("n_head") is not None:
        return ()
    return (
        f"{heads} attention heads, as you said: no tensor tells, and another number computes "
        f"something else; a reference (--reference) or the model's accuracy shows it",
    )


def size_of(tensors: Mapping[str, Tensor], name: str, family: str) -> tuple[int, ...]:
    """The shape of the tensor that determines a size; ModelError if the mapping lacks it."""
    if name not in tensors:
        raise ModelError(f"the mapping leaves out {name}, which every {family} folder holds.")
    return tuple(tensors[name].shape)


def only_keys(given: Mapping[str, Any], known: tuple[str, ...], family: str) -> None:
    """Raise InputError for a setting that the verification does not cover."""
    if unknown := sorted(set(given) - set(known)):
        raise InputError(
            f"the mapping's config says {', '.join(unknown)}; for {family} it may say "
            f"{', '.join(known)}, and everything else is read off the shapes."
        )
