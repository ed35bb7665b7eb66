"""Restoring: check that the checkpoint fits the graph, then run the Saver's restore operation."""

from __future__ import annotations

import os
from typing import Any

from ckpt.core import defs
from ckpt.core.errors import InvalidArgumentError, NotFoundError
from ckpt.formats import detect
from ckpt.graph.graph import Graph


def restore(sess: Any, saver_def: defs.SaverDef, save_path: Any, *, reshape: bool = False) -> None:
    """Run the restore operation of `saver_def` on the checkpoint of this prefix (or file).

    Raises ValueError for None or a checkpoint that is not there, NotFoundError listing every missing tensor,
    InvalidArgumentError listing every tensor of another shape (unless `reshape`) or dtype.
    """
    if save_path is None:
        raise ValueError("Can't load save_path when it is None.")
    path = os.fspath(save_path)
    try:
        resolved = detect.resolve(path)
    except NotFoundError as error:
        raise ValueError(
            f"The passed save_path is not a valid checkpoint: {path}: {error}"
        ) from error
    if not reshape:
        _check_shapes(sess.graph, saver_def, path, resolved)
    sess.run(saver_def.restore_op_name, {saver_def.filename_tensor_name: path})


def _check_shapes(graph: Graph, saver_def: defs.SaverDef, path: str, resolved: str) -> None:
    """Raise InvalidArgumentError listing every variable whose shape is another one in the file."""
    wanted = _restored_shapes(graph, saver_def)
    if not wanted:
        return
    with detect.open_reader(resolved) as reader:
        held = set(reader.names())
        wrong = [
            f"  {name}: the graph has {shape}, the checkpoint has {list(reader.spec(name).shape)}"
            for name, shape in wanted
            if name in held and not _fits(shape, reader.spec(name).shape)
        ]
    if wrong:
        raise InvalidArgumentError(
            None,
            None,
            f"{path}: {len(wrong)} tensors have another shape than the variable (graph mismatch):\n"
            + "\n".join(wrong)
            + "\nBuild the graph that wrote this checkpoint, or leave these variables out of var_list.",
        )


def _restored_shapes(graph: Graph, found: defs.SaverDef) -> list[tuple[str, Any]]:
    """(name in the checkpoint, static shape of the variable) of every whole variable that a restore assigns."""
    wanted = []
    restore = graph.get_operation_by_name(found.restore_op_name)
    for assign in restore.control_inputs:
        if assign.type != "Assign" or assign.inputs[1].op.type != "RestoreV2":
            continue
        source = assign.inputs[1]
        names, specs = (source.op.inputs[i].op.attrs.get("value") for i in (1, 2))
        if names is None or specs is None or specs[source.value_index]:
            continue
        wanted.append(
            (names[source.value_index].decode("utf-8", "surrogateescape"), assign.inputs[0].shape)
        )
    return wanted


def _fits(shape: Any, sizes: tuple[int, ...]) -> bool:
    return bool(shape.is_compatible_with(sizes))
