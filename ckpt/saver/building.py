"""The nodes of a Saver in the graph, with TensorFlow's types, names and order: SaveV2, RestoreV2, the assignments."""

from __future__ import annotations

from collections.abc import Sequence

from ckpt.core import defs
from ckpt.graph import stack
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import control_dependencies, name_scope
from ckpt.ops import constants, control, io, shaping, state
from ckpt.saver.var_list import Saveable


def build(
    entries: Sequence[Saveable],
    *,
    name: str | None = None,
    filename: str | None = None,
    reshape: bool = False,
    restore_sequentially: bool = False,
    sharded: bool = False,
    max_to_keep: int = 0,
    keep_checkpoint_every_n_hours: float = 10000.0,
) -> defs.SaverDef:
    """Add the nodes that save and restore these entries to the default graph; the SaverDef names them."""
    with name_scope(name, "save", [e.reference for e in entries]):
        prefix = _filename(filename or "model")
        save = _save(prefix, entries)
        restore = _restore(prefix, entries, reshape, restore_sequentially)
    return defs.SaverDef(
        filename_tensor_name=prefix.name,
        save_tensor_name=save.name,
        restore_op_name=restore.name,
        max_to_keep=max_to_keep,
        sharded=sharded,
        keep_checkpoint_every_n_hours=keep_checkpoint_every_n_hours,
        version=2,
    )


def _filename(filename: str) -> Tensor:
    default = constants.constant(filename, name="filename/input")
    default = constants.placeholder_with_default(default, shape=(), name="filename")
    found: Tensor = constants.placeholder_with_default(default, shape=(), name="Const")
    return found


def _save(prefix: Tensor, entries: Sequence[Saveable]) -> Tensor:
    saved = io.save_v2(
        prefix,
        [entry.name for entry in entries],
        [entry.slice_spec for entry in entries],
        [entry.reference for entry in entries],
    )
    found: Tensor = control.with_dependencies([saved], prefix)
    return found


def _restore(
    prefix: Tensor, entries: Sequence[Saveable], reshape: bool, sequentially: bool
) -> Operation:
    tensors = io.restore_v2(
        prefix,
        [entry.name for entry in entries],
        [entry.slice_spec for entry in entries],
        dtypes=[entry.reference.dtype.base_dtype for entry in entries],
    )
    done: list[Operation] = []
    for entry, tensor in zip(entries, tensors, strict=True):
        with control_dependencies(done[-1:] if sequentially else []):
            done.append(_assignment(entry, tensor, reshape))
    with control_dependencies(done):
        return control.no_op(name="restore_all")


def _assignment(entry: Saveable, tensor: Tensor, reshape: bool) -> Operation:
    if reshape:
        tensor = shaping.reshape(tensor, entry.reference.shape.as_list())
    with stack.get_default_graph().colocate_with(entry.reference.op):
        found: Operation = state.assign_op(
            entry.reference,
            tensor,
            validate_shape=entry.reference.shape.is_fully_defined(),
            name="Assign",
        ).op
    return found
