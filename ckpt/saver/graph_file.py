"""A graph alone in a file, as TensorFlow writes it. Must not know variables or checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ckpt.core.atomic import write_file
from ckpt.core.local_files import make_directory
from ckpt.graph.graph import Graph


def write_graph(graph_or_graph_def: Any, logdir: Any, name: str, as_text: bool = True) -> str:
    """Write a graph (or its message) as text or bytes to `logdir/name`; returns the path. Makes the folder."""
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
    path = Path(logdir) / name
    make_directory(path.parent, parents=True)
    write_file(path, data)
    return str(path)
