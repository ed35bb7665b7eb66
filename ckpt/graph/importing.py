"""`import_graph_def`, and what imports of MetaGraphs share with it: input maps and the elements that are returned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ckpt.core import defs
from ckpt.core.defs import split_input
from ckpt.graph import stack
from ckpt.graph.convert import convert_to_tensor
from ckpt.graph.graph import Graph
from ckpt.graph.load import load_graph
from ckpt.graph.node_attrs import without_unknown_defaults
from ckpt.graph.operation import Operation, Tensor
from ckpt.wire.plain import plain


def mapped_tensors(graph: Graph, input_map: Mapping[str, Any] | None) -> dict[str, Tensor]:
    """The values of an input map as tensors of `graph`. Raises TypeError for a key that is no string."""
    found: dict[str, Tensor] = {}
    for key, value in (input_map or {}).items():
        if not isinstance(key, str):
            raise TypeError(
                f"All keys for argument `input_map` must be strings. Obtained keys: {list(input_map or ())}"
            )
        element = graph.as_graph_element(value)
        found[key] = element.outputs[0] if isinstance(element, Operation) else element
    return found


def only_tensors(graph: Graph, input_map: Mapping[str, Any] | None) -> dict[str, Tensor]:
    """The input map of an import without a scope. Raises ValueError for values that would have to be made tensors."""
    if not all(isinstance(value, Tensor) for value in (input_map or {}).values()):
        raise ValueError(
            "tf.import_graph_def() requires a non-empty `name` if `input_map` contains non-Tensor values. "
            "Try calling tf.convert_to_tensor() on `input_map` values before calling tf.import_graph_def()."
        )
    return mapped_tensors(graph, input_map)


def converted_inputs(graph: Graph, input_map: Mapping[str, Any] | None) -> dict[str, Tensor]:
    """The input map with what is no tensor converted to one, in the scope `_inputs`."""
    if all(isinstance(value, Tensor) for value in (input_map or {}).values()):
        return mapped_tensors(graph, input_map)
    with graph.name_scope("_inputs"):
        made = {key: convert_to_tensor(value) for key, value in (input_map or {}).items()}
    return mapped_tensors(graph, made)


def _plain_graph(value: Any) -> defs.GraphDef:
    if not isinstance(value, defs.GraphDef) and not hasattr(value, "SerializeToString"):
        raise TypeError(f"Argument `graph_def` must be a GraphDef proto, not {value!r}.")
    return plain(value, defs.GraphDef)


def import_graph_def(
    graph_def: Any,
    input_map: Mapping[str, Any] | None = None,
    return_elements: Sequence[str] | None = None,
    name: str | None = None,
    op_dict: Any = None,
    producer_op_list: Any = None,
) -> list[Any] | None:
    """Add the nodes of a GraphDef (a message or plain data) to the default graph under `name` ("import").

    Returns the operations and tensors named in `return_elements`, in that order; a tensor that `input_map` replaces is its
    replacement. A name that the graph has already gets a number, so with `name=""` return elements tell what became of
    it. Values of `input_map` that are no tensors are converted, under `name`. Attributes that we do not know are
    dropped where `producer_op_list` (an OpList message) says that they have their default. Raises ValueError for entries of
    `input_map` or `return_elements` that are not in the GraphDef, listing all of them, and TypeError for those that are no strings.
    """
    graph = stack.get_default_graph()
    given = _plain_graph(graph_def)
    if return_elements is not None and not all(isinstance(e, str) for e in return_elements):
        raise TypeError(
            f"Argument `return_elements` must be a list of strings. Obtained {return_elements}."
        )
    prefix = "import" if name is None else name
    if prefix:
        with graph.name_scope(prefix) as opened:
            scope = opened.rstrip("/")
            mapped = converted_inputs(graph, input_map)
    else:
        scope, mapped = "", only_tensors(graph, input_map)
    unused: list[str] = []
    given = without_unknown_defaults(given, producer_op_list)
    operations = load_graph(graph, given, scope, mapped, unused, unique=True)
    if unused:
        raise ValueError(
            f"Attempted to map inputs that were not found in graph_def: [{', '.join(unused)}]"
        )
    if return_elements is None:
        return None
    replaced = {split_input(key): tensor for key, tensor in mapped.items()}
    found = []
    for element in return_elements:
        own = returned_element(operations, element)
        found.append(replaced.get(split_input(element), own) if ":" in element else own)
    return found


def returned_element(operations: Mapping[str, Operation], element: str) -> Any:
    """The operation or tensor that an element names in the imported graph. Raises ValueError when there is none."""
    node, index = split_input(element)
    if node not in operations:
        raise ValueError(f"Requested return node '{node}' not found in graph def")
    if ":" not in element:
        return operations[node]
    if index >= len(operations[node].outputs):
        raise ValueError(
            f"Invalid return output {index} of node '{node}', which has {len(operations[node].outputs)} output(s)"
        )
    return operations[node].outputs[index]
