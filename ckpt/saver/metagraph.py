"""MetaGraphs: a graph with its collections and Saver as one value; export, import, files. Runs no session."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from ckpt.core import defs, storage, versions
from ckpt.core.collector import paused
from ckpt.core.defs import split_input
from ckpt.core.errors import GraphError
from ckpt.core.scope_names import scope_prefix
from ckpt.core.shapes import TensorShape
from ckpt.graph import stack
from ckpt.graph.dump import graph_def as graph_to_def
from ckpt.graph.dump import without_defaults
from ckpt.graph.graph import Graph
from ckpt.graph.importing import mapped_tensors, returned_element
from ckpt.graph.load import load_graph
from ckpt.graph.node_attrs import without_unknown_defaults
from ckpt.graph.operation import Operation
from ckpt.graph.origins import Origin
from ckpt.graph.transaction import transaction
from ckpt.saver.debug_info import debug_file, write_debug_info
from ckpt.saver.meta_collections import add_collections, collection_defs
from ckpt.saver.meta_files import read_meta_graph_file
from ckpt.saver.reimport import nodes_there
from ckpt.saver.savings import without_other_savers
from ckpt.saver.scoped import UNBOUND_INPUTS, check_bound, scoped_graph
from ckpt.saver.var_list import saveable_objects
from ckpt.wire import metagraph_file, metagraph_json
from ckpt.wire.plain import message, plain


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
    clear_extraneous_savers: bool = False,
    unbound_inputs_col_name: str | None = UNBOUND_INPUTS,
) -> defs.MetaGraphDef:
    """The graph (or only the nodes in `export_scope`, without that prefix), its collections and a SaverDef.

    What a scope takes from outside is listed in the collection `unbound_inputs_col_name` of the result.
    """
    found = graph_def if graph_def is not None else graph_to_def(graph)
    unbound: list[str] = []
    if export_scope:
        found = scoped_graph(found, export_scope, unbound)
    if clear_devices:
        found = replace(found, node=tuple(replace(node, device="") for node in found.node))
    if strip_default_attrs:
        found = without_defaults(found)
    keys = graph.get_all_collection_keys() if collection_list is None else collection_list
    collections = collection_defs(graph, keys, export_scope)
    if unbound and unbound_inputs_col_name:
        names = tuple(name.encode() for name in unbound)
        collections[unbound_inputs_col_name] = defs.CollectionDef("bytes_list", names)
    meta = defs.MetaGraphDef(defs.MetaInfoDef(), found, saver_def, collections)
    if clear_extraneous_savers:
        meta = without_other_savers(meta)
    info = defs.MetaInfoDef(
        tensorflow_version=versions.VERSION,
        tensorflow_git_version=versions.GIT_VERSION,
        stripped_op_list=tuple(sorted({node.op for node in meta.graph_def.node})),
        stripped_default_attrs=strip_default_attrs,
    )
    return replace(meta, meta_info_def=info)


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
    """The MetaGraphDef message of a graph (the default graph); written to `filename` where given, as JSON `as_text`, in a
    directory that is made where it is not there.

    * `export_scope`: only the nodes in that scope, without its prefix; what they take from outside is named
      `$unbound_inputs_x:0` and listed in the collection "unbound_inputs".
    * `collection_list`: only these collections. `clear_devices`, `strip_default_attrs`: without device names, without
      attributes that have their defaults. `clear_extraneous_savers`: without the nodes of other Savers.
    * The message has the attribute `_output_shapes`, what is written has not: shapes are found anew when it is read.
    * `meta_info_def`, `graph_def`, `saver_def`: messages to take instead of the graph's own.
    * `save_debug_info`: where the nodes were made is written beside `filename`, `.debug` in place of its last suffix.

    Raises TypeError for unknown arguments.
    """
    if kwargs:
        raise TypeError(f"export_meta_graph() got unexpected arguments: {', '.join(kwargs)}")
    from ckpt.wire import tf_pb  # protobuf is loaded only when messages are used

    graph = graph if graph is not None else stack.get_default_graph()
    with paused():
        found = export(
            graph,
            None if saver_def is None else plain(saver_def, defs.SaverDef),
            collection_list,
            clear_devices,
            strip_default_attrs,
            export_scope,
            None if graph_def is None else plain(graph_def, defs.GraphDef),
            clear_extraneous_savers,
        )
        if meta_info_def is not None:
            found = replace(found, meta_info_def=plain(meta_info_def, defs.MetaInfoDef))
        if filename:
            storage.make_directory(storage.split(os.fspath(filename))[0], parents=True)
            write_meta_graph(filename, found, as_text=as_text)
        if filename and save_debug_info:
            write_debug_info(graph, debug_file(os.fspath(filename)))
        if graph_def is not None:
            return message(found)
        return tf_pb.meta_graph_message(found, _output_shapes(found, graph, export_scope))


def _output_shapes(
    meta_graph: defs.MetaGraphDef, graph: Graph, export_scope: str | None
) -> dict[str, list[TensorShape]]:
    """The static shapes of the outputs of the nodes, which TensorFlow's messages have; one list for all that have the same."""
    lead = scope_prefix(export_scope)
    lists: dict[Any, list[TensorShape]] = {}
    found = {}
    for node in meta_graph.graph_def.node:
        live = graph._by_name.get(lead + node.name)
        outputs = live._outputs if live is not None else ()
        if not outputs:
            continue
        key: Any = (outputs[0]._shape.sizes,)
        if len(outputs) > 1:
            key = tuple([tensor._shape.sizes for tensor in outputs])
        shapes = lists.get(key)
        if shapes is None:
            shapes = lists[key] = [tensor._shape for tensor in outputs]
        found[node.name] = shapes
    return found


