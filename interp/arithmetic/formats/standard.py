"""Formulas: `12+34=46` as long as written, padded, least digit first, grouped, a token a value.

Grouping by commas from the right or the left is from "Tokenization counts" (arXiv 2402.14903), the
answer written least significant digit first from "Teaching arithmetic to small transformers"
(2307.03381) and "Dissecting multiplication" (2407.15360).
"""

from interp.arithmetic.formats.numbers import NumberStyle
from interp.arithmetic.formats.templates import TemplateFormat
from interp.arithmetic.specification import OPERAND_NAMES
from interp.arithmetic.tasks import Task

PADDED = NumberStyle(padded=True)
REVERSED = NumberStyle(padded=True, least_first=True)
COMMAS_R2L = NumberStyle(separator=",", groups_from="right")
COMMAS_L2R = NumberStyle(separator=",", groups_from="left")


def is_modular(task: Task) -> bool:
    """True if sums wrap around, so that `a+b=` is ambiguous."""
    return task.arithmetic == "modular"


def not_modular(task: Task) -> bool:
    """Every task whose answer is what its formula says."""
    return not is_modular(task)


def any_task(task: Task) -> bool:
    """Every task: for models trained on this very text."""
    return True


def operator_role(gap: int) -> str:
    """`op`, then `op2`, `op3`, … for further gaps between operands."""
    return "op" if gap == 0 else f"op{gap + 1}"


def sum_markup(operators: tuple[str, ...], blank: str = "") -> str:
    """`<a>[op|+]<b>[op2|-]<d>`, with `blank` on both sides of each operator."""
    markup = "<a>"
    for gap, (operator, letter) in enumerate(zip(operators, OPERAND_NAMES[1:], strict=False)):
        markup += f"{blank}[{operator_role(gap)}|{operator}]{blank}<{letter}>"
    return markup


def formula(operators: tuple[str, ...]) -> str:
    """`<a>[op|+]<b>[eq|=]`"""
    return sum_markup(operators) + "[eq|=]"


def short_question(operators: tuple[str, ...]) -> str:
    """The question that small instruction-tuned models answer best with one-digit numbers."""
    return f"Question: What is {sum_markup(operators, ' ')}?\nAnswer: "


def calculation(operators: tuple[str, ...]) -> str:
    """`Calculate: a+b = `, the prompt of "Addition in four movements" (arXiv 2506.07824)."""
    return f"Calculate: {sum_markup(operators)} [eq|=] "


def value_tokens(operators: tuple[str, ...]) -> str:
    """`a b =`: no operator, since there is only one (arXiv 2301.05217)."""
    return "<a> <b> [eq|=]"


def value_pair(operators: tuple[str, ...]) -> str:
    """`a b`, the operands alone (arXiv 2306.17844)."""
    return "<a> <b>"


STANDARD = (
    TemplateFormat("plain", formula, not_modular),
    TemplateFormat("padded", formula, any_task, PADDED, PADDED),
    TemplateFormat("reversed", formula, any_task, REVERSED, REVERSED),
    TemplateFormat("reversed-answer", formula, any_task, PADDED, REVERSED),
    TemplateFormat("commas-r2l", formula, not_modular, COMMAS_R2L, COMMAS_R2L),
    TemplateFormat("commas-l2r", formula, not_modular, COMMAS_L2R, COMMAS_L2R),
    TemplateFormat("modular", value_tokens, is_modular, PADDED, PADDED, lead=" "),
    TemplateFormat("modular-pair", value_pair, is_modular, PADDED, PADDED, lead=" "),
    TemplateFormat("qa-short", short_question, not_modular, fluent=True),
    TemplateFormat("calculate", calculation, not_modular, fluent=True),
)
