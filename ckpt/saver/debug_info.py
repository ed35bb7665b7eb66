"""Where the nodes of a graph were made, as a GraphDebugInfo message beside the MetaGraph. Runs no session."""

from __future__ import annotations

from ckpt.core import storage
from ckpt.graph.graph import Graph

SUFFIX = ".debug"


def debug_file(meta_file: str) -> str:
    """The file that TensorFlow writes for a MetaGraph file: `.debug` in place of its last suffix."""
    above, name = storage.split(meta_file)
    stem = name.rpartition(".")[0] or name
    return meta_file.removesuffix(name) + stem + SUFFIX if above else stem + SUFFIX


def write_debug_info(graph: Graph, filename: str, *, durable: bool = True) -> None:
    """Write, for each node, the lines of the program that made it, outermost call first; paths are as Python knows them.

    Nodes made by one line share a trace; the name of a node in the main graph ends in `@`. Source:
    tensorflow/core/framework/graph_debug_info.proto.
    """
    from ckpt.wire import messages  # protobuf is loaded only when messages are used

    info = messages.GraphDebugInfo()
    files: dict[str, int] = {}
    frames: dict[tuple[str, int, str], int] = {}
    traces: dict[tuple[int, ...], int] = {}
    for node in graph.get_operations():
        numbers = tuple(frames.setdefault(frame, len(frames)) for frame in node.traceback)
        info.name_to_trace_id[f"{node.name}@"] = traces.setdefault(numbers, len(traces))
    for (file, line, function), number in frames.items():
        found = info.frames_by_id[number]
        found.file_index = files.setdefault(file, len(files))
        found.line, found.func = line, function
    for numbers, number in traces.items():
        info.traces_by_id[number].frame_id.extend(numbers)
    info.files.extend(files)
    storage.write_file(filename, info.SerializeToString(deterministic=True), durable=durable)
