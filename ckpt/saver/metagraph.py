"""MetaGraphs: a graph with its collections and Saver as one value; export, import, files. Runs no session."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ckpt.core import defs, storage
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph import stack
from ckpt.graph.dump import graph_def as graph_to_def
from ckpt.graph.dump import without_defaults
from ckpt.graph.graph import Graph
from ckpt.graph.keys import GraphKeys
from ckpt.graph.load import load_graph, mapped_tensors, split_input
from ckpt.graph.operation import Operation, Tensor
from ckpt.model.variables import Variable
from ckpt.wire import metagraph_file, metagraph_json

MAX_META_BYTES = 1 << 31
"""A larger .meta file is refused: no graph is that large, and nothing should be allocated for it."""


def message(value: Any) -> Any:
    """Plain data as a protobuf message."""
    from ckpt.wire import tf_pb  # protobuf is loaded only when messages are used

    return tf_pb.to_message(value)


def plain_saver_def(value: Any) -> defs.SaverDef:
    """A SaverDef as plain data, from plain data or a message of TensorFlow's or ours."""
    return plain(value, defs.SaverDef)  # type: ignore[no-any-return]  # as asked for


def plain(value: Any, kind: type) -> Any:
    """A value of `core.defs`: itself, or from a message of TensorFlow's or ours."""
    if isinstance(value, kind):
        return value
    from ckpt.wire import tf_pb  # protobuf is loaded only when messages are used

    return tf_pb.from_message(value, kind)


def renamed_saver(saver: defs.SaverDef, rename: Callable[[str], str]) -> defs.SaverDef:
    """The SaverDef with every name passed through `rename`."""
    return replace(
        saver,
        filename_tensor_name=rename(saver.filename_tensor_name),
        save_tensor_name=rename(saver.save_tensor_name),
        restore_op_name=rename(saver.restore_op_name),
    )


def collection_sizes(graph: Graph) -> tuple[tuple[str, int], ...]:
    """How many members each collection has: changes when one is added to."""
    return tuple(
        (key, len(graph.get_collection_ref(key))) for key in sorted(graph.get_all_collection_keys())
    )


def packed(meta_graph: defs.MetaGraphDef) -> bytes:
    """The sealed bytes of a `.meta` file."""
    return metagraph_file.pack(meta_graph)


def write_packed(filename: str, data: bytes, *, durable: bool = True) -> None:
    """Write the bytes of a `.meta` file atomically."""
    storage.write_file(filename, data, durable=durable)


def export(
    graph: Graph,
    saver_def: defs.SaverDef | None = None,
    collection_list: Iterable[str] | None = None,
    clear_devices: bool = False,
    strip_default_attrs: bool = False,
    export_scope: str | None = None,
    graph_def: defs.GraphDef | None = None,
) -> defs.MetaGraphDef:
    """The graph (or only the nodes in `export_scope`, without that prefix), its collections and a SaverDef."""
    found = graph_def if graph_def is not None else graph_to_def(graph)
    if export_scope:
        found = _scoped(found, export_scope)
    if clear_devices:
        found = replace(found, node=tuple(replace(node, device="") for node in found.node))
    if strip_default_attrs:
        found = without_defaults(found)
    keys = graph.get_all_collection_keys() if collection_list is None else collection_list
    collections = {}
    for key in keys:
        collection = _collection_def(graph.get_collection(key), export_scope)
        if collection is not None:
            collections[str(key)] = collection
    info = defs.MetaInfoDef(
        stripped_op_list=tuple(sorted({node.op for node in found.node})),
        stripped_default_attrs=strip_default_attrs,
    )
    return defs.MetaGraphDef(info, found, saver_def, collections)


def _scoped(graph_def: defs.GraphDef, scope: str) -> defs.GraphDef:
    """The nodes inside a scope, their names without it; inputs from outside are refused, all of them at once."""
    prefix = scope.rstrip("/") + "/"
    inside = [node for node in graph_def.node if node.name.startswith(prefix)]
    outside = [
        f"  {node.name} <- {text}"
        for node in inside
        for text in node.input
        if not text.startswith("^") and not text.startswith(prefix)
    ]
    if outside:
        raise ValueError(
            f"nodes of the scope '{scope}' take inputs from outside it:\n" + "\n".join(outside[:20])
        )
    strip = _without_prefix(prefix)
    return replace(graph_def, node=tuple(_renamed_node(node, strip, prefix) for node in inside))


