"""Restoring: check that the checkpoint fits the graph, then run the Saver's restore operation."""

from __future__ import annotations

import os
from typing import Any

from ckpt.core import defs
from ckpt.core.errors import InvalidArgumentError, NotFoundError, OpError
from ckpt.formats import detect
from ckpt.graph.graph import Graph
from ckpt.ops import io
from ckpt.saver.restored import restored


def restore(sess: Any, saver_def: defs.SaverDef, save_path: Any) -> None:
    """Run the restore operation of `saver_def` on the checkpoint of this prefix (or file).

    Raises ValueError for None or a checkpoint that is not there, NotFoundError listing every missing tensor,
    InvalidArgumentError listing every tensor of another shape (unless it is reshaped) or dtype.
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
    _check(sess.graph, saver_def, path, resolved)
    sess.run(saver_def.restore_op_name, {saver_def.filename_tensor_name: path})


def _check(graph: Graph, saver_def: defs.SaverDef, path: str, resolved: str) -> None:
    """Raise NotFoundError or InvalidArgumentError listing everything that the checkpoint lacks or has otherwise."""
    wanted = restored(graph, saver_def.restore_op_name)
    with detect.open_reader(resolved) as reader:
        names = [one.name for one in wanted]
        try:
            io.check_held(path, names, set(reader.names()))
            io.check_dtypes(path, names, [one.dtype for one in wanted], reader)
        except OpError as error:
            error.op, error.node_def = wanted[0].source, wanted[0].source.node_def
            raise
        wrong = [
            f"  {one.name}: the graph has {one.shape}, the checkpoint has {list(reader.spec(one.name).shape)}"
            for one in wanted
            if not one.slice_spec and not one.shape.is_compatible_with(reader.spec(one.name).shape)
        ]
    if wrong:
        raise InvalidArgumentError(
            None,
            None,
            f"{path}: {len(wrong)} tensors have another shape than the variable (graph mismatch):\n"
            + "\n".join(wrong)
            + "\nBuild the graph that wrote this checkpoint, or leave these variables out of var_list.",
        )
