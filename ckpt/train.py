"""Facade: the names of `tf.train`. Re-exports only."""

from typing import Any

from ckpt.model.saveable import SaveableObject, SaveSpec
from ckpt.model.steps import (
    assert_global_step,
    create_global_step,
    get_global_step,
    get_or_create_global_step,
    global_step,
)
from ckpt.optimize.optimizers import (
    AdamOptimizer,
    GradientDescentOptimizer,
    MomentumOptimizer,
    Optimizer,
)
from ckpt.optimize.schedules import (
    cosine_decay,
    exponential_decay,
    inverse_time_decay,
    natural_exp_decay,
    polynomial_decay,
)
from ckpt.saver.building import SaverBuilder
from ckpt.saver.graph_file import write_graph
from ckpt.saver.history import remove_checkpoint
from ckpt.saver.metagraph import export_meta_graph, import_meta_graph
from ckpt.saver.report import RestoreReport
from ckpt.saver.saver import Saver
from ckpt.saver.state_file import (
    CheckpointState,
    checkpoint_exists,
    generate_checkpoint_state_proto,
    get_checkpoint_state,
    latest_checkpoint,
    update_checkpoint_state,
)

_MESSAGES = ("SaverDef",)


def __getattr__(name: str) -> Any:
    """The message classes, which load protobuf only when they are used."""
    if name in _MESSAGES:
        from ckpt.wire import messages

        return getattr(messages, name)
    raise AttributeError(f"module 'ckpt.train' has no attribute {name!r}")


__all__ = [
    "AdamOptimizer",
    "CheckpointState",
    "GradientDescentOptimizer",
    "MomentumOptimizer",
    "Optimizer",
    "RestoreReport",
    "SaveSpec",
    "SaveableObject",
    "Saver",
    "SaverBuilder",
    "SaverDef",
    "assert_global_step",
    "checkpoint_exists",
    "cosine_decay",
    "create_global_step",
    "exponential_decay",
    "export_meta_graph",
    "generate_checkpoint_state_proto",
    "get_checkpoint_state",
    "get_global_step",
    "get_or_create_global_step",
    "global_step",
    "import_meta_graph",
    "inverse_time_decay",
    "latest_checkpoint",
    "natural_exp_decay",
    "polynomial_decay",
    "remove_checkpoint",
    "update_checkpoint_state",
    "write_graph",
]
