"""Event files for TensorBoard: written event by event, and read again. Must not know sessions.

An event file is a TFRecord file (docs/formats/tfrecord.md) of Event messages; the first one names the version.
Source: tensorflow/core/util/event.proto, and the names of files that TensorBoard looks for.
"""

from __future__ import annotations

import itertools
import logging
import os
import socket
import threading
import time
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ckpt.core import storage
from ckpt.formats.tfrecord import RecordReader, RecordWriter
from ckpt.graph import stack
from ckpt.graph.graph import Graph
from ckpt.saver.metagraph import export_meta_graph

if TYPE_CHECKING:
    from typing import Self

log = logging.getLogger("ckpt")

FILE_VERSION = "brain.Event:2"  # what the first event says; TensorBoard asks for it
_numbers = itertools.count()  # two files of one second and process differ


class FileWriter:
    """Writes summaries, graphs and other events to a new event file in `logdir`, which is made where it is missing.

    `graph` (or its message, `graph_def`) is written at once. What was written can be read by others after `flush_secs` seconds, when
    the next event comes, or after `flush`. Events are written by the thread that adds them, so that it hears of a full
    disk; `max_queue` and `session` mean nothing here. `filename_suffix` ends the name of the file. Many threads may share a writer. Raises
    ValueError for both graph and graph_def, TypeError for a graph that is none.
    """

    def __init__(
        self,
        logdir: Any,
        graph: Any = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        graph_def: Any = None,
        filename_suffix: str | None = None,
        session: Any = None,
    ) -> None:
        self._logdir: str = os.fspath(logdir)
        self._flush_secs = flush_secs
        self._suffix = filename_suffix or ""
        self._lock = threading.Lock()
        self._seen_tags: set[str] = set()
        self._seen_runs: set[str] = set()
        self._closed = False
        self._warned = False
        self._records = self._begun()
        self._flushed = time.monotonic()
        if graph is not None or graph_def is not None:
            message = _graph_message(graph, graph_def)
            self._add_graph_def(message, None)
            self.add_meta_graph(
                export_meta_graph(
                    graph=graph if isinstance(graph, Graph) else Graph(), graph_def=message
                )
            )

    def _begun(self) -> RecordWriter:
        """A new file, with its first event."""
        from ckpt.wire import messages  # protobuf is loaded only when messages are used

        storage.make_directory(self._logdir, parents=True)
        now = time.time()
        name = f"events.out.tfevents.{int(now):010d}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}{self._suffix}"
        records = RecordWriter(storage.joined(self._logdir, name))
        weakref.finalize(self, records.close)  # what nobody closes is written all the same
        first = messages.Event(wall_time=now, file_version=FILE_VERSION)
        records.write(first.SerializeToString())
        records.flush()
        return records

    def get_logdir(self) -> str:
        """The directory of the event file."""
        return self._logdir

    def add_summary(self, summary: Any, global_step: Any = None) -> None:
        """Add a Summary, or one as bytes as the operations return it.

        What is to be known about a tag (its metadata) is kept with its first value only. Raises DecodeError for other bytes.
        """
        from ckpt.wire import messages

        data = summary if isinstance(summary, bytes) else summary.SerializeToString()
        event = messages.Event(summary=messages.Summary.FromString(data))
        for value in event.summary.value:
            if not value.metadata.ByteSize():
                continue
            if value.tag in self._seen_tags:
                value.ClearField("metadata")
            self._seen_tags.add(value.tag)
        self._add(event, global_step)

    def add_session_log(self, session_log: Any, global_step: Any = None) -> None:
        """Add a SessionLog: that a session began, ended, or saved a checkpoint."""
        from ckpt.wire import messages

        event = messages.Event()
        event.session_log.MergeFromString(session_log.SerializeToString())
        self._add(event, global_step)

    def add_graph(self, graph: Any, global_step: Any = None, graph_def: Any = None) -> None:
        """Add a graph, with the shapes of its tensors, or its message as it is."""
        self._add_graph_def(_graph_message(graph, graph_def), global_step)

    def _add_graph_def(self, message: Any, global_step: Any) -> None:
        from ckpt.wire import messages

        self._add(messages.Event(graph_def=message.SerializeToString()), global_step)

    def add_meta_graph(self, meta_graph_def: Any, global_step: Any = None) -> None:
        """Add a MetaGraphDef. Raises TypeError for another type."""
        from ckpt.wire import messages

        if type(meta_graph_def).__name__ != "MetaGraphDef":
            raise TypeError(
                f"meta_graph_def must be type MetaGraphDef, saw type: {type(meta_graph_def)}"
            )
        self._add(messages.Event(meta_graph_def=meta_graph_def.SerializeToString()), global_step)

    def add_run_metadata(self, run_metadata: Any, tag: str, global_step: Any = None) -> None:
        """Add what was measured of one run, under a tag. Raises ValueError when the tag was used before."""
        from ckpt.wire import messages

        if tag in self._seen_runs:
            raise ValueError("The provided tag was already used for this event type")
        self._seen_runs.add(tag)
        tagged = messages.TaggedRunMetadata(tag=tag, run_metadata=run_metadata.SerializeToString())
        self._add(messages.Event(tagged_run_metadata=tagged), global_step)

    def _add(self, event: Any, global_step: Any) -> None:
        event.wall_time = time.time()
        if global_step is not None:
            event.step = int(global_step)
        self.add_event(event)

    def add_event(self, event: Any) -> None:
        """Add an Event as it is. A closed writer drops it, with a warning the first time."""
        with self._lock:
            if self._closed:
                if not self._warned:
                    log.warning(
                        "Attempting to use a closed FileWriter. The operation will be a noop unless the FileWriter is "
                        "explicitly reopened."
                    )
                    self._warned = True
                return
            self._records.write(event.SerializeToString())
            if time.monotonic() - self._flushed >= self._flush_secs:
                self._flush()

    def _flush(self) -> None:
        self._records.flush()
        self._flushed = time.monotonic()

    def flush(self) -> None:
        """Have everything in the file, for others to read."""
        with self._lock:
            if not self._closed:
                self._flush()

    def close(self) -> None:
        """Flush and close the file. Closing twice is allowed."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._records.close()

    def reopen(self) -> None:
        """After `close`: go on in a new event file. Nothing while it is open."""
        with self._lock:
            if self._closed:
                self._records = self._begun()
                self._closed = self._warned = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _graph_message(graph: Any, graph_def: Any) -> Any:
    """The GraphDef of a graph, or the one given in its place."""
    if graph is not None and graph_def is not None:
        raise ValueError("Please pass only graph, or graph_def (deprecated), but not both.")
    given = graph if graph is not None else graph_def
    if isinstance(given, Graph):
        return given.as_graph_def(add_shapes=True)
    if type(given).__name__ != "GraphDef":
        raise TypeError(
            f"The passed graph must be an instance of `Graph` or the deprecated `GraphDef`, got {type(given).__name__}"
        )
    if graph is not None:
        log.warning(
            "Passing a `GraphDef` to the SummaryWriter is deprecated. Pass a `Graph` object instead."
        )
    return given


def add_graphs(writer: Any, graph: Graph, saver_def: Any = None) -> None:
    """Write a graph, and its MetaGraph, both with the shapes of tensors, for those who load the graph from the event file."""
    message = graph.as_graph_def(add_shapes=True)
    writer.add_graph(graph)
    writer.add_meta_graph(export_meta_graph(graph=graph, graph_def=message, saver_def=saver_def))


class FileWriterCache:
    """One FileWriter for each directory, shared by all hooks that write there."""

    _writers: dict[str, FileWriter] = {}  # noqa: RUF012  # one cache for the process is its point
    _lock = threading.RLock()

    @staticmethod
    def clear() -> None:
        """Close all writers and forget them."""
        with FileWriterCache._lock:
            writers = list(FileWriterCache._writers.values())
            FileWriterCache._writers.clear()
        for writer in writers:
            writer.close()

    @staticmethod
    def get(logdir: Any) -> FileWriter:
        """The writer for a directory; a new one writes the default graph first."""
        directory = os.fspath(logdir)
        with FileWriterCache._lock:
            if directory not in FileWriterCache._writers:
                FileWriterCache._writers[directory] = FileWriter(
                    directory, graph=stack.get_default_graph()
                )
            return FileWriterCache._writers[directory]


def summary_iterator(path: Any) -> Iterator[Any]:
    """The Events of an event file, in order. Raises NotFoundError, and DataLossError for damaged records."""
    from ckpt.wire import messages

    with RecordReader(os.fspath(path)) as records:
        for record in records:
            yield messages.Event.FromString(record)
