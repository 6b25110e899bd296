"""Model and tokenizer of a recipe: standard Hugging Face classes, random weights.

A standard config expresses every option of a recipe, so the saved folder loads in any tool without
this package.
"""

from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from interp.arithmetic.formats import format
from interp.arithmetic.tasks import task
from interp.errors import InputError
from interp.models.loading import open_module
from interp.models.sources import resolve
from interp.training.heads import train_only
from interp.training.optimiser import block_matrices
from interp.training.recipes import Recipe
from interp.training.warm_start import BEHAVIOUR, check_start

PAD, BOS, UNKNOWN = "<pad>", "<bos>", "<unk>"

# Without LayerNorm: ε is so large that var + ε = ε to the last bit. With the gain √ε the layer only
# subtracts the mean, which is linear and folds into the neighbouring weights. The config stays
# standard.
NO_NORM_EPSILON = 1e12


def build_model(recipe: Recipe, *, going_on: bool = False) -> Any:
    """A `GPT2LMHeadModel` or `LlamaForCausalLM` with the recipe's shape, initialised from its seed
    or from its base. With `going_on` a checkpoint will replace the trained parameters, and the base
    is opened only for the others.

    No dropout; "eager" attention (two products and a softmax), which on a CPU is faster at these
    lengths than the fused kernel. The caller's random state is unchanged.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = _gpt2(recipe) if recipe.family == "gpt2" else _llama(recipe)
    if recipe.positions == "none":
        _freeze(model.transformer.wpe.weight, 0.0)
    if not recipe.layer_norm:
        for name, parameter in model.named_parameters():
            if ".ln_" in name:
                _freeze(parameter, NO_NORM_EPSILON**0.5 if name.endswith("weight") else 0.0)
    if recipe.base is not None and (recipe.heads or not going_on):
        _start_from(model, recipe.base, recipe)
    if recipe.heads:
        train_only(model, recipe.heads, shared_kv=recipe.shared_kv)
    return model.train()


def build_tokenizer(recipe: Recipe) -> PreTrainedTokenizerFast:
    """A tokenizer with one token a digit or sign; in the format `modular`, one a number. Blanks
    have a token only in formats that place them at random.

    The vocabulary is the characters of the recipe's format, digits (or residues) first, so that a
    digit's token id is the digit, then the special tokens. Unknown characters become `<unk>`.
    """
    digits = _digits(recipe)
    splitters = _splitters(recipe)
    text = "\n".join(_examples(recipe))
    signs = {piece for piece, _ in splitters.pre_tokenize_str(text)} - set(digits)
    specials = [PAD, UNKNOWN, *([BOS] if recipe.bos else [])]
    vocabulary = {symbol: i for i, symbol in enumerate([*digits, *sorted(signs), *specials])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = splitters
    if " " not in text or format(recipe.format).spaced:  # else blanks go between the tokens
        tokenizer.decoder = decoders.Fuse()
    if recipe.bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{BOS} $A", special_tokens=[(BOS, vocabulary[BOS])]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        bos_token=BOS if recipe.bos else None,
        model_max_length=context(recipe),
        clean_up_tokenization_spaces=False,
    )


def context(recipe: Recipe) -> int:
    """`n_ctx`: the recipe's, or the token count of the longest written problem.

    Raises InputError if the recipe's is shorter than that.
    """
    splitters = _splitters(recipe)
    lengths = (len(splitters.pre_tokenize_str(text)) for text in _examples(recipe))
    needed = max(lengths) + recipe.bos
    if recipe.n_ctx is not None and recipe.n_ctx < needed:
        raise InputError(
            f"n_ctx={recipe.n_ctx} is too short: {recipe.task} in the format {recipe.format!r} "
            f"takes {needed} tokens"
        )
    return recipe.n_ctx or needed


def _digits(recipe: Recipe) -> list[str]:
    if recipe.format != "modular":
        return list("0123456789")
    the_task = task(recipe.task)
    return [f"{value:0{the_task.answer_digits}}" for value in range(the_task.operand_limits[0])]


def _splitters(recipe: Recipe) -> Any:
    # `||` and `####` are one token each (the ICoT format); every other token is one character.
    pieces = r"\d+|\S" if recipe.format == "modular" else r"\|\||#+|\S"
    if format(recipe.format).spaced:
        return pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\s+"), "removed"),
            pre_tokenizers.Split(Regex(pieces), "isolated"),
        ]
    )


def _examples(recipe: Recipe) -> list[str]:
    problems = task(recipe.task).sample(256, seed=0)
    return [written.text for written in format(recipe.format).render(problems)]


def _gpt2(recipe: Recipe) -> Any:
    return GPT2LMHeadModel(
        GPT2Config(
            **_common(recipe),
            n_positions=context(recipe),
            n_embd=recipe.d_model,
            n_layer=recipe.n_layers,
            n_head=recipe.n_heads,
            n_inner=recipe.d_mlp or 4 * recipe.d_model,
            activation_function=recipe.activation,
            layer_norm_epsilon=1e-5 if recipe.layer_norm else NO_NORM_EPSILON,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
        )
    )


def _llama(recipe: Recipe) -> Any:
    return LlamaForCausalLM(
        LlamaConfig(
            **_common(recipe),
            max_position_embeddings=context(recipe),
            hidden_size=recipe.d_model,
            num_hidden_layers=recipe.n_layers,
            num_attention_heads=recipe.n_heads,
            num_key_value_heads=recipe.n_kv_heads or recipe.n_heads,
            intermediate_size=recipe.d_mlp or 4 * recipe.d_model,
            hidden_act=recipe.activation,
        )
    )


def _common(recipe: Recipe) -> dict[str, Any]:
    tokenizer = build_tokenizer(recipe)
    return {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": None,
        "pad_token_id": tokenizer.pad_token_id,
        "tie_word_embeddings": recipe.tied,
        "attn_implementation": "eager",
        "dtype": "float32",
        "initializer_range": recipe.initializer_range,
    }


def _start_from(model: Any, base: str, recipe: Recipe) -> None:
    """Load the weights of a trained model. Matrices of the blocks become shrink · trained +
    (1 - shrink) · drawn. Raises InputError if its shape, tokens or architecture differ, or if it
    may have been trained on problems that are held out here."""
    check_start(base, recipe, BEHAVIOUR)
    trained, tokenizer, _ = open_module(resolve(base), torch.float32)
    matrices = block_matrices(dict(model.named_parameters())) if recipe.shrink < 1 else {}
    drawn = {name: matrix.detach().clone() for name, matrix in matrices.items()}
    try:
        model.load_state_dict(trained.state_dict())
    except RuntimeError as error:
        raise InputError(
            f"the base {base!r} is not of this recipe's shape: copy n_layers, d_model and d_mlp "
            "from its card"
        ) from error
    if tokenizer.get_vocab() != build_tokenizer(recipe).get_vocab():
        raise InputError(
            f"the base {base!r} has other tokens than {recipe.task} in the format {recipe.format!r}"
        )
    with torch.no_grad():
        for name, matrix in matrices.items():
            matrix.mul_(recipe.shrink).add_(drawn[name], alpha=1 - recipe.shrink)


def _freeze(parameter: torch.nn.Parameter, value: float) -> None:
    with torch.no_grad():
        parameter.fill_(value)
    parameter.requires_grad_(False)
