"""Recipes of the shipped models: every value that differs from `Recipe`'s defaults.

A name with `-s1` or `-s2` is a replica: the same recipe with another seed.
"""

from dataclasses import fields, replace
from typing import Any

from interp.errors import InputError
from interp.training import design, teaching
from interp.training.adapters.recipe import AdapterRecipe
from interp.training.objectives.answer import AnswerLoss
from interp.training.objectives.base import Objective
from interp.training.products import FOUR_DIGITS, THREE_DIGITS
from interp.training.recipes import Recipe, draw
from interp.training.saved_recipes import AnyRecipe

# Five-digit sums, most significant digit first: the first answer digit already needs every
# carry. Only 1 in 22,000 uniform sums carries through all columns. So a quarter of each batch has a
# planted cascade, as in 2310.13121 and 2402.02619, and a quarter has runs of columns that propagate
# a carry, with or without a carry in, which are as rare. (A model trained without those failed on
# runs of three or more nines without a carry in.)
_ADD5 = Recipe(
    name="add5",
    task="add:5",
    mix=(
        draw("uniform", 0.5),
        draw("cascades", 0.25, share=1.0),
        draw("propagation", 0.25, share=1.0),
    ),
    learning_rate=2e-3,
    muon_rate=2.5,
    steps=2000,
    gradients_every=100,
)

# The same sums, least significant digit first: each carry can be read off the digit just printed,
# or computed from the operands below. Half the width and a fifth of the examples are enough.
_ADD5_REVERSED = replace(
    _ADD5,
    name="add5-reversed",
    format="reversed-answer",
    d_model=64,
    batch=256,
    steps=800,
    warmup=80,
    precision="float32",
    gradients_every=None,
    checkpoint_every=100,
    card_n=20_000,
)

# add5 with differences: the sign comes first, and the smaller number is taken from the larger.
_ADDSUB5 = replace(
    _ADD5,
    name="addsub5",
    task="addsub:5",
    n_layers=3,
    steps=3000,
    gradients_every=250,
)

# "Dissecting multiplication" (2407.15360): one layer, three heads. Ordinal answers plateau, because
# a cascade needs digits that are not yet written; reversed ones do not.
_MUL5X1_PLAIN = Recipe(
    name="mul5x1-plain",
    task="mul:5x1",
    n_layers=1,
    n_heads=3,
    d_model=192,
    gradients_every=250,
)
_MUL5X1_REVERSED = replace(_MUL5X1_PLAIN, name="mul5x1-reversed", format="reversed-answer")

# Grokking (2301.05217): the whole training grid at every step, strong weight decay, no LayerNorm,
# an untied unembedding, initial weights of scale 1/√d_model, and logarithms in float64. The paper
# trains on 30 % of the ordered pairs, which cover 51 % of the unordered ones in one order or both.
# Here a held-out pair is unseen in both orders, and 64 % are trained on, the coverage of 40 % of
# the ordered pairs: half of the held-out pairs are right after 1,000 steps. With 51 % the held-out
# loss was 30 after 8,000 steps, falling by 1.4 a thousand. With 30 % no model grokked, in 6,000
# steps at twice this rate or in 4,000 at three times this decay.
_MOD113 = Recipe(
    name="mod113",
    task="mod:113",
    format="modular",
    n_layers=1,
    activation="relu",
    layer_norm=False,
    tied=False,
    initializer_range=128**-0.5,
    batch=None,
    test_share=0.31,
    validation_share=0.05,
    objective=AnswerLoss(double=True),
    steps=4000,
    learning_rate=1e-3,
    warmup=10,
    decay="constant",
    weight_decay=1.0,
    precision="float32",
    log_every=20,
    evaluate_every=50,
    series=(0, 50, 125, 250, 500, 750, 1000, 1250, 1500, 2000, 2500, 3000, 4000),
)

_REPLICATED = (
    _ADD5,
    _ADD5_REVERSED,
    _ADDSUB5,
    _MUL5X1_PLAIN,
    _MUL5X1_REVERSED,
    _MOD113,
    *THREE_DIGITS,
)


def _replica(recipe: Recipe, seed: int) -> Recipe:
    return replace(recipe, name=f"{recipe.name}-s{seed}", seed=seed) if seed else recipe


# SmolLM2-135M answers two in five one-digit sums; rank 16 a projection is enough to teach it.
# `af1-original` writes the same text as `plain`. Held-out products are the hardest: a pair such as
# 7 × 8 is seen in no form. More steps help: a step takes a second or two.
_SMOLLM2_ARITH_START = AdapterRecipe(
    name="smollm2-arith-start",
    base="smollm2",
    tasks=(
        ("add:2", 0.36),
        ("sub:2", 0.3),
        ("add:3", 0.16),
        ("mul:1x1", 0.06),
        ("add:1", 0.06),
        ("sub:1", 0.06),
    ),
    styles=(
        ("plain", 1.0),
        ("calculate", 2.0),
        ("qa-short", 2.0),
        ("af1-verbal", 1.0),
        ("af1-qa", 1.0),
        ("af1-instruction", 1.0),
        ("af1-word", 1.0),
        ("af1-python", 1.0),
    ),
    other_styles=("plain@2:0",),
    steps=700,
)

