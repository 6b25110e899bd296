"""What an analysis returns: the Result contract, named-axis arrays, intervals and safe files.

numpy, pandas and pyarrow only; figures are found at call time. Importing the room makes every
Result type known, so `Result.load` can read any saved folder.
"""

from interp.results.ablation import AblationScore
from interp.results.ablation_comparison import AblationComparison
from interp.results.ablation_grid import AblationGrid
from interp.results.ablation_removal import LayerRemoval
from interp.results.ablation_search import AllForOne
from interp.results.ablation_table import CamaTable
from interp.results.ablation_transfer import AblationTransfer
from interp.results.agreement import Agreement
from interp.results.approximation import Approximation
from interp.results.atomic import folder_atomic, write_atomic
from interp.results.attribution import CounterfactualAttribution, SwapExample
from interp.results.behaviour import Behaviour, PromptSearch
from interp.results.cookbook import CookbookScores
from interp.results.doctor import Diagnosis
from interp.results.dynamics import DigitLosses, TrainingDynamics
from interp.results.errors import ErrorTaxonomy
from interp.results.explain import ErrorExplanation
from interp.results.grid import Axis, Grid
from interp.results.identity import ModelId
from interp.results.intervals import (
    Interval,
    benjamini_hochberg,
    mean_interval,
    ratio_interval,
    wilson,
)
from interp.results.logit_lens import LogitLens
from interp.results.noisy_prefix import NoisyPrefix
from interp.results.over_series import OverSeries
from interp.results.probes import ProbeSweep
from interp.results.probes_baseline import OneHotBaseline, RunningSums
from interp.results.probes_use import ProbeUse
from interp.results.result import MIN_DISTINCT, Result
from interp.results.selfcheck import SelfCheck
from interp.results.settings import Settings
from interp.results.tokenisation import TokenisationReport
from interp.results.versions import installed_versions

__all__ = [
    "MIN_DISTINCT",
    "AblationComparison",
    "AblationGrid",
    "AblationScore",
    "AblationTransfer",
    "Agreement",
    "AllForOne",
    "Approximation",
    "Axis",
    "Behaviour",
    "CamaTable",
    "CookbookScores",
    "CounterfactualAttribution",
    "Diagnosis",
    "DigitLosses",
    "ErrorExplanation",
    "ErrorTaxonomy",
    "Grid",
    "Interval",
    "LayerRemoval",
    "LogitLens",
    "ModelId",
    "NoisyPrefix",
    "OneHotBaseline",
    "OverSeries",
    "ProbeSweep",
    "ProbeUse",
    "PromptSearch",
    "Result",
    "RunningSums",
    "SelfCheck",
    "Settings",
    "SwapExample",
    "TokenisationReport",
    "TrainingDynamics",
    "benjamini_hochberg",
    "folder_atomic",
    "installed_versions",
    "mean_interval",
    "ratio_interval",
    "wilson",
    "write_atomic",
]