def write_meta_graph(
    filename: str, meta_graph: defs.MetaGraphDef, *, as_text: bool = False
) -> None:
    """Write a `.meta` file atomically: sealed msgpack, or JSON `as_text`."""
    data = (
        metagraph_json.to_json(meta_graph).encode() if as_text else metagraph_file.pack(meta_graph)
    )
    storage.write_file(os.fspath(filename), data)


def check_saver_def(saver_def: defs.SaverDef) -> None:
    """Raise GraphError unless it names what a Saver runs."""
    if not saver_def.save_tensor_name or not saver_def.restore_op_name:
        raise GraphError(f"saver_def must name a save tensor and a restore op: {saver_def}")


def import_meta_graph(
    meta_graph_or_file: Any,
    clear_devices: bool = False,
    import_scope: str | None = None,
    graph: Graph | None = None,
    **kwargs: Any,
) -> Any:
    """Add a MetaGraph (a file name, a message or plain data) to `graph` (the default graph); returns its Saver.

    `import_scope` prefixes every name, `input_map={"x:0": tensor}` replaces inputs, `return_elements` names tensors and
    operations, and then (Saver, those elements) is returned. Its operations read and write only files that the caller of a
    run names (the Saver's checkpoints, what is fed), any with `allow_file_operations=True`. Where the MetaGraph has no
    Saver, one over all variables of the graph is made; None when it brings none and none is in the scope. What is imported
    a second time is added under other names, as in TensorFlow, and Saver, collections and elements are those that are
    there. Raises ValueError when inputs from outside an exported scope are not in `input_map`, or `input_map` names what
    is not there, TakenNamesError (a GraphError) when the graph has other nodes of the same names.
    """
    from ckpt.saver.saver import Saver  # the Saver exports through this module

    elements = kwargs.pop("return_elements", None)
    graph = graph if graph is not None else stack.get_default_graph()
    with transaction(graph), graph.as_default():
        imported = import_into(
            graph, meta_graph_or_file, clear_devices, import_scope, may_be_there=True, **kwargs
        )
        saver_def, saver = imported.meta_graph.saver_def, None
        if saver_def is not None and saver_def.save_tensor_name:
            _check_own(imported, saver_def)
            saver = Saver.from_proto(saver_def, import_scope=imported.scope)
        elif saveable_objects(scope=None if imported.variables else re.escape(import_scope or "")):
            saver = Saver()
        if elements is None:
            return saver
        return saver, [returned_element(imported.operations, element) for element in elements]


