"""Where the nodes of a graph were made, as a GraphDebugInfo message beside the MetaGraph. Runs no session.

Who only asks for the name of the file loads no graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt.core import storage

if TYPE_CHECKING:
    from ckpt.graph.graph import Graph
    from ckpt.graph.origins import Line, Origin

SUFFIX = ".debug"


def debug_file(meta_file: str) -> str:
    """The file that TensorFlow writes for a MetaGraph file: `.debug` in place of its last suffix."""
    name = storage.split(meta_file)[1]
    stem = name.rpartition(".")[0] or name
    return meta_file.removesuffix(name) + stem + SUFFIX


def write_debug_info(graph: Graph, filename: str, *, durable: bool = True) -> None:
    """Write, for each node, the lines of the program that made it, outermost call first; paths are as Python knows them.

    Nodes made by one line share a trace; the name of a node in the main graph ends in `@`. Source:
    tensorflow/core/framework/graph_debug_info.proto.
    """
    from ckpt.graph.origins import lines
    from ckpt.wire import messages  # protobuf is loaded only when messages are used

    info = messages.GraphDebugInfo()
    files: dict[str, int] = {}
    frames: dict[Line, int] = {}
    traces: dict[Origin, int] = {}
    for node in graph.get_operations():
        info.name_to_trace_id[f"{node.name}@"] = traces.setdefault(node._origin, len(traces))
    for origin, number in traces.items():
        outermost_first = reversed(lines(origin))
        info.traces_by_id[number].frame_id.extend(
            [frames.setdefault(line, len(frames)) for line in outermost_first]
        )
    for line, number in frames.items():
        found = info.frames_by_id[number]
        found.file_index = files.setdefault(line.filename, len(files))
        found.line, found.func = line.number, line.function
    info.files.extend(files)
    storage.write_file(filename, info.SerializeToString(deterministic=True), durable=durable)
