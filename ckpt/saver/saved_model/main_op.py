"""Operations that make a loaded model ready: `tf.saved_model.main_op`."""

from __future__ import annotations

from typing import Any

from ckpt.graph.operation import Operation
from ckpt.graph.scopes import control_dependencies
from ckpt.model.lookup import tables_initializer
from ckpt.model.variable_collections import (
    global_variables_initializer,
    local_variables_initializer,
)
from ckpt.ops import control


def main_op() -> Operation:
    """The operation that initialises all variables and fills all tables."""
    variables = global_variables_initializer()
    return control.group(variables, local_variables_initializer(), tables_initializer())


def main_op_with_restore(restore_op_name: Any) -> Operation:
    """The operation that does what `main_op` does, then runs the operation given: a Saver's restore operation."""
    with control_dependencies([main_op()]):
        return control.group(restore_op_name)
