"""A live graph as plain data: Graph -> core.defs, and attributes as TensorFlow shows them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import defs
from ckpt.core.dtypes import DType
from ckpt.core.shapes import TensorShape
from ckpt.core.texts import bytes_of
from ckpt.graph.graph import Graph
from ckpt.graph.library import library_of
from ckpt.graph.opdef import OPS
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.signature import REQUIRED, Attr


def input_name(tensor: Tensor) -> str:
    """How a NodeDef names this input: `node` for output 0, else `node:index`."""
    return tensor.op.name if tensor.value_index == 0 else f"{tensor.op.name}:{tensor.value_index}"


def node_def(node: Operation) -> defs.NodeDef:
    """One node as plain data; what it waits for is sorted by name, as in TensorFlow."""
    inputs = [
        tensor.op.name if tensor.value_index == 0 else input_name(tensor) for tensor in node._inputs
    ]
    if node._control_inputs:
        inputs += sorted([f"^{control.name}" for control in node._control_inputs])
    return defs.NodeDef(node.name, node.type, tuple(inputs), node.device, node.attrs)


def graph_def(
    graph: Graph, from_version: int | None = None, add_shapes: bool = False
) -> defs.GraphDef:
    """The graph as plain data; only nodes from `from_version` on; with `_output_shapes` of what has outputs if asked."""
    nodes = graph.get_operations(from_version or 0)
    found = [node_def(node) for node in nodes]
    if add_shapes:
        found = [
            defs.NodeDef(
                d.name,
                d.op,
                d.input,
                d.device,
                {**d.attr, "_output_shapes": [t.shape for t in n.outputs]},
            )
            if n.outputs
            else d
            for d, n in zip(found, nodes, strict=True)
        ]
    return defs.GraphDef(node=tuple(found), library=library_of(graph))


def public_attr(node: Operation, name: str) -> Any:
    """An attribute as `Operation.get_attr` gives it: strings as bytes, shapes and tensors as messages.

    Raises ValueError when the node has none of that name.
    """
    if name not in node.attrs:
        raise ValueError(f"Operation '{node.name}' has no attr named '{name}'.")
    return _public(node.attrs[name])


def _public(value: Any) -> Any:
    if isinstance(value, str):
        return bytes_of(value)
    if isinstance(value, list):
        return [_public(member) for member in value]
    if isinstance(value, (TensorShape, np.ndarray, defs.Func)):
        from ckpt.wire import tf_pb  # protobuf is loaded only when messages are used

        message = tf_pb.attr_to_message(value)
        return getattr(message, message.WhichOneof("value"))
    return value


def op_message(node: Operation) -> Any:
    """The signature of the node's type as an OpDef message. Raises GraphError for an unknown type."""
    from ckpt.graph.opdef import opdef_of  # keeps the error in one place
    from ckpt.wire import messages, tf_pb  # protobuf is loaded only when messages are used

    opdef = opdef_of(node.type)
    message = messages.OpDef(name=opdef.type, is_stateful=opdef.is_stateful)
    for side, args in ((message.input_arg, opdef.inputs), (message.output_arg, opdef.outputs)):
        for arg in args:
            side.add(
                name=arg.name,
                type=int(arg.dtype) if arg.dtype else 0,
                type_attr=arg.type_attr,
                number_attr=arg.number_attr,
                type_list_attr=arg.type_list_attr,
                is_ref=arg.is_ref,
            )
    for name, attr in opdef.attrs.items():
        added = message.attr.add(name=name, type=attr.kind)
        if attr.default is not REQUIRED:
            added.default_value.CopyFrom(tf_pb.attr_to_message(attr.default, attr.kind))
    return message


def default_of(type_name: str, attr_name: str) -> Any:
    """The default of a known type's attribute, or REQUIRED."""
    opdef = OPS.get(type_name)
    attr: Attr | None = opdef.attrs.get(attr_name) if opdef else None
    return REQUIRED if attr is None else attr.default


def without_defaults(graph: defs.GraphDef) -> defs.GraphDef:
    """The graph without the attributes that equal their defaults, so that older readers can take it."""
    found = []
    for node in graph.node:
        kept = {
            key: value
            for key, value in node.attr.items()
            if key.startswith("_") or not _same(value, default_of(node.op, key))
        }
        found.append(defs.NodeDef(node.name, node.op, node.input, node.device, kept))
    return defs.GraphDef(
        tuple(found), graph.library, graph.gradient, graph.producer, graph.min_consumer
    )


def _same(value: Any, default: Any) -> bool:
    if default is REQUIRED or isinstance(value, np.ndarray):
        return False
    if isinstance(value, DType) or isinstance(default, DType):
        return value is default
    return bool(type(value) is type(default) and value == default)
