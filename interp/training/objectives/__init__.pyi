from .answer import AnswerLoss as AnswerLoss
from .base import Losses as Losses
from .base import Objective as Objective
from .base import Step as Step
from .by_kind import OBJECTIVES as OBJECTIVES
from .by_kind import objective_from as objective_from
from .icot import ImplicitChain as ImplicitChain
from .running_sum import RunningSumLoss as RunningSumLoss
