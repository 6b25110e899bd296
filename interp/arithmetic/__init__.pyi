from .counterfactuals import (
    all_digit_swaps as all_digit_swaps,
)
from .counterfactuals import (
    flip_truth as flip_truth,
)
from .counterfactuals import (
    same_answer as same_answer,
)
from .counterfactuals import (
    swap_digit as swap_digit,
)
from .counterfactuals import (
    swap_operand as swap_operand,
)
from .counterfactuals import (
    swap_operator as swap_operator,
)
from .oracle import (
    DigitChanges as DigitChanges,
)
from .oracle import (
    digit_change_probability as digit_change_probability,
)
from .oracle import (
    digit_changes as digit_changes,
)
from .oracle import (
    rederive as rederive,
)
from .problems import Problems as Problems
from .samplers import sampler_names as sampler_names
from .splits import (
    split_by_operand as split_by_operand,
)
from .splits import (
    split_by_pair as split_by_pair,
)
from .subtasks import (
    complexity as complexity,
)
from .subtasks import (
    subtask_class as subtask_class,
)
from .tasks import (
    Addition as Addition,
)
from .tasks import (
    Expression as Expression,
)
from .tasks import (
    MixedAddition as MixedAddition,
)
from .tasks import (
    ModularAddition as ModularAddition,
)
from .tasks import (
    Multiplication as Multiplication,
)
from .tasks import (
    Subtraction as Subtraction,
)
from .tasks import (
    Task as Task,
)
from .tasks import (
    task as task,
)
