"""The six prompt styles of "All for One" (arXiv 2509.09650), for sums and differences.

Two operands are asked in the paper's own words. The paper also studies A+B+C, A-B-C and A+B-C,
whose wordings it does not print; for three operands and more the sentences here say the same thing
step by step, and are this project's.

`op` is the word that names the operation where one word does (sum, add, plus, …); the word problems
have none.
"""

from collections.abc import Callable

from interp.arithmetic.formats.standard import formula, not_modular, operator_role
from interp.arithmetic.formats.templates import TemplateFormat, Wording
from interp.arithmetic.specification import OPERAND_NAMES
from interp.arithmetic.tasks import Task

_PYTHON_NAMES = "abcdefghij"
_PAIR: dict[str, dict[str, str]] = {
    "verbal": {
        "+": "The [op|sum] of <a> and <b> is ",
        "-": "The [op|difference] of <a> and <b> is ",
    },
    "qa": {
        "+": "What is the [op|sum] of <a> and <b>? Answer: ",
        "-": "What is the [op|difference] of <a> and <b>? Answer: ",
    },
    "instruction": {
        "+": "If you [op|add] <a> to <b>, you will get ",
        "-": "If you [op|subtract] <b> from <a>, you will get ",
    },
    "word": {
        "+": "John has <a> cookies. Jane has <b> cookies. Together they have ",
        "-": "John has <a> cookies. He gave Jane <b> cookies. John now has ",
    },
}


def sums_and_differences(task: Task) -> bool:
    """Tasks of + and - whose answer is what the formula says."""
    return not_modular(task) and {op for gap in task.operators for op in gap} <= {"+", "-"}


def _chained(operators: tuple[str, ...], start: str, plus: str, minus: str) -> str:
    """`start`, then one phrase an operator; `{op}` and `{n}` are its role and its operand."""
    text = start
    for gap, operator in enumerate(operators):
        phrase = plus if operator == "+" else minus
        text += phrase.format(op=operator_role(gap), n=f"<{OPERAND_NAMES[gap + 1]}>")
    return text


def _verbal(operators: tuple[str, ...]) -> str:
    chain = _chained(operators, "<a>", " [{op}|plus] {n}", " [{op}|minus] {n}")
    return f"The result of {chain} is "


def _question(operators: tuple[str, ...]) -> str:
    chain = _chained(operators, "<a>", " [{op}|plus] {n}", " [{op}|minus] {n}")
    return f"What is {chain}? Answer: "


def _instruction(operators: tuple[str, ...]) -> str:
    start = "If you start with <a>"
    chain = _chained(operators, start, ", [{op}|add] {n}", ", [{op}|subtract] {n}")
    return f"{chain}, you will get "


def _word_problem(operators: tuple[str, ...]) -> str:
    given, gave = " Jane gave him {n} cookies.", " He gave Jane {n} cookies."
    return _chained(operators, "John has <a> cookies.", given, gave) + " John now has "


def _python(operators: tuple[str, ...]) -> str:
    names = _PYTHON_NAMES[: len(operators) + 1]
    lines = "".join(
        f"{name} = <{letter}>; " for name, letter in zip(names, OPERAND_NAMES, strict=False)
    )
    expression = names[0] + "".join(
        f" [{operator_role(gap)}|{operator}] {name}"
        for gap, (operator, name) in enumerate(zip(operators, names[1:], strict=True))
    )
    return f"{lines}print({expression}) # should print "


def _worded(style: str, longer: Callable[[tuple[str, ...]], str]) -> Wording:
    def wording(operators: tuple[str, ...]) -> str:
        return _PAIR[style][operators[0]] if len(operators) == 1 else longer(operators)

    return wording


AF1 = (
    TemplateFormat("af1-original", formula, sums_and_differences),
    *(
        TemplateFormat(f"af1-{style}", wording, sums_and_differences, fluent=True)
        for style, wording in {
            "verbal": _worded("verbal", _verbal),
            "qa": _worded("qa", _question),
            "instruction": _worded("instruction", _instruction),
            "word": _worded("word", _word_problem),
            "python": _python,
        }.items()
    ),
)