def _without_prefix(prefix: str) -> Callable[[str], str]:
    def strip(name: str) -> str:
        return (
            f"^{name[1:].removeprefix(prefix)}"
            if name.startswith("^")
            else name.removeprefix(prefix)
        )

    return strip


def _renamed_node(node: defs.NodeDef, rename: Callable[[str], str], prefix: str) -> defs.NodeDef:
    inputs = tuple(
        rename(text)
        for text in node.input
        if not text.startswith("^") or text[1:].startswith(prefix)
    )
    attr = dict(node.attr)
    if "_class" in attr:
        groups = [g.decode() if isinstance(g, bytes) else g for g in attr["_class"]]
        attr["_class"] = ["loc:@" + rename(g.removeprefix("loc:@")) for g in groups]
    return defs.NodeDef(rename(node.name), node.op, inputs, node.device, attr)


def _collection_def(members: Sequence[Any], export_scope: str | None) -> defs.CollectionDef | None:
    """The collection as plain data; None where its members cannot be written (TensorFlow leaves these out too)."""
    if not members:
        return None
    prefix = f"{export_scope.rstrip('/')}/" if export_scope else ""
    if all(isinstance(m, Variable) for m in members):
        variables = [m.to_def(export_scope) for m in members]
        return defs.CollectionDef("variables", tuple(v for v in variables if v is not None))
    if all(isinstance(m, (Tensor, Operation)) for m in members):
        names = [m.name for m in members if m.name.startswith(prefix)]
        return defs.CollectionDef("node_list", tuple(name.removeprefix(prefix) for name in names))
    if all(isinstance(m, bool) for m in members):
        return None
    for kind, name in ((int, "int64_list"), (float, "float_list")):
        if all(type(m) is kind for m in members):
            return defs.CollectionDef(name, tuple(members))
    if all(isinstance(m, (str, bytes)) for m in members):
        return defs.CollectionDef(
            "bytes_list",
            tuple(
                m.encode("utf-8", "surrogateescape") if isinstance(m, str) else m for m in members
            ),
        )
    return None


def export_meta_graph(
    filename: str | None = None,
    meta_info_def: Any = None,
    graph_def: Any = None,
    saver_def: Any = None,
    collection_list: Iterable[str] | None = None,
    as_text: bool = False,
    graph: Graph | None = None,
    export_scope: str | None = None,
    clear_devices: bool = False,
    clear_extraneous_savers: bool = False,
    strip_default_attrs: bool = False,
    save_debug_info: bool = False,
    **kwargs: Any,
) -> Any:
    """The MetaGraphDef message of a graph (the default graph); written to `filename` where given, as JSON `as_text`.

    Raises ValueError for unknown arguments and for a scope with inputs from outside.
    """
    if kwargs:
        raise TypeError(f"export_meta_graph() got unexpected arguments: {', '.join(kwargs)}")
    graph = graph if graph is not None else stack.get_default_graph()
    found = export(
        graph,
        None if saver_def is None else plain_saver_def(saver_def),
        collection_list,
        clear_devices,
        strip_default_attrs,
        export_scope,
        None if graph_def is None else plain(graph_def, defs.GraphDef),
    )
    if meta_info_def is not None:
        found = replace(found, meta_info_def=plain(meta_info_def, defs.MetaInfoDef))
    if filename:
        write_meta_graph(filename, found, as_text=as_text)
    return message(found)


def write_meta_graph(
    filename: str, meta_graph: defs.MetaGraphDef, *, as_text: bool = False
) -> None:
    """Write a `.meta` file atomically: sealed msgpack, or JSON `as_text`."""
    data = (
        metagraph_json.to_json(meta_graph).encode() if as_text else metagraph_file.pack(meta_graph)
    )
    storage.write_file(os.fspath(filename), data)


def read_meta_graph_file(filename: str) -> defs.MetaGraphDef:
    """Read a `.meta` file: ours (msgpack or JSON), TensorFlow's, or the MetaGraph inside a checkpoint `.h5`.

    Raises NotFoundError, DataLossError naming the file.
    """
    path = os.fspath(filename)
    if path.endswith((".h5", ".hdf5", ".index")):
        from ckpt.formats import hdf5  # only this case opens a checkpoint

        with hdf5.open_reader(path) as reader:
            data = reader.metagraph()
        if data is None:
            raise InvalidArgumentError(
                None, None, f"{path}: holds no MetaGraph (it was saved with write_meta_graph=False)"
            )
    else:
        data = storage.read_file(path, limit=MAX_META_BYTES)
    return metagraph_file.load(data, path)


