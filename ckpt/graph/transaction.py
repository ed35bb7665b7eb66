"""Changes of a graph that happen whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ckpt.graph.graph import Graph


@contextmanager
def transaction(graph: Graph) -> Iterator[None]:
    """When the block raises, the graph has the nodes, names, functions and collections that it had before.

    No other thread may add to the graph meanwhile: they wait. Control inputs and attributes given to nodes that were
    there before are not taken back.
    """
    with graph._lock:
        nodes = len(graph._nodes)
        names, seed = dict(graph._names_in_use), graph.last_op_seed
        functions, bodies = dict(graph._functions), dict(graph._bodies)
        collections = {key: list(members) for key, members in graph._collections.items()}
        try:
            yield
        except BaseException:
            for node in graph._nodes[nodes:]:
                graph._by_name.pop(node.name, None)
            del graph._nodes[nodes:]
            graph._names_in_use, graph.last_op_seed = names, seed
            graph._functions, graph._bodies = functions, bodies
            for key in list(graph._collections):
                if key in collections:
                    graph._collections[key][:] = collections[key]
                else:
                    del graph._collections[key]
            graph.touch()
            raise
