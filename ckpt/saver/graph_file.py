"""A graph alone in a file, as TensorFlow writes it. Must not know variables or checkpoints."""

from __future__ import annotations

from typing import Any

from ckpt.core import storage
from ckpt.core.system import StrPath
from ckpt.graph.graph import Graph


def write_graph(graph_or_graph_def: Any, logdir: StrPath, name: str, as_text: bool = True) -> str:
    """Write a graph (or its message) as text or bytes to `logdir/name`; returns the path. Makes the folder.

    Raises OpError when it cannot be written.
    """
    message = (
        graph_or_graph_def.as_graph_def()
        if isinstance(graph_or_graph_def, Graph)
        else graph_or_graph_def
    )
    if as_text:
        from google.protobuf import text_format  # protobuf is loaded only when messages are used

        data = text_format.MessageToString(message).encode()
    else:
        data = message.SerializeToString(deterministic=True)
    path = storage.joined(logdir, name)
    storage.make_directory(storage.split(path)[0], parents=True)
    storage.write_file(path, data)
    return path
