"""The attributes of nodes that come from outside: decoded, completed, checked; and nodes made of such parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ckpt.core import defs, dtypes
from ckpt.core.dtypes import DType
from ckpt.core.errors import GraphError
from ckpt.core.shapes import TensorShape
from ckpt.core.texts import text_of
from ckpt.graph.graph import Graph
from ckpt.graph.opdef import OPS, OpDef
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.signature import REQUIRED
from ckpt.wire.plain import plain_attr


def known_attrs(opdef: OpDef, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The attributes of a node of a known type: decoded by kind, defaults filled in; unknown ones as they are."""
    types = opdef.attr_types
    changed: dict[str, Any] = {}
    for key, value in given.items():
        if key in types and type(value) is not types[key]:
            decoded = _as_kind(opdef.attrs[key].kind, value)
            if decoded is not value:
                changed[key] = decoded
    if not given.keys() >= types.keys():
        for key, attr in opdef.attrs.items():
            if key not in given and attr.default is not REQUIRED:
                changed[key] = (
                    list(attr.default) if isinstance(attr.default, list) else attr.default
                )
    return {**given, **changed} if changed else given


def _as_kind(kind: str, value: Any) -> Any:
    if kind.startswith("list("):
        return (
            [_as_kind(kind[5:-1], member) for member in value]
            if isinstance(value, (list, tuple))
            else value
        )
    if kind == "string" and isinstance(value, bytes):
        return text_of(value)
    if kind == "type" and not isinstance(value, DType):
        return dtypes.as_dtype(value)
    if kind == "shape" and not isinstance(value, TensorShape):
        return TensorShape(value)
    if kind == "float" and isinstance(value, int):
        return float(value)
    if kind == "tensor" and isinstance(value, np.ndarray) and value.flags.writeable:
        value = value.copy()
        value.flags.writeable = False
    return value


def understood(node: defs.NodeDef) -> OpDef | None:
    """The definition of a node's type, or None where it is unknown, or the node says more than we understand.

    An attribute that a later version of TensorFlow added and that is off (False, 0, empty) changes nothing. With any
    other value the node may compute something else, so it stays opaque: inspected and exported, but not run.
    """
    opdef = OPS.get(node.op)
    if opdef is None or node.attr.keys() <= opdef.attrs.keys():
        return opdef
    for key, value in node.attr.items():
        if key not in opdef.attrs and not key.startswith("_") and not _is_off(value):
            return None
    return opdef


def _is_off(value: Any) -> bool:
    if isinstance(value, (bool, int, float, str, bytes, list)):
        return not value
    return False


def without_unknown_defaults(graph_def: defs.GraphDef, producer_op_list: Any) -> defs.GraphDef:
    """The graph without the attributes that we do not know and that have the default which their producer declares.

    `producer_op_list` is an OpList message, or None: then the graph as it is.
    """
    if producer_op_list is None:
        return graph_def
    defaults = {
        (op.name, attr.name): plain_attr(attr.default_value)
        for op in producer_op_list.op
        for attr in op.attr
        if attr.HasField("default_value")
    }

    def is_kept(node: defs.NodeDef, key: str, value: Any) -> bool:
        opdef = OPS.get(node.op)
        if opdef is None or key in opdef.attrs or (node.op, key) not in defaults:
            return True
        return not _is_same(value, defaults[node.op, key])

    return replace(
        graph_def,
        node=tuple(
            replace(node, attr={k: v for k, v in node.attr.items() if is_kept(node, k, v)})
            for node in graph_def.node
        ),
    )


def _is_same(value: Any, other: Any) -> bool:
    return np.array_equal(value, other) if isinstance(value, np.ndarray) else bool(value == other)


def attr_problems(node: defs.NodeDef) -> list[str]:
    """The attributes that a node needs and does not have."""
    opdef = understood(node)
    if opdef is None:
        return []
    return [
        f"Node '{node.name}': op '{node.op}' needs the attribute '{key}'"
        for key in opdef.attrs
        if key in opdef.required and key not in node.attr
    ]


def input_problem(
    node: defs.NodeDef, opdef: OpDef, inputs: list[Tensor], attrs: Mapping[str, Any]
) -> str | None:
    """What is wrong with the number or the dtypes of a node's inputs; None when they fit."""
    if any(arg.number_attr for arg in opdef.inputs):  # a number may be any
        count = sum(opdef.output_count(arg, attrs) for arg in opdef.inputs)
        if count != len(inputs):
            return f"expected {count} inputs, found {len(inputs)}"
    expected: list[tuple[str, DType | None, bool]] = []
    for arg in opdef.inputs:
        if arg.type_list_attr:
            expected += [(arg.name, d, False) for d in attrs[arg.type_list_attr]]
        else:
            dtype = arg.dtype or attrs[arg.type_attr]
            count = opdef.output_count(arg, attrs) if arg.number_attr else 1
            expected += [(arg.name, dtype, arg.is_ref)] * count
    if len(expected) != len(inputs):
        return f"expected {len(expected)} inputs, found {len(inputs)}"
    for (name, dtype, is_ref), tensor in zip(expected, inputs, strict=True):
        found = tensor._dtype
        if found is dtype and not is_ref:
            continue
        if dtype is not None and found.base_dtype != dtype.base_dtype:
            return (
                f"Input '{name}' was passed {tensor.dtype.name} from {tensor.name} incompatible with "
                f"expected {dtype.name}."
            )
        if is_ref and not found._is_ref_dtype:
            return (
                f"Input '{name}' was passed {tensor.dtype.name} from {tensor.name} incompatible with "
                f"expected {found.name}_ref."
            )
    return None


def guessed_dtypes(node: defs.NodeDef) -> list[DType]:
    """Output dtypes of an unknown type: one output of its T, or what `_output_shapes` counts."""
    dtype = next(
        (node.attr[k] for k in ("T", "dtype", "out_type") if isinstance(node.attr.get(k), DType)),
        None,
    )
    shapes = node.attr.get("_output_shapes")
    count = len(shapes) if isinstance(shapes, list) else (1 if dtype is not None else 0)
    return [dtype or dtypes.variant] * count


def node_from_parts(
    graph: Graph,
    op_type: str,
    inputs: list[Tensor],
    output_types: Sequence[Any] | None,
    name: str,
    attrs: Mapping[str, Any],
) -> Operation:
    """What `Graph.create_op` adds: attributes may be plain values or AttrValue messages."""
    plain = {key: plain_attr(value) for key, value in attrs.items()}
    opdef = OPS.get(op_type)
    full = graph.unique_op_name(name)
    kinds = None if output_types is None else [dtypes.as_dtype(d) for d in output_types]
    if opdef is None:
        return graph.add(op_type, None, inputs, plain, full, kinds or [])
    attrs = known_attrs(opdef, {**_inferred(opdef, inputs), **plain})
    missing = [key for key in opdef.attrs if key not in attrs]
    if missing:
        raise GraphError(f"op '{op_type}' needs the attributes {', '.join(missing)}")
    return graph.add(op_type, opdef, inputs, attrs, full)


def _inferred(opdef: OpDef, inputs: list[Tensor]) -> dict[str, Any]:
    if any(arg.is_list for arg in opdef.inputs):
        return {}
    return {
        arg.type_attr: tensor.dtype.base_dtype
        for arg, tensor in zip(opdef.inputs, inputs, strict=False)
        if arg.type_attr
    }
