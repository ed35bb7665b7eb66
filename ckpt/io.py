"""Facade: the names of `tf.io`. Re-exports only."""

from ckpt.core import gfile
from ckpt.formats.record_files import (
    TFRecordCompressionType,
    TFRecordOptions,
    TFRecordWriter,
    tf_record_iterator,
)
from ckpt.model.input import (
    match_filenames_once,
)
from ckpt.model.queues import (
    PaddingFIFOQueue,
    PriorityQueue,
    QueueBase,
    RandomShuffleQueue,
)
from ckpt.ops.files import (
    matching_files,
    read_file,
    write_file,
)
from ckpt.saver.graph_file import write_graph

__all__ = [
    "PaddingFIFOQueue",
    "PriorityQueue",
    "QueueBase",
    "RandomShuffleQueue",
    "TFRecordCompressionType",
    "TFRecordOptions",
    "TFRecordWriter",
    "gfile",
    "match_filenames_once",
    "matching_files",
    "read_file",
    "tf_record_iterator",
    "write_file",
    "write_graph",
]
