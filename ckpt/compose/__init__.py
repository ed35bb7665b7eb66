"""Several saved models in one program: in separate graphs, chained, or merged into one graph."""

from ckpt.compose.chain import Chain, chain
from ckpt.compose.check import CheckedOutput, CheckReport, check
from ckpt.compose.files import MergeReport, merge_files, plan_report
from ckpt.compose.merged import Merged, MergePlan, merge_graphs, plan_merge
from ckpt.compose.models import Model, load_models

__all__ = [
    "Chain",
    "CheckReport",
    "CheckedOutput",
    "MergePlan",
    "MergeReport",
    "Merged",
    "Model",
    "chain",
    "check",
    "load_models",
    "merge_files",
    "merge_graphs",
    "plan_merge",
    "plan_report",
]
