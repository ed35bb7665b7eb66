"""Facade: the names of `tf.io`. Re-exports only."""

from ckpt.core import gfile
from ckpt.formats.record_files import (
    TFRecordCompressionType,
    TFRecordOptions,
    TFRecordWriter,
    tf_record_iterator,
)
from ckpt.saver.graph_file import write_graph

__all__ = [
    "TFRecordCompressionType",
    "TFRecordOptions",
    "TFRecordWriter",
    "gfile",
    "tf_record_iterator",
    "write_graph",
]
