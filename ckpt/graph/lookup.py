"""What a graph has of a name, or of an object that stands for something in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt.graph.operation import Operation, Tensor

if TYPE_CHECKING:
    from ckpt.graph.graph import Graph


class UnknownNameError(KeyError):
    """The graph has nothing of this name. Its text ends with similar names, looked for when it is shown:

    many who meet this error only ask whether a name is free.
    """

    def __init__(self, message: str, name: str, graph: Graph) -> None:
        super().__init__(message)
        self._name, self._graph = name, graph

    def __str__(self) -> str:
        near = _similar_names(self._graph, self._name)
        return repr(f"{self.args[0]} Similar names: {', '.join(near)}." if near else self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:
        return KeyError, self.args


def element_of(graph: Graph, obj: Any, allow_tensor: bool, allow_operation: bool) -> Any:
    """The tensor or operation that `obj` names, is, or stands for. Raises what `Graph.as_graph_element` raises."""
    kinds = " or ".join(
        kind
        for kind, allowed in (("Tensor", allow_tensor), ("Operation", allow_operation))
        if allowed
    )
    if not kinds:
        raise ValueError("allow_tensor and allow_operation can't both be False.")
    element = obj
    if not isinstance(obj, (str, Tensor, Operation)) and hasattr(obj, "_as_graph_element"):
        element = obj._as_graph_element()
    if isinstance(element, (bytes, bytearray)):
        element = bytes(element).decode()
    if isinstance(element, str):
        return _named(graph, element, kinds, allow_tensor, allow_operation)
    if (isinstance(element, Tensor) and allow_tensor) or (
        isinstance(element, Operation) and allow_operation
    ):
        if element.graph is not graph:
            kind = "Tensor" if isinstance(element, Tensor) else "Operation"
            raise ValueError(f"{kind} {element} is not an element of this graph.")
        return element
    raise TypeError(f"Can not convert a {type(obj).__name__} into a {kinds}.")


def _named(graph: Graph, name: str, kinds: str, allow_tensor: bool, allow_operation: bool) -> Any:
    if ":" in name:
        if not allow_tensor:
            raise ValueError(f"Name {name!r} appears to refer to a Tensor, not a {kinds}.")
        op_name, _, index_text = name.partition(":")
        if not (op_name and index_text.isdigit()):
            raise ValueError(
                f"The name {name!r} looks a like a Tensor name, but is not a valid one. "
                'Tensor names must be of the form "<op_name>:<output_index>".'
            )
        node = graph._by_name.get(op_name)
        if node is None:
            raise UnknownNameError(
                f"The name {name!r} refers to a Tensor which does not exist. The operation, {op_name!r}, "
                "does not exist in the graph.",
                op_name,
                graph,
            )
        if int(index_text) >= len(node._outputs):
            raise KeyError(
                f"The name {name!r} refers to a Tensor which does not exist. The operation, {op_name!r}, "
                f"exists but only has {len(node._outputs)} outputs."
            )
        return node._outputs[int(index_text)]
    node = graph._by_name.get(name)
    if node is not None and allow_operation:
        return node
    if node is not None:
        raise ValueError(
            f"The name {name!r} refers to an Operation, not a {kinds}. "
            'Tensor names must be of the form "<op_name>:<output_index>".'
        )
    if allow_operation:
        raise UnknownNameError(
            f"The name {name!r} refers to an Operation not in the graph.", name, graph
        )
    raise ValueError(
        f"The name {name!r} looks like an (invalid) Operation name, not a {kinds}. "
        'Tensor names must be of the form "<op_name>:<output_index>".'
    )


def _similar_names(graph: Graph, name: str) -> list[str]:
    """Up to three operations whose names are nearly `name`, of the first 5,000."""
    import difflib  # only an error that is shown needs it

    return difflib.get_close_matches(name, list(graph._by_name)[:5000], n=3)
