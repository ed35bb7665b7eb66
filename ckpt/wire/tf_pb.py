"""`core.defs` values and TensorFlow's messages, both ways. Must not know live graphs, or files.

A message may be ours or anybody's with TensorFlow's fields (TensorFlow's own, tensorboard's): a foreign one is
taken through its bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from ckpt.core import defs
from ckpt.core.collector import paused
from ckpt.core.errors import DataLossError, GraphError, OpError
from ckpt.core.shapes import TensorShape
from ckpt.wire import messages as pb
from ckpt.wire import schema
from ckpt.wire.attr_value import (
    attr_from_message,
    attr_to_message,
    attrs_from_message,
    fill_attr,
    fill_shape,
    read_shape,
    read_type,
)
from ckpt.wire.node_bytes import EMPTY, nodes_as_bytes
from ckpt.wire.tensor_proto import ndarray_from_tensor_proto, tensor_proto

__all__ = [
    "attr_from_message",
    "attr_to_message",
    "from_bytes",
    "from_message",
    "ndarray_from_tensor_proto",
    "tensor_proto",
    "to_bytes",
    "to_message",
]

# collections that TensorFlow writes as serialized VariableDefs; Source: the keys for which its variables
# module registers a `to_proto` function
VARIABLE_COLLECTIONS = frozenset(
    {
        "global_step",
        "local_variables",
        "metric_variables",
        "model_variables",
        "moving_average_variables",
        "trainable_variables",
        "variables",
    }
)


_LARGE = 1 << 16


def to_message(value: Any) -> Any:
    """The message of a `core.defs` value. Raises GraphError naming node and attribute that cannot be written."""
    name, fill = _TO[type(value)]
    message = getattr(pb, name)() if "." not in name else schema.message_class(name)()
    fill(message, value)
    return message


def meta_graph_message(
    meta: defs.MetaGraphDef, output_shapes: Mapping[str, Sequence[TensorShape]]
) -> Any:
    """The message of a MetaGraph; nodes that `output_shapes` names have the attribute `_output_shapes`, too."""
    message = pb.MetaGraphDef()
    _fill_meta_graph(message, meta, output_shapes)
    return message


def from_message(message: Any, cls: type | None = None) -> Any:
    """The `core.defs` value of a message; a value of `core.defs` is returned as it is.

    Raises TypeError when it is not a message of a known type (or not of `cls`), DataLossError when its fields
    contradict each other.
    """
    if type(message) in _TO:
        found, value = type(message), message
    else:
        name = getattr(getattr(message, "DESCRIPTOR", None), "name", None)
        if name not in _FROM:
            raise TypeError(
                f"{type(message).__name__} is neither a TensorFlow message nor a ckpt definition"
            )
        found, read = _FROM[name]
        with paused():
            value = None if cls not in (None, found) else read(_adopted(message, found))
    if cls not in (None, found):
        raise TypeError(f"a {cls.__name__} is needed, not a {found.__name__}")
    return value


def to_bytes(value: Any) -> bytes:
    """The wire bytes of a `core.defs` value: the same value gives the same bytes."""
    data: bytes = to_message(value).SerializeToString(deterministic=True)
    return data


def from_bytes(cls: type, data: bytes, where: str) -> Any:
    """The value of class `cls` in wire bytes. Raises DataLossError that names `where` they come from."""
    from google.protobuf.message import DecodeError

    try:
        message = _class_of(cls).FromString(data)
    except DecodeError as error:
        raise DataLossError(
            None, None, f"{where}: not a {cls.__name__} message: {error}"
        ) from error
    try:
        return from_message(message)
    except OpError as error:
        raise type(error)(None, None, f"{where}: {error.message}") from error


def _class_of(cls: type) -> Any:
    return schema.message_class(_TO[cls][0])


def _adopted(message: Any, cls: type) -> Any:
    """`message` as one of our own pool."""
    ours = _class_of(cls)
    if message.DESCRIPTOR is ours.DESCRIPTOR:
        return message
    return ours.FromString(message.SerializeToString())


def _fill_attrs(message: Any, attr: Any, owner: str) -> None:
    for name, value in attr.items():
        try:
            fill_attr(message[name], value)
        except GraphError as error:
            raise GraphError(f"{owner}, attribute {name!r}: {error}") from error


def _fill_node(message: Any, node: defs.NodeDef) -> None:
    message.name = node.name
    message.op = node.op
    if node.input:
        message.input.extend(node.input)
    if node.device:
        message.device = node.device
    if node.attr:
        _fill_attrs(message.attr, node.attr, f"node {node.name!r}")


def _read_node(message: Any) -> defs.NodeDef:
    try:
        attr = attrs_from_message(message.attr)
    except OpError as error:
        place = f"node {message.name!r} ({message.op})"
        raise type(error)(None, None, f"{place}: {error.message}") from error
    return defs.NodeDef(message.name, message.op, tuple(message.input), message.device, attr)


def _fill_arg(message: Any, arg: defs.ArgDef) -> None:
    message.name = arg.name
    message.type = 0 if arg.type is None else arg.type.as_datatype_enum
    message.type_attr = arg.type_attr
    message.number_attr = arg.number_attr
    message.type_list_attr = arg.type_list_attr
    message.is_ref = arg.is_ref


def _read_arg(message: Any) -> defs.ArgDef:
    return defs.ArgDef(
        message.name,
        read_type(message.type) if message.type else None,
        message.type_attr,
        message.number_attr,
        message.type_list_attr,
        message.is_ref,
    )


def _fill_function(message: Any, function: defs.FunctionDef) -> None:
    message.signature.name = function.name
    for arg in function.input_arg:
        _fill_arg(message.signature.input_arg.add(), arg)
    for arg in function.output_arg:
        _fill_arg(message.signature.output_arg.add(), arg)
    message.signature.control_output.extend(function.control_ret)
    for node in function.node_def:
        _fill_node(message.node_def.add(), node)
    message.ret.update(function.ret)
    message.control_ret.update(function.control_ret)
    _fill_attrs(message.attr, function.attr, f"function {function.name!r}")


def _read_function(message: Any) -> defs.FunctionDef:
    signature = message.signature
    return defs.FunctionDef(
        name=signature.name,
        input_arg=tuple(map(_read_arg, signature.input_arg)),
        output_arg=tuple(map(_read_arg, signature.output_arg)),
        node_def=tuple(map(_read_node, message.node_def)),
        ret=_sorted(message.ret),
        control_ret=_sorted(message.control_ret),
        attr=attrs_from_message(message.attr),
    )


def _sorted(mapping: Any) -> dict[str, str]:
    return {key: mapping[key] for key in sorted(mapping)}


def _fill_graph(
    message: Any, graph: defs.GraphDef, output_shapes: Mapping[str, Any] = EMPTY
) -> None:
    add = message.node.add
    for is_large, nodes in groupby(graph.node, _is_large):
        if is_large:
            for node in nodes:
                _fill_node(filled := add(), node)
                if node.name in output_shapes:
                    fill_attr(filled.attr["_output_shapes"], output_shapes[node.name])
        else:
            message.MergeFromString(nodes_as_bytes(nodes, output_shapes))
    for function in graph.library:
        _fill_function(message.library.function.add(), function)
    for name, gradient in graph.gradient.items():
        message.library.gradient.add(function_name=name, gradient_func=gradient)
    if graph.producer or graph.min_consumer:
        message.versions.producer = graph.producer
        message.versions.min_consumer = graph.min_consumer


def _is_large(node: defs.NodeDef) -> bool:
    """Whether a node holds a constant that should not be copied more often than need be."""
    return node.op == "Const" and getattr(node.attr.get("value"), "nbytes", 0) > _LARGE


def _read_graph(message: Any) -> defs.GraphDef:
    return defs.GraphDef(
        node=tuple([_read_node(node) for node in message.node]),
        library=tuple(map(_read_function, message.library.function)),
        gradient={g.function_name: g.gradient_func for g in message.library.gradient},
        producer=message.versions.producer,
        min_consumer=message.versions.min_consumer,
    )


_SAVER_FIELDS = tuple(defs.SaverDef.__dataclass_fields__)
_VARIABLE_FIELDS = tuple(
    name for name in defs.VariableDef.__dataclass_fields__ if name != "save_slice_info_def"
)


def _fill_saver(message: Any, saver: defs.SaverDef) -> None:
    for name in _SAVER_FIELDS:
        setattr(message, name, getattr(saver, name))


def _read_saver(message: Any) -> defs.SaverDef:
    return defs.SaverDef(**{name: getattr(message, name) for name in _SAVER_FIELDS})


def _fill_variable(message: Any, variable: defs.VariableDef) -> None:
    for name in _VARIABLE_FIELDS:
        setattr(message, name, getattr(variable, name))
    if variable.save_slice_info_def is not None:
        _fill_slice(message.save_slice_info_def, variable.save_slice_info_def)


def _read_variable(message: Any) -> defs.VariableDef:
    piece = message.save_slice_info_def if message.HasField("save_slice_info_def") else None
    return defs.VariableDef(
        **{name: getattr(message, name) for name in _VARIABLE_FIELDS},
        save_slice_info_def=None if piece is None else _read_slice(piece),
    )


def _fill_slice(message: Any, piece: defs.SaveSliceInfoDef) -> None:
    message.SetInParent()
    message.full_name = piece.full_name
    message.full_shape.extend(piece.full_shape)
    message.var_offset.extend(piece.var_offset)
    message.var_shape.extend(piece.var_shape)


def _read_slice(message: Any) -> defs.SaveSliceInfoDef:
    return defs.SaveSliceInfoDef(
        message.full_name,
        tuple(message.full_shape),
        tuple(message.var_offset),
        tuple(message.var_shape),
    )


def _fill_collection(
    message: Any,
    collection: defs.CollectionDef,
    name: str = "variables",
    written: dict[int, bytes] | None = None,
) -> None:
    """`written` keeps the bytes of variables, which are in several collections, by their identity.

    In a collection that TensorFlow does not know for one of variables, these are written as it does: by their tensors.
    """
    if collection.kind == "variables" and name not in VARIABLE_COLLECTIONS:
        names = tuple(variable.variable_name for variable in collection.value)
        collection = defs.CollectionDef("node_list", names)
    if collection.kind == "variables":
        known = {} if written is None else written
        values: Any = [
            known.get(id(variable)) or known.setdefault(id(variable), to_bytes(variable))
            for variable in collection.value
        ]
        message.bytes_list.SetInParent()
        message.bytes_list.value.extend(values)
        return
    if collection.kind not in ("node_list", "bytes_list", "int64_list", "float_list", "any_list"):
        raise GraphError(f"{collection.kind!r} is no kind of collection")
    target = getattr(message, collection.kind)
    target.SetInParent()
    if collection.kind == "any_list":
        for type_url, data in collection.value:
            target.value.add(type_url=type_url, value=data)
    else:
        target.value.extend(collection.value)


def _read_collection(message: Any, name: str = "") -> defs.CollectionDef:
    """One collection; an `any_list` holds (type_url, bytes) pairs. `name` tells collections of variables."""
    kind = message.WhichOneof("kind")
    if kind is None:
        return defs.CollectionDef("node_list")
    values = getattr(message, kind).value
    if kind == "any_list":
        return defs.CollectionDef(kind, tuple((item.type_url, item.value) for item in values))
    if kind == "bytes_list" and name in VARIABLE_COLLECTIONS:
        place = f"collection {name!r}"
        return defs.CollectionDef(
            "variables", tuple(from_bytes(defs.VariableDef, data, place) for data in values)
        )
    return defs.CollectionDef(kind, tuple(values))


_SPARSE_FIELDS = ("values_tensor_name", "indices_tensor_name", "dense_shape_tensor_name")


def _fill_info(message: Any, info: defs.TensorInfo) -> None:
    if info.coo_sparse:
        for field, name in zip(_SPARSE_FIELDS, info.coo_sparse, strict=True):
            setattr(message.coo_sparse, field, name)
    else:
        message.name = info.name
    message.dtype = 0 if info.dtype is None else info.dtype.as_datatype_enum
    if info.tensor_shape is not None:
        fill_shape(message.tensor_shape, info.tensor_shape)


def _read_info(message: Any) -> defs.TensorInfo:
    return defs.TensorInfo(
        message.name,
        read_type(message.dtype) if message.dtype else None,
        read_shape(message.tensor_shape) if message.HasField("tensor_shape") else None,
        tuple(getattr(message.coo_sparse, field) for field in _SPARSE_FIELDS)
        if message.HasField("coo_sparse")
        else (),
    )


def _fill_signature(message: Any, signature: defs.SignatureDef) -> None:
    for name, info in signature.inputs.items():
        _fill_info(message.inputs[name], info)
    for name, info in signature.outputs.items():
        _fill_info(message.outputs[name], info)
    message.method_name = signature.method_name


def _read_signature(message: Any) -> defs.SignatureDef:
    return defs.SignatureDef(
        {name: _read_info(message.inputs[name]) for name in sorted(message.inputs)},
        {name: _read_info(message.outputs[name]) for name in sorted(message.outputs)},
        message.method_name,
    )


def _fill_meta_info(message: Any, info: defs.MetaInfoDef) -> None:
    message.meta_graph_version = info.meta_graph_version
    message.tags.extend(info.tags)
    message.tensorflow_version = info.tensorflow_version
    message.tensorflow_git_version = info.tensorflow_git_version
    message.stripped_default_attrs = info.stripped_default_attrs
    for op in info.stripped_op_list:
        message.stripped_op_list.op.add(name=op)


def _read_meta_info(message: Any) -> defs.MetaInfoDef:
    return defs.MetaInfoDef(
        message.meta_graph_version,
        tuple(message.tags),
        message.tensorflow_version,
        message.tensorflow_git_version,
        message.stripped_default_attrs,
        tuple(op.name for op in message.stripped_op_list.op),
    )


def _fill_meta_graph(
    message: Any, meta: defs.MetaGraphDef, output_shapes: Mapping[str, Any] = EMPTY
) -> None:
    message.meta_info_def.SetInParent()
    _fill_meta_info(message.meta_info_def, meta.meta_info_def)
    message.graph_def.SetInParent()
    _fill_graph(message.graph_def, meta.graph_def, output_shapes)
    if meta.saver_def is not None:
        message.saver_def.SetInParent()
        _fill_saver(message.saver_def, meta.saver_def)
    written: dict[int, bytes] = {}
    for name, collection in meta.collection_def.items():
        _fill_collection(message.collection_def[name], collection, name, written)
    for name, signature in meta.signature_def.items():
        _fill_signature(message.signature_def[name], signature)


def _read_meta_graph(message: Any) -> defs.MetaGraphDef:
    collections, signatures = message.collection_def, message.signature_def
    return defs.MetaGraphDef(
        meta_info_def=_read_meta_info(message.meta_info_def),
        graph_def=_read_graph(message.graph_def),
        saver_def=_read_saver(message.saver_def) if message.HasField("saver_def") else None,
        collection_def={
            name: _read_collection(collections[name], name) for name in sorted(collections)
        },
        signature_def={name: _read_signature(signatures[name]) for name in sorted(signatures)},
    )


_TO: dict[type, tuple[str, Callable[[Any, Any], None]]] = {
    defs.NodeDef: ("NodeDef", _fill_node),
    defs.ArgDef: ("OpDef.ArgDef", _fill_arg),
    defs.FunctionDef: ("FunctionDef", _fill_function),
    defs.GraphDef: ("GraphDef", _fill_graph),
    defs.SaverDef: ("SaverDef", _fill_saver),
    defs.SaveSliceInfoDef: ("SaveSliceInfoDef", _fill_slice),
    defs.VariableDef: ("VariableDef", _fill_variable),
    defs.CollectionDef: ("CollectionDef", _fill_collection),
    defs.TensorInfo: ("TensorInfo", _fill_info),
    defs.SignatureDef: ("SignatureDef", _fill_signature),
    defs.MetaInfoDef: ("MetaGraphDef.MetaInfoDef", _fill_meta_info),
    defs.MetaGraphDef: ("MetaGraphDef", _fill_meta_graph),
}
_FROM: dict[str, tuple[type, Callable[[Any], Any]]] = {
    "NodeDef": (defs.NodeDef, _read_node),
    "ArgDef": (defs.ArgDef, _read_arg),
    "FunctionDef": (defs.FunctionDef, _read_function),
    "GraphDef": (defs.GraphDef, _read_graph),
    "SaverDef": (defs.SaverDef, _read_saver),
    "SaveSliceInfoDef": (defs.SaveSliceInfoDef, _read_slice),
    "VariableDef": (defs.VariableDef, _read_variable),
    "CollectionDef": (defs.CollectionDef, _read_collection),
    "TensorInfo": (defs.TensorInfo, _read_info),
    "SignatureDef": (defs.SignatureDef, _read_signature),
    "MetaInfoDef": (defs.MetaInfoDef, _read_meta_info),
    "MetaGraphDef": (defs.MetaGraphDef, _read_meta_graph),
}
