"""Several saved models in one program: in separate graphs, chained, or merged into one graph."""

from ckpt.compose.chain import Chain, chain
from ckpt.compose.merged import Merged, MergeReport, merge_files, merge_graphs
from ckpt.compose.models import Model, load_models

__all__ = [
    "Chain",
    "MergeReport",
    "Merged",
    "Model",
    "chain",
    "load_models",
    "merge_files",
    "merge_graphs",
]