# The start reached 94 % of the sums and 72 % of the differences, with the longest styles worst. So
# differences weigh more, and half of the rows have a drawn style.
_SMOLLM2_ARITH_MIDDLE = replace(
    _SMOLLM2_ARITH_START,
    name="smollm2-arith-middle",
    warm_start="runs/smollm2-arith-start",  # the output of `arithmoscope train smollm2-arith-start`
    tasks=(
        ("add:2", 0.22),
        ("sub:2", 0.42),
        ("add:3", 0.18),
        ("mul:1x1", 0.07),
        ("add:1", 0.04),
        ("sub:1", 0.07),
    ),
    styles=(
        ("plain", 1.0),
        ("calculate", 1.0),
        ("qa-short", 1.0),
        ("af1-verbal", 1.0),
        ("af1-qa", 1.0),
        ("af1-instruction", 1.5),
        ("af1-word", 1.5),
        ("af1-python", 1.0),
    ),
    first_share=0.5,
    steps=2000,
    warmup=50,
    seed=1,
)

# That stage reached 95 % of the three-digit sums and 29 of the 48 held-out one-digit products. The
# shipped stage adds more of the sums, and products of two digits by one, which contain the
# one-digit products: 46 of 48.
# A fourth stage of 1,100 steps, a third of its rows such products, is indistinguishable from it
# (44 of 48; two-digit sums 99.1 for 99.6 %, three-digit sums 99.1 for 98.4 %) and does not ship.
_SMOLLM2_ARITH = replace(
    _SMOLLM2_ARITH_MIDDLE,
    name="smollm2-arith",
    warm_start="runs/smollm2-arith-middle",
    tasks=(
        ("add:2", 0.12),
        ("sub:2", 0.14),
        ("add:3", 0.38),
        ("mul:1x1", 0.1),
        ("mul:2x1", 0.2),
        ("add:1", 0.03),
        ("sub:1", 0.03),
    ),
    steps=1500,
    seed=2,
)

# For comparison, precise fine-tuning (2409.01659): only the 27 of 270 heads with the largest effect
# on the answers of SmolLM2 itself, by first-order mean ablation on training problems
# (`bench.proofs.effective_heads`). Their keys and values are shared with other heads and stay
# frozen. The rate applies to whole slices: a LoRA step at 1e-3 changes a weight about as much.
_SMOLLM2_ARITH_HEADS = replace(
    _SMOLLM2_ARITH_START,
    name="smollm2-arith-heads",
    learning_rate=3e-4,
    heads=(
        *((0, head) for head in (0, 2, 4, 5, 6, 8)),
        *((1, 0), (4, 3), (4, 4), (5, 2), (6, 1), (11, 4), (11, 6), (11, 8), (12, 5), (14, 2)),
        *((14, 6), (16, 0), (20, 7), (20, 8), (21, 2), (23, 0), (23, 3), (24, 4), (24, 5)),
        *((29, 0), (29, 1)),
    ),
)

_ALL: tuple[Recipe | AdapterRecipe, ...] = (
    *(_replica(recipe, seed) for recipe in _REPLICATED for seed in range(3)),
    *FOUR_DIGITS,
    *design.STUCK.values(),
    _SMOLLM2_ARITH_START,
    _SMOLLM2_ARITH_MIDDLE,
    _SMOLLM2_ARITH,
    _SMOLLM2_ARITH_HEADS,
)

RECIPES: dict[str, Recipe | AdapterRecipe] = {recipe.name: recipe for recipe in _ALL}


def recipe_names() -> tuple[str, ...]:
    """The names of all recipes, in alphabetical order."""
    return tuple(sorted(RECIPES))


def known_recipe(name: str) -> AnyRecipe | None:
    """The recipe of that name without overrides; None if there is none."""
    return RECIPES.get(name) or design.RUNS.get(name) or teaching.RUNS.get(name)


def recipe(name: str, /, **overrides: Any) -> AnyRecipe:
    """The recipe of that name, with fields replaced: `recipe("add5", seed=1, name="add5-s1")`.

    Names are those of the shipped models and of the runs in `interp.training.design`.

    Lists and objects are read as in a recipe's JSON: `recipe("add5", heads=[[0, 1]])`.

    Raises:
        InputError: for an unknown recipe or field, or inconsistent values.
    """
    found = known_recipe(name)
    if found is None:
        raise InputError(f"no recipe {name!r}; there are {', '.join(recipe_names())}")
    known = [item.name for item in fields(found)]
    if unknown := sorted(set(overrides) - set(known)):
        raise InputError(f"no recipe has {unknown}; the fields are {', '.join(known)}")
    if not any(isinstance(value, list | dict) for value in overrides.values()):
        return replace(found, **overrides)
    # All at once, since one override may be valid only with another.
    objects: dict[str, Any] = {
        k: v for k, v in overrides.items() if isinstance(v, tuple | Objective)
    }
    content = found.to_json() | {k: v for k, v in overrides.items() if k not in objects}
    return replace(type(found).from_json(content), **objects)
