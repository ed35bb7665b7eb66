"""Importing what a graph has already: when that is a second time, and when another model. Must not know files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

from ckpt.core import defs
from ckpt.core.errors import GraphError
from ckpt.graph.dump import node_def
from ckpt.graph.graph import Graph
from ckpt.graph.load import load_graph
from ckpt.graph.operation import Operation

_SHOWN = 5


def nodes_there(graph: Graph, graph_def: defs.GraphDef, scope: str) -> dict[str, Operation]:
    """The nodes of `graph` that those of `graph_def` are, by their original names; {} when it has none of the names.

    Raises TakenNamesError when the graph has some of the names, but not all of the nodes as they are in `graph_def`;
    devices are of no account.
    """
    lead = f"{scope}/" if scope else ""
    found = {
        node.name: graph._by_name[lead + node.name]
        for node in graph_def.node
        if lead + node.name in graph._by_name
    }
    if not found:
        return {}
    scratch = Graph()
    load_graph(scratch, graph_def, scope)
    lost = [lead + node.name for node in graph_def.node if node.name not in found]
    others = [
        node.name
        for node in found.values()
        if _packed(node) != _packed(scratch._by_name[node.name])
    ]
    if lost or others:
        raise TakenNamesError(len(graph_def.node), list(found.values()), others, lost)
    return found


def _packed(node: Operation) -> bytes:
    from ckpt.wire.metagraph_values import packb  # needed only where names meet

    plain = node_def(node)
    return packb(replace(plain, device="", attr=dict(sorted(plain.attr.items()))))


def _some(names: Iterable[str]) -> str:
    shown = list(islice(names, _SHOWN + 1))
    return ", ".join(shown[:_SHOWN]) + (", …" if len(shown) > _SHOWN else "")


class TakenNamesError(GraphError):
    """A graph has nodes of the names that an import would add, and they are not its nodes."""

    def __init__(
        self, total: int, taken: list[Operation], others: list[str], lost: list[str]
    ) -> None:
        found = [
            f"it has nodes of {len(taken)} of the {total} names ({_some(n.name for n in taken)})"
        ]
        if others:
            found.append(f"of these {len(others)} are other nodes ({_some(others)})")
        if lost:
            found.append(f"{len(lost)} it has not ({_some(lost)})")
        super().__init__(
            f"the MetaGraph cannot be imported over this graph: {'; '.join(found)}. A Saver of it would "
            "restore into what is there and save that. Import it into an empty graph (tf.reset_default_graph()) or under a "
            "scope (import_scope=...); to restore its values into the variables that are there, use a Saver of "
            "theirs: tf.train.Saver().restore(sess, checkpoint)"
        )
