"""Facade: the names of `tf.io`. Re-exports only."""

from ckpt.core import gfile
from ckpt.saver.graph_file import write_graph

__all__ = ["gfile", "write_graph"]
