"""Tensors by description: `tf.saved_model.utils`."""

from __future__ import annotations

from typing import Any

from ckpt.core import defs
from ckpt.core.scope_names import inside
from ckpt.graph import stack
from ckpt.graph.graph import Graph
from ckpt.graph.sparse import SparseTensor
from ckpt.wire.plain import message, plain


def build_tensor_info(tensor: Any) -> Any:
    """The TensorInfo message of a tensor, a variable or a SparseTensor: its name (or names), dtype and static shape.

    The dtype of a variable that is no resource is that of its reference, such as `DT_FLOAT_REF`, as in TensorFlow.
    """
    dtype, shape = tensor.dtype, tensor.get_shape()
    if isinstance(tensor, SparseTensor):
        names = (tensor.values.name, tensor.indices.name, tensor.dense_shape.name)
        return message(defs.TensorInfo("", dtype, shape, names))
    return message(defs.TensorInfo(tensor.name, dtype, shape))


def get_tensor_from_tensor_info(
    tensor_info: Any, graph: Graph | None = None, import_scope: str | None = None
) -> Any:
    """The Tensor or SparseTensor that a TensorInfo names, in `graph` (the default graph), under `import_scope`.

    Raises KeyError when the graph has no such tensor, ValueError when the TensorInfo names none.
    """
    graph = graph or stack.get_default_graph()
    info = plain(tensor_info, defs.TensorInfo)

    def found(name: str) -> Any:
        full = inside(import_scope, name)
        return graph.as_graph_element(full, allow_tensor=True, allow_operation=False)

    if info.coo_sparse:
        values, indices, dense_shape = map(found, info.coo_sparse)
        return SparseTensor(indices, values, dense_shape)
    if not info.name:
        raise ValueError(f"Invalid TensorInfo.encoding: it names no tensor: {info}")
    return found(info.name)
