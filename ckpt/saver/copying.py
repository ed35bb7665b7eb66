"""Scopes exported from one graph and imported into another, with TensorFlow's names and arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ckpt.core import defs
from ckpt.core.scope_names import scope_prefix
from ckpt.graph import stack
from ckpt.graph.file_use import origin_of_copies
from ckpt.graph.graph import Graph
from ckpt.graph.importing import returned_element
from ckpt.saver import metagraph
from ckpt.saver.scoped import UNBOUND_INPUTS
from ckpt.wire.plain import message, plain


def export_scoped_meta_graph(
    filename: str | None = None,
    graph_def: Any = None,
    graph: Graph | None = None,
    export_scope: str | None = None,
    as_text: bool = False,
    unbound_inputs_col_name: str | None = UNBOUND_INPUTS,
    clear_devices: bool = False,
    saver_def: Any = None,
    clear_extraneous_savers: bool = False,
    strip_default_attrs: bool = False,
    save_debug_info: bool = False,
    **kwargs: Any,
) -> tuple[Any, dict[str, Any]]:
    """The MetaGraphDef message of a scope, and its variables by their names in it ("w:0").

    The arguments are those of `export_meta_graph`; `unbound_inputs_col_name` is the collection that lists what the scope
    takes from outside.
    """
    graph = graph if graph is not None else stack.get_default_graph()
    meta = metagraph.export(
        graph,
        saver_def=None if saver_def is None else plain(saver_def, defs.SaverDef),
        collection_list=kwargs.pop("collection_list", None),
        clear_devices=clear_devices,
        strip_default_attrs=strip_default_attrs,
        export_scope=export_scope,
        graph_def=None if graph_def is None else plain(graph_def, defs.GraphDef),
        clear_extraneous_savers=clear_extraneous_savers,
        unbound_inputs_col_name=unbound_inputs_col_name,
    )
    if kwargs:
        raise TypeError(f"export_scoped_meta_graph() got unexpected arguments: {', '.join(kwargs)}")
    if filename:
        metagraph.write_meta_graph(filename, meta, as_text=as_text)
    prefix = scope_prefix(export_scope)
    variables = {
        member.name.removeprefix(prefix): member
        for key in graph.get_all_collection_keys()
        for member in graph.get_collection(key)
        if hasattr(member, "to_def") and hasattr(member, "initializer")
        if member.name.startswith(prefix)
    }
    return message(meta), variables


def import_scoped_meta_graph(
    meta_graph_or_file: Any,
    clear_devices: bool = False,
    graph: Graph | None = None,
    import_scope: str | None = None,
    input_map: Mapping[str, Any] | None = None,
    unbound_inputs_col_name: str | None = UNBOUND_INPUTS,
    restore_collections_predicate: Callable[[str], bool] = lambda key: True,
) -> dict[str, Any]:
    """Add a MetaGraph to `graph` (the default graph); returns its variables by their names in the MetaGraph ("w:0").

    Raises what `import_meta_graph` raises.
    """
    return import_scoped_meta_graph_with_return_elements(
        meta_graph_or_file,
        clear_devices,
        graph,
        import_scope,
        input_map,
        unbound_inputs_col_name,
        restore_collections_predicate,
    )[0]


def import_scoped_meta_graph_with_return_elements(
    meta_graph_or_file: Any,
    clear_devices: bool = False,
    graph: Graph | None = None,
    import_scope: str | None = None,
    input_map: Mapping[str, Any] | None = None,
    unbound_inputs_col_name: str | None = UNBOUND_INPUTS,
    restore_collections_predicate: Callable[[str], bool] = lambda key: True,
    return_elements: Sequence[str] | None = None,
) -> tuple[dict[str, Any], list[Any] | None]:
    """`import_scoped_meta_graph`, and the tensors and operations that `return_elements` names in the MetaGraph."""
    imported = metagraph.import_into(
        graph if graph is not None else stack.get_default_graph(),
        meta_graph_or_file,
        clear_devices,
        import_scope,
        input_map,
        restore_collections_predicate,
        unbound_inputs_col_name,
    )
    variables = _by_old_names(imported)
    if return_elements is None:
        return variables, None
    return variables, [returned_element(imported.operations, name) for name in return_elements]


def _by_old_names(imported: metagraph.Imported) -> dict[str, Any]:
    """The variables by their names in the MetaGraph."""
    prefix = f"{imported.scope}/" if imported.scope else ""
    return {v.name.removeprefix(prefix): v for v in imported.variables.values()}


def copy_scoped_meta_graph(
    from_scope: str,
    to_scope: str,
    from_graph: Graph | None = None,
    to_graph: Graph | None = None,
) -> dict[str, Any]:
    """Copy a scope of one graph into another (or the same) graph; returns the new variables by their names in it.

    Raises ValueError when both graphs are the same and one scope lies in the other, and for a scope that takes inputs
    from outside.
    """
    source = from_graph if from_graph is not None else stack.get_default_graph()
    target = to_graph if to_graph is not None else stack.get_default_graph()
    if source is target and (
        from_scope == to_scope or from_scope.startswith(to_scope) or to_scope.startswith(from_scope)
    ):
        raise ValueError(
            f"'from_scope' and 'to_scope' need to be different when performing copy in the same graph: {to_scope}"
        )
    meta: defs.MetaGraphDef = metagraph.export(source, export_scope=from_scope)
    imported = metagraph.import_into(
        target, meta, import_scope=to_scope, made_at=origin_of_copies(target, [source])
    )
    return _by_old_names(imported)