def _check_own(imported: Imported, saver_def: defs.SaverDef) -> None:
    """Raise GraphError where a Saver would run nodes that the graph had before, and that did not come with it."""
    names = (saver_def.filename_tensor_name, saver_def.save_tensor_name, saver_def.restore_op_name)
    lead = f"{imported.scope}/" if imported.scope else ""
    foreign = [
        name
        for name in names
        if (node := split_input(name)[0]) not in imported.operations
        and lead + node in imported.graph._by_name
    ]
    if foreign:
        raise GraphError(
            f"saver_def names nodes that are not in its MetaGraph but in the graph that this is imported into: "
            f"{', '.join(foreign)}"
        )


class Imported:
    """What an import added: operations and variables by their original names, and the scope they are in."""

    def __init__(
        self,
        graph: Graph,
        meta_graph: defs.MetaGraphDef,
        scope: str,
        operations: dict[str, Operation],
        variables: dict[str, Any],
    ) -> None:
        self.graph = graph
        self.meta_graph = meta_graph
        self.scope = scope
        self.operations = operations
        self.variables = variables


def import_into(
    graph: Graph,
    meta_graph_or_file: Any,
    clear_devices: bool = False,
    import_scope: str | None = None,
    input_map: Mapping[str, Any] | None = None,
    restore_collections_predicate: Callable[[str], bool] = lambda key: True,
    unbound_inputs_col_name: str | None = UNBOUND_INPUTS,
    producer_op_list: Any = None,
    allow_file_operations: bool = False,
    *,
    source: str = "",
    made_at: Origin | None = None,
    may_be_there: bool = False,
) -> Imported:
    """Add a MetaGraph to `graph` under `import_scope`: nodes, then variables and the other collections, or nothing.

    Where all of its nodes `may_be_there` already, they count as imported, and copies that nothing refers to are added.
    Raises ValueError for entries of `input_map` that nothing uses and for unbound inputs that it does not name,
    GraphError listing every problem of the nodes.
    """
    if isinstance(meta_graph_or_file, (str, bytes, os.PathLike)):
        meta_graph = read_meta_graph_file(os.fsdecode(meta_graph_or_file))
        source = source or os.fsdecode(meta_graph_or_file)
    else:
        meta_graph = plain(meta_graph_or_file, defs.MetaGraphDef)
    check_bound(meta_graph, input_map or {}, unbound_inputs_col_name)
    if meta_graph.saver_def is not None and meta_graph.saver_def.save_tensor_name:
        check_saver_def(meta_graph.saver_def)
    nodes = without_unknown_defaults(meta_graph.graph_def, producer_op_list)
    if clear_devices:
        nodes = replace(nodes, node=tuple(replace(node, device="") for node in nodes.node))
    with transaction(graph), graph.as_default():
        scope = graph.get_name_scope()
        if import_scope:
            with graph.name_scope(import_scope) as opened:
                scope = opened.rstrip("/")
        unused: list[str] = []
        there: dict[str, Operation] = {}
        if may_be_there and not input_map:
            there = nodes_there(graph, nodes, scope)
        if made_at is None:
            may = bool(allow_file_operations)
            made_at = graph.imported(source or "a MetaGraphDef", may_use_files=may)
        operations = load_graph(
            graph,
            nodes,
            scope,
            mapped_tensors(graph, input_map),
            unused,
            unique=bool(there),
            made_at=made_at,
        )
        if unused:
            raise ValueError(
                f"Attempted to map inputs that were not found in graph_def: [{', '.join(unused)}]"
            )
        variables = add_collections(
            graph,
            meta_graph,
            scope,
            lambda key: key != unbound_inputs_col_name and restore_collections_predicate(key),
            are_there=bool(there),
        )
    return Imported(graph, meta_graph, scope, there or operations, variables)
