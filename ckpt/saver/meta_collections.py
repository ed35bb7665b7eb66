"""Collections of a graph as plain data and back: nodes, variables, numbers, strings, and objects with a message of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ckpt.core import defs
from ckpt.core.errors import DataLossError, GraphError
from ckpt.core.scope_names import inside, scope_prefix
from ckpt.core.texts import bytes_of, text_of
from ckpt.graph.graph import Graph
from ckpt.graph.keys import GraphKeys
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.renaming import NAMED_MESSAGES, reference, renamed_message, under
from ckpt.model.queue_runner import QueueRunner
from ckpt.model.variables import Variable


def collection_defs(
    graph: Graph, keys: Iterable[Any], export_scope: str | None
) -> dict[str, defs.CollectionDef]:
    """The collections as plain data, only what is inside `export_scope`, without that prefix.

    Left out is a collection of which nothing is left, and one whose members cannot be written (as in TensorFlow).
    """
    prefix = scope_prefix(export_scope)
    # by identity: most are in several collections
    variables: dict[int, defs.VariableDef | None] = {}
    found = {}
    for key in keys:
        members = graph.get_collection(key)
        if all(isinstance(member, Variable) for member in members):
            for member in members:
                if id(member) not in variables:
                    variables[id(member)] = member.to_def(export_scope)
            written = [variables[id(member)] for member in members]
            kind, values = "variables", [v for v in written if v is not None]
        else:
            kind, values = _values(members, export_scope, prefix)
        if values:
            found[str(key)] = defs.CollectionDef(kind, tuple(values))
    return found


def _values(members: Sequence[Any], export_scope: str | None, prefix: str) -> tuple[str, list[Any]]:
    if all(_is_any(m) for m in members):
        return "any_list", [(m.type_url, m.value) for m in members]
    if any(hasattr(m, "to_proto") for m in members) and not any(
        isinstance(m, (Variable, Tensor, Operation)) for m in members
    ):
        messages = [
            m.to_proto(export_scope=export_scope) for m in members if hasattr(m, "to_proto")
        ]
        return "bytes_list", [m.SerializeToString() for m in messages if m is not None]
    if prefix:  # numbers belong to no scope; names do
        members = [m for m in members if _is_number(m) or _name(m).startswith(prefix)]
    if all(isinstance(m, (Tensor, Operation, Variable)) for m in members):
        return "node_list", [m.name.removeprefix(prefix) for m in members]
    if any(isinstance(m, bool) for m in members):
        return "", []
    for kind, name in ((int, "int64_list"), (float, "float_list")):
        if all(type(m) is kind for m in members):
            return name, list(members)
    if all(isinstance(m, (str, bytes)) for m in members):
        return "bytes_list", [bytes_of(m) if isinstance(m, str) else m for m in members]
    return "", []


def _is_any(member: Any) -> bool:
    """Whether a member is a protobuf Any."""
    descriptor = getattr(member, "DESCRIPTOR", None)
    return getattr(descriptor, "full_name", "") == "google.protobuf.Any"


def _is_number(member: Any) -> bool:
    return type(member) in (int, float)


def _name(member: Any) -> str:
    if isinstance(member, bytes):
        return text_of(member)
    return member if isinstance(member, str) else str(getattr(member, "name", ""))


def add_collections(
    graph: Graph,
    meta_graph: defs.MetaGraphDef,
    scope: str,
    wanted: Callable[[str], bool],
    *,
    are_there: bool = False,
) -> dict[str, Any]:
    """Rebuild the collections in `graph`; one variable that is in several of them stays one object.

    Where the nodes `are_there` already, variables that the graph's collections hold are taken, and none is in one twice:
    a step of training would be taken twice then.
    Returns the variables by their original names. Raises CollectionError naming the member that cannot be rebuilt.
    """
    variables: dict[str, Any] = {}
    by_name: dict[str, Any] = {}
    held = _variables_of(graph) if are_there else {}
    keys = sorted(meta_graph.collection_def, key=lambda k: k != GraphKeys.TRAINABLE_VARIABLES)
    for key in keys:
        collection = meta_graph.collection_def[key]
        if not wanted(key):
            continue
        present = set(map(id, graph.get_collection_ref(key))) if are_there else set()
        for place, found in enumerate(collection.value):
            try:
                value = _inside(key, collection.kind, found, scope)
                if collection.kind == "variables":
                    name = value.variable_name
                    if name not in by_name:
                        mine = held.get(inside(scope, name))
                        if mine is None:
                            mine = Variable(variable_def=value, import_scope=scope or None)
                        by_name[name] = mine
                        variables[name.rpartition(":")[0]] = mine
                    member = by_name[name]
                    if id(member) in present:
                        continue
                else:
                    member = _member(graph, key, collection.kind, value, scope)
            except (KeyError, ValueError, TypeError) as error:
                raise CollectionError(key, place, error) from error
            graph.add_to_collection(key, member)
    return variables


def _variables_of(graph: Graph) -> dict[str, Variable]:
    """The variables in the collections of a graph, by their names."""
    members = [graph.get_collection_ref(key) for key in graph.get_all_collection_keys()]
    return {m.name: m for found in members for m in found if isinstance(m, Variable)}


def _inside(key: str, kind: str, value: Any, scope: str) -> Any:
    """A message that names nodes with those names in the scope; any other member as it is."""
    if not scope or key not in NAMED_MESSAGES or kind != "bytes_list":
        return value
    return renamed_message(key, value, under(scope))


def _any(type_url: str, value: bytes) -> Any:
    from google.protobuf.any_pb2 import Any as Message  # only such a collection needs it

    return Message(type_url=type_url, value=value)


class CollectionError(GraphError, KeyError):
    """A member of a collection is none that the graph has; a KeyError too, as TensorFlow raises for a node unknown."""

    def __init__(self, key: str, place: int, error: Exception) -> None:
        reason = error.args[0] if isinstance(error, KeyError) and error.args else error
        super().__init__(f"collection {key!r}, member {place}: {reason}")

    __str__ = Exception.__str__  # KeyError would show it quoted


def _member(graph: Graph, key: str, kind: str, value: Any, scope: str) -> Any:
    """A member of a collection as the object that it describes."""
    if kind == "node_list":
        return graph.as_graph_element(reference(value, under(scope)) if scope else value)
    if kind == "any_list":
        return _any(*value)
    if key == GraphKeys.SAVERS and isinstance(value, bytes):
        from ckpt.saver.saver import Saver  # the Saver exports through MetaGraphs
        from ckpt.wire import tf_pb  # protobuf is loaded only when messages are used

        found = tf_pb.from_bytes(defs.SaverDef, value, f"collection '{key}'")
        return Saver.from_proto(found, import_scope=scope or None)
    if key == GraphKeys.QUEUE_RUNNERS and isinstance(value, bytes):
        return _queue_runner(graph, key, value)
    if isinstance(value, bytes) and scope and key not in NAMED_MESSAGES:
        return _text_in_scope(value, scope)
    return value


def _text_in_scope(value: bytes, scope: str) -> str | bytes:
    """A text under the scope, as TensorFlow takes it for a name; a message stays as it is."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value
    if not text.isprintable():
        return value
    for mark in ("^", "loc:@"):
        if text.startswith(mark):
            return f"{mark}{scope}/{text[len(mark) :]}"
    return f"{scope}/{text}"


def _queue_runner(graph: Graph, key: str, value: bytes) -> QueueRunner:
    """The runner that a QueueRunnerDef describes, over the operations of `graph`."""
    from google.protobuf.message import DecodeError  # as above

    from ckpt.wire import messages

    try:
        message = messages.QueueRunnerDef.FromString(value)
    except DecodeError as error:
        raise DataLossError(
            None, None, f"collection '{key}': not a QueueRunnerDef message: {error}"
        ) from error
    with graph.as_default():
        return QueueRunner.from_proto(message)