def import_meta_graph(
    meta_graph_or_file: Any,
    clear_devices: bool = False,
    import_scope: str | None = None,
    **kwargs: Any,
) -> Any:
    """Add a MetaGraph (a file name, a message or plain data) to the default graph; returns its Saver.

    `import_scope` prefixes every name, `input_map={"x:0": tensor}` replaces inputs. Where the MetaGraph has no
    Saver, one over the imported variables is made; None when there are none.
    """
    from ckpt.saver.saver import Saver  # the Saver exports through this module

    imported = import_into(
        stack.get_default_graph(), meta_graph_or_file, clear_devices, import_scope, **kwargs
    )
    saver_def = imported.meta_graph.saver_def
    if saver_def is not None and saver_def.save_tensor_name:
        return Saver.from_proto(saver_def, import_scope=imported.scope)
    if imported.variables:
        return Saver(list(imported.variables.values()), name=imported.scope or None)
    return None


class Imported:
    """What an import added: operations and variables by their original names, and the scope they are in."""

    def __init__(
        self,
        meta_graph: defs.MetaGraphDef,
        scope: str,
        operations: dict[str, Operation],
        variables: dict[str, Any],
    ) -> None:
        self.meta_graph = meta_graph
        self.scope = scope
        self.operations = operations
        self.variables = variables

    def tensor(self, name: str) -> Tensor:
        """The tensor of this original name. Raises KeyError listing near names."""
        node, index = split_input(name)
        if node not in self.operations or index >= len(self.operations[node].outputs):
            raise KeyError(f"the imported graph has no tensor '{name}'")
        return self.operations[node].outputs[index]


def import_into(
    graph: Graph,
    meta_graph_or_file: Any,
    clear_devices: bool = False,
    import_scope: str | None = None,
    input_map: Mapping[str, Any] | None = None,
    restore_collections_predicate: Callable[[str], bool] = lambda key: True,
) -> Imported:
    """Add a MetaGraph to `graph` under `import_scope`: nodes, then variables and the other collections.

    Raises ValueError for entries of `input_map` that nothing uses, GraphError listing every problem of the nodes.
    """
    if isinstance(meta_graph_or_file, (str, os.PathLike)):
        meta_graph = read_meta_graph_file(os.fspath(meta_graph_or_file))
    else:
        meta_graph = plain(meta_graph_or_file, defs.MetaGraphDef)
    nodes = meta_graph.graph_def
    if clear_devices:
        nodes = replace(nodes, node=tuple(replace(node, device="") for node in nodes.node))
    scope = ""
    with graph.as_default():
        if import_scope:
            with graph.name_scope(import_scope) as opened:
                scope = opened.rstrip("/")
        else:
            scope = graph.get_name_scope()
        unused: list[str] = []
        operations = load_graph(graph, nodes, scope, mapped_tensors(graph, input_map), unused)
        if unused:
            raise ValueError(
                f"Attempted to map inputs that were not found in graph_def: {', '.join(unused)}"
            )
        variables = _add_collections(graph, meta_graph, scope, restore_collections_predicate)
    return Imported(meta_graph, scope, operations, variables)


def _add_collections(
    graph: Graph, meta_graph: defs.MetaGraphDef, scope: str, wanted: Callable[[str], bool]
) -> dict[str, Any]:
    """Rebuild the collections; one variable that is in several of them stays one object."""
    variables: dict[str, Any] = {}
    by_name: dict[str, Any] = {}
    keys = sorted(meta_graph.collection_def, key=lambda k: k != GraphKeys.TRAINABLE_VARIABLES)
    for key in keys:
        collection = meta_graph.collection_def[key]
        if not wanted(key):
            continue
        for value in collection.value:
            if collection.kind == "variables":
                name = value.variable_name
                if name not in by_name:
                    by_name[name] = Variable(variable_def=value, import_scope=scope or None)
                    variables[name.rpartition(":")[0]] = by_name[name]
                graph.add_to_collection(key, by_name[name])
            elif collection.kind == "node_list":
                full = f"{scope}/{value}" if scope else value
                graph.add_to_collection(key, graph.as_graph_element(full))
            else:
                graph.add_to_collection(key, value)
    return variables
