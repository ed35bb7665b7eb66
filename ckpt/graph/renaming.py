"""A MetaGraph with other names: nodes, inputs, colocation, loops, resources, collections, saver and signatures at once.

Pure functions from plain data to plain data. Must not know live graphs or files.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ckpt.core import defs
from ckpt.core.errors import GraphError
from ckpt.core.texts import bytes_of, text_of

Rename = Callable[[str], str]
"""From the name of a node (or of a scope-like thing: a loop's frame, a shared resource) to its new name."""

NAMED_MESSAGES = {
    "cond_context": "CondContextDef",
    "while_context": "WhileContextDef",
    "queue_runners": "QueueRunnerDef",
}
"""Collections whose members are messages, all of whose strings name nodes or tensors."""

SCOPED_ATTRS = ("frame_name", "shared_name")
"""Attributes that must stay apart where two models are in one graph: the frame of a loop, the name of a resource."""


def under(scope: str) -> Rename:
    """Every name under `scope`."""
    return lambda name: f"{scope}/{name}"


def reference(text: str, rename: Rename) -> str:
    """`text` with the node that it names renamed: `node`, `node:1` or `^node`."""
    if text.startswith("^"):
        return "^" + rename(text[1:])
    node, colon, index = text.rpartition(":")
    return f"{rename(node)}:{index}" if colon and index.isdigit() else rename(text)


def renamed(meta: defs.MetaGraphDef, rename: Rename) -> defs.MetaGraphDef:
    """The MetaGraph with every node renamed, and everything that names nodes with it."""
    saver = meta.saver_def
    names = {node.name for node in meta.graph_def.node}
    return replace(
        meta,
        graph_def=renamed_graph(meta.graph_def, rename),
        saver_def=None if saver is None else renamed_saver(saver, rename),
        collection_def={
            key: renamed_collection(key, collection, rename, names)
            for key, collection in meta.collection_def.items()
        },
        signature_def={
            key: renamed_signature(signature, rename)
            for key, signature in meta.signature_def.items()
        },
    )


def renamed_graph(graph: defs.GraphDef, rename: Rename) -> defs.GraphDef:
    """The graph with its nodes renamed; bodies of functions have names of their own and stay."""
    return replace(graph, node=tuple(renamed_node(node, rename) for node in graph.node))


def renamed_node(node: defs.NodeDef, rename: Rename) -> defs.NodeDef:
    """The node, its inputs, its colocation groups, its loop frame and its shared name renamed."""
    changed: dict[str, Any] = {}
    groups = node.attr.get("_class")
    if isinstance(groups, list):
        changed["_class"] = [_group(group, rename) for group in groups]
    for key in SCOPED_ATTRS:
        if node.attr.get(key):
            changed[key] = _like(node.attr[key], rename(text_of(node.attr[key])))
    return defs.NodeDef(
        rename(node.name),
        node.op,
        tuple(reference(text, rename) for text in node.input),
        node.device,
        {**node.attr, **changed} if changed else node.attr,
    )


def _group(group: Any, rename: Rename) -> Any:
    text = text_of(group)
    name = text.removeprefix("loc:@")
    return group if name == text else _like(group, "loc:@" + rename(name))


def _like(value: Any, text: str) -> Any:
    return bytes_of(text) if isinstance(value, bytes) else text


def with_functions(graph: defs.GraphDef, names: Mapping[str, str]) -> defs.GraphDef:
    """The graph with functions of its library renamed, wherever they are called."""
    if not names:
        return graph
    library = tuple(
        replace(
            function,
            name=names.get(function.name, function.name),
            node_def=tuple(calling(node, names) for node in function.node_def),
        )
        for function in graph.library
    )
    return replace(
        graph,
        node=tuple(calling(node, names) for node in graph.node),
        library=library,
        gradient={names.get(k, k): names.get(v, v) for k, v in graph.gradient.items()},
    )


def apart(graphs: Sequence[defs.GraphDef]) -> list[defs.GraphDef]:
    """The graphs with different names for all their functions: each body belongs to the nodes of one."""
    taken: set[str] = set()
    found = []
    for graph in graphs:
        names = {}
        for function in graph.library:
            name, number = function.name, 0
            while name in taken:
                number += 1
                name = f"{function.name}_{number}"
            taken.add(name)
            if name != function.name:
                names[function.name] = name
        found.append(with_functions(graph, names))
    return found


def calling(node: defs.NodeDef, names: Mapping[str, str]) -> defs.NodeDef:
    """The node with the functions that it calls renamed."""
    attr = {key: _called(value, names) for key, value in node.attr.items()}
    changed = any(attr[key] is not value for key, value in node.attr.items())
    op = names.get(node.op, node.op)  # a node may be a call by the function's own name
    return replace(node, op=op, attr=attr) if changed or op != node.op else node


def _called(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, defs.Func) and value.name in names:
        return defs.Func(names[value.name], value.attr)
    if isinstance(value, list) and any(isinstance(v, defs.Func) for v in value):
        return [_called(v, names) for v in value]
    return value


def renamed_saver(saver: defs.SaverDef, rename: Rename) -> defs.SaverDef:
    """The Saver with the names of its tensors and its operation renamed."""
    return replace(
        saver,
        filename_tensor_name=_optional(saver.filename_tensor_name, rename),
        save_tensor_name=_optional(saver.save_tensor_name, rename),
        restore_op_name=_optional(saver.restore_op_name, rename),
    )


def _optional(text: str, rename: Rename) -> str:
    return reference(text, rename) if text else text


def renamed_variable(variable: defs.VariableDef, rename: Rename) -> defs.VariableDef:
    """The variable with its operations renamed; a part of a partitioned one also with its whole renamed."""
    part = variable.save_slice_info_def
    return replace(
        variable,
        variable_name=_optional(variable.variable_name, rename),
        initial_value_name=_optional(variable.initial_value_name, rename),
        initializer_name=_optional(variable.initializer_name, rename),
        snapshot_name=_optional(variable.snapshot_name, rename),
        save_slice_info_def=None
        if part is None
        else replace(part, full_name=rename(part.full_name)),
    )


def renamed_collection(
    key: str, collection: defs.CollectionDef, rename: Rename, names: Collection[str] = ()
) -> defs.CollectionDef:
    """The collection with the nodes that its members name renamed; members that name none stay.

    A text counts where it names one of `names`: a node, a tensor, a control input or a colocation group.
    """
    if collection.kind == "node_list":
        return replace(
            collection, value=tuple(reference(str(text), rename) for text in collection.value)
        )
    if collection.kind == "variables":
        return replace(
            collection, value=tuple(renamed_variable(v, rename) for v in collection.value)
        )
    if collection.kind == "bytes_list" and key in NAMED_MESSAGES:
        return replace(
            collection,
            value=tuple(renamed_message(key, data, rename) for data in collection.value),
        )
    if collection.kind == "bytes_list":
        return replace(
            collection, value=tuple(_renamed_text(v, rename, names) for v in collection.value)
        )
    return collection


def _renamed_text(value: Any, rename: Rename, names: Collection[str]) -> Any:
    text = text_of(value)
    mark = next((mark for mark in ("loc:@", "^") if text.startswith(mark)), "")
    node, colon, index = text[len(mark) :].rpartition(":")
    if not (colon and index.isdigit()):
        node, colon, index = text[len(mark) :], "", ""
    return _like(value, f"{mark}{rename(node)}{colon}{index}") if node in names else value


def renamed_signature(signature: defs.SignatureDef, rename: Rename) -> defs.SignatureDef:
    """The signature with the tensors that it names renamed."""

    def tensors(infos: Mapping[str, defs.TensorInfo]) -> dict[str, defs.TensorInfo]:
        return {k: replace(info, name=_optional(info.name, rename)) for k, info in infos.items()}

    return replace(signature, inputs=tensors(signature.inputs), outputs=tensors(signature.outputs))


def renamed_message(key: str, data: bytes, rename: Rename) -> bytes:
    """A serialized message with all its strings, which name nodes and tensors, renamed. Raises GraphError for others."""
    # protobuf is loaded only when messages are used
    from google.protobuf.message import DecodeError

    from ckpt.wire.schema import message_class

    try:
        message = message_class(NAMED_MESSAGES[key]).FromString(data)
    except DecodeError as error:
        raise GraphError(f"not a {NAMED_MESSAGES[key]} message: {error}") from error
    _rename_strings(message, rename)
    found: bytes = message.SerializeToString()
    return found


def message_names(key: str, data: bytes) -> list[str]:
    """The nodes and tensors that a member of one of NAMED_MESSAGES names."""
    found: list[str] = []

    def note(name: str) -> str:
        found.append(name)
        return name

    renamed_message(key, data, note)
    return found


def _rename_strings(message: Any, rename: Rename) -> None:
    for field, value in message.ListFields():
        kind = field.type
        if kind == field.TYPE_STRING:
            if field.is_repeated:
                value[:] = [_optional(text, rename) for text in value]
            else:
                setattr(message, field.name, _optional(value, rename))
        elif kind == field.TYPE_MESSAGE and field.message_type.GetOptions().map_entry:
            pairs = [(_optional(k, rename), _optional(v, rename)) for k, v in value.items()]
            value.clear()
            value.update(pairs)
        elif kind == field.TYPE_MESSAGE:
            for member in value if field.is_repeated else [value]:
                _rename_strings(member, rename)
