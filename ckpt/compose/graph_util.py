"""`tf.graph_util`: GraphDefs cut to what outputs need, variables as constants, training nodes removed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from ckpt.compose.draft import Draft
from ckpt.compose.surgery.inference import colocated_with, past
from ckpt.compose.surgery.values import freeze
from ckpt.core import defs
from ckpt.graph.selection import needed, node_of
from ckpt.saver.savings import VARIABLE_TYPES
from ckpt.wire.plain import message, plain


def _plain(graph_def: Any) -> defs.GraphDef:
    if not hasattr(graph_def, "node"):
        raise TypeError(f"graph_def must be a graph_pb2.GraphDef proto, not {graph_def!r}")
    return plain(graph_def, defs.GraphDef)


def extract_sub_graph(graph_def: Any, dest_nodes: Sequence[str]) -> Any:
    """The GraphDef message of the nodes that `dest_nodes` need, in their order.

    Raises TypeError when `dest_nodes` is a string or `graph_def` no GraphDef, AssertionError for a name that is not there.
    """
    if isinstance(dest_nodes, str):
        raise TypeError("dest_nodes must be a list.")
    graph = _plain(graph_def)
    names = {node.name for node in graph.node}
    for name in dest_nodes:
        if name not in names:
            raise AssertionError(f"{name} is not in graph")
    kept = needed(graph, dest_nodes)
    return message(replace(graph, node=tuple(n for n in graph.node if n.name in kept)))


_PASSING = ("CheckNumerics", "Identity", "StopGradient")
"""What training needs, and what only passes its input on."""


def remove_training_nodes(input_graph: Any, protected_nodes: Iterable[str] | None = None) -> Any:
    """The GraphDef message without CheckNumerics, StopGradient and Identity nodes, also those that nothing takes.

    What took one takes its source. Those stay that are in `protected_nodes`, wait for others, are waited for, or are named
    by a colocation group.
    """
    graph = _plain(input_graph)
    protected = [protected_nodes] if isinstance(protected_nodes, str) else protected_nodes or ()
    keep = {*protected} | colocated_with(graph)
    keep |= {node_of(text) for node in graph.node for text in node.input if text.startswith("^")}
    gone = {
        node.name: node.input[0]
        for node in graph.node
        if node.op in _PASSING and len(node.input) == 1 and node.name not in keep
    }
    kept = tuple(
        replace(node, input=tuple(past(text, gone) for text in node.input))
        for node in graph.node
        if node.name not in gone
    )
    return message(replace(graph, node=kept))


def convert_variables_to_constants(
    sess: Any,
    input_graph_def: Any,
    output_node_names: Sequence[str],
    variable_names_whitelist: Iterable[str] | None = None,
    variable_names_blacklist: Iterable[str] | None = None,
) -> Any:
    """The GraphDef message of what the outputs need, its variables replaced by the values that `sess` has.

    Only variables in the whitelist (all, when None) and none in the blacklist are replaced. Raises what
    `extract_sub_graph` raises, and FailedPreconditionError for a variable without value.
    """
    graph = _plain(extract_sub_graph(input_graph_def, list(output_node_names)))
    chosen = [
        node.name
        for node in graph.node
        if node.op in VARIABLE_TYPES
        and (variable_names_whitelist is None or node.name in set(variable_names_whitelist))
        and node.name not in set(variable_names_blacklist or ())
    ]
    if not chosen:
        return message(graph)
    values = sess.run([_readable(sess, graph, name) for name in chosen])
    draft = Draft(
        defs.MetaGraphDef(graph_def=graph),
        {name: (name,) for name in chosen},
        dict(zip(chosen, values, strict=True)),
    )
    return message(freeze(draft).meta.graph_def)


def _readable(sess: Any, graph: defs.GraphDef, name: str) -> str:
    """A tensor with the variable's value: itself, or what reads its handle."""
    node = sess.graph.get_operation_by_name(name)
    if node.type != "VarHandleOp":
        return f"{name}:0"
    for reader in sess.graph.get_operations():
        if reader.type == "ReadVariableOp" and reader.inputs[0].op.name == name:
            return f"{reader.name}:0"
    return f"{name}:0"


_VARIABLE_OPS = {
    "Assign",
    "AssignAdd",
    "AssignSub",
    "Queue",
    "ScatterAdd",
    "ScatterSub",
    "ScatterUpdate",
    "TruncatedNormal",
    "Variable",
    "VariableV2",
}


def must_run_on_cpu(node: Any, pin_variables_on_cpu: bool = False) -> bool:
    """True for a node that TensorFlow keeps off its GPUs: strings, small integers, and (where asked) variables."""
    definition = getattr(node, "node_def", node)
    if pin_variables_on_cpu and definition.op in _VARIABLE_OPS:
        return True
    if definition.op == "Const":
        return int(definition.attr["dtype"].type) in (3, 7)  # DT_INT32, DT_STRING
    if definition.op in ("DynamicStitch", "ParallelDynamicStitch"):
        return int(definition.attr["T"].type) == 3  # DT_INT32
    if definition.op == "Cast":
        return int(definition.attr["SrcT"].type) == 3
    return False


def tensor_shape_from_node_def_name(graph: Any, input_name: str) -> Any:
    """The static shape of the tensor that an input of a NodeDef names."""
    name = input_name if ":" in input_name else f"{node_of(input_name)}:0"
    return graph.get_tensor_by_name(name).shape
