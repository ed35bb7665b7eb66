"""Threads that keep queues filled: `tf.train.QueueRunner` and what starts it. Any object with a Coordinator's methods may stop them."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Sequence
from typing import Any

from ckpt.core.errors import (
    OpError,
    OutOfRangeError,
    error_code_from_exception_type,
    exception_type_from_error_code,
)
from ckpt.core.scope_names import inside, scope_prefix
from ckpt.graph import stack
from ckpt.graph.keys import GraphKeys
from ckpt.graph.scopes import add_to_collection, get_collection
from ckpt.run.session import Session

log = logging.getLogger("ckpt")


class QueueRunner:
    """Runs each of `enqueue_ops` again and again in a thread of its own, until a queue is closed or somebody stops.

    When the last of them sees one of `queue_closed_exception_types` (OutOfRangeError when not given), it runs `close_op`, so
    that those who take from `queue` see an end; when a coordinator stops, `cancel_op` ends the puts that wait. `queue` may
    be a QueueBase; `close_op` and `cancel_op` then default to its closing. Raises ValueError without a queue or
    operations, or with them and a `queue_runner_def`, TypeError for `queue_closed_exception_types` that are no error types.
    """

    def __init__(
        self, queue: Any = None, enqueue_ops: Sequence[Any] | None = None, close_op: Any = None, cancel_op: Any = None,
        queue_closed_exception_types: Any = None, queue_runner_def: Any = None, import_scope: str | None = None,
    ) -> None:  # fmt: skip
        if queue_runner_def is not None:
            if queue is not None or enqueue_ops:
                raise ValueError("queue_runner_def and queue are mutually exclusive.")
            self._init_from_proto(queue_runner_def, import_scope)
        else:
            self._init_from_args(queue, enqueue_ops, close_op, cancel_op, queue_closed_exception_types)  # fmt: skip
        self._lock = threading.Lock()
        self._runs_of: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._exceptions_raised: list[BaseException] = []

    def _init_from_args(
        self, queue: Any, enqueue_ops: Any, close_op: Any, cancel_op: Any, closed_types: Any
    ) -> None:
        if queue is None or not enqueue_ops:
            raise ValueError("Must provide queue and enqueue_ops.")
        self._queue = queue
        self._enqueue_ops = list(enqueue_ops)
        self._close_op = queue.close() if close_op is None else close_op
        self._cancel_op = (
            queue.close(cancel_pending_enqueues=True) if cancel_op is None else cancel_op
        )
        if closed_types is None:
            closed_types = (OutOfRangeError,)
        if not isinstance(closed_types, tuple) or not closed_types or not all(
            issubclass(kind, OpError) for kind in closed_types
        ):  # fmt: skip
            raise TypeError(
                "queue_closed_exception_types, when provided, must be a tuple of tf.error types, but saw: "
                f"{closed_types}"
            )
        self._closed_types: tuple[type[OpError], ...] = closed_types

    def _init_from_proto(self, message: Any, import_scope: str | None) -> None:
        graph = stack.get_default_graph()

        def found(name: str) -> Any:
            return graph.as_graph_element(inside(import_scope, name)) if name else None

        self._queue = found(message.queue_name)
        self._enqueue_ops = [found(name) for name in message.enqueue_op_name]
        self._close_op = found(message.close_op_name)
        self._cancel_op = found(message.cancel_op_name)
        codes = message.queue_closed_exception_types
        self._closed_types = tuple(map(exception_type_from_error_code, codes)) or (OutOfRangeError,)

    @property
    def queue(self) -> Any:
        """The queue that is filled; of an imported one, the operation that makes it."""
        return self._queue

    @property
    def enqueue_ops(self) -> list[Any]:
        """What is run, each in its thread."""
        return self._enqueue_ops

    @property
    def close_op(self) -> Any:
        """What is run when all has been put."""
        return self._close_op

    @property
    def cancel_op(self) -> Any:
        """What is run when a coordinator stops."""
        return self._cancel_op

    @property
    def queue_closed_exception_types(self) -> tuple[type[OpError], ...]:
        """The errors that mean that there is no more to put."""
        return self._closed_types

    @property
    def name(self) -> str:
        """The name of the operation that makes the queue."""
        return str(self._queue.name)

    @property
    def exceptions_raised(self) -> list[BaseException]:
        """What threads raised that had no coordinator to report it to; those of the last `create_threads`."""
        return self._exceptions_raised

    def create_threads(
        self, sess: Any, coord: Any = None, daemon: bool = False, start: bool = False
    ) -> list[threading.Thread]:
        """The threads that fill the queue of `sess`, and with `coord` one that waits for it to stop.

        Empty while threads of an earlier call are at work for this session. Errors go to `coord`, or to
        `exceptions_raised`.
        """
        with self._lock:
            if self._runs_of.get(sess, 0) > 0:
                return []
            self._runs_of[sess] = len(self._enqueue_ops)
            self._exceptions_raised = []
        threads = [
            threading.Thread(target=self._run, args=(sess, op, coord), name=f"QueueRunnerThread-{self.name}-{op.name}")
            for op in self._enqueue_ops
        ]  # fmt: skip
        if coord is not None and self._cancel_op is not None:
            threads.append(
                threading.Thread(
                    target=self._close_on_stop, args=(sess, coord),
                    name=f"QueueRunnerThread-{self.name}-close_on_stop",
                )
            )  # fmt: skip
        for thread in threads:
            if coord is not None:
                coord.register_thread(thread)
            thread.daemon = thread.daemon or daemon
            if start:
                thread.start()
        return threads

    def _run(self, sess: Any, enqueue_op: Any, coord: Any) -> None:
        """Put until there is no more to put, the coordinator stops, or something fails."""
        counts = True
        try:
            put = sess.make_callable(enqueue_op) if isinstance(sess, Session) else None
            while coord is None or not coord.should_stop():
                try:
                    put() if put is not None else sess.run(enqueue_op)
                except self._closed_types:
                    counts = False
                    if self._ended(sess):
                        self._close(sess)
                    return
        except Exception as error:  # a thread has no caller; it is reported
            if coord is not None:
                coord.request_stop(error)
            else:
                log.exception("Exception in QueueRunner %s", self.name)
                with self._lock:
                    self._exceptions_raised.append(error)
        finally:
            if counts:
                self._ended(sess)

    def _ended(self, sess: Any) -> bool:
        """One thread less; True when it was the last."""
        with self._lock:
            self._runs_of[sess] = left = self._runs_of.get(sess, 1) - 1
        return left == 0

    def _close(self, sess: Any) -> None:
        try:
            sess.run(self._close_op)
        except OpError as error:  # somebody closed it before
            log.debug("Ignored exception: %s", error)

    def _close_on_stop(self, sess: Any, coord: Any) -> None:
        coord.wait_for_stop()
        try:
            sess.run(self._cancel_op)
        except (OpError, RuntimeError) as error:  # closed before, the queue or the session
            log.debug("Ignored exception: %s", error)

    def to_proto(self, export_scope: str | None = None) -> Any:
        """The QueueRunnerDef, with names as they are within `export_scope`; None when the queue is not in it."""
        from ckpt.wire import messages  # protobuf is loaded only when messages are used

        prefix = scope_prefix(export_scope)
        if not self.name.startswith(prefix):
            return None

        def named(element: Any) -> str:
            return "" if element is None else str(element.name).removeprefix(prefix)

        message = messages.QueueRunnerDef(
            queue_name=named(self._queue),
            enqueue_op_name=[named(op) for op in self._enqueue_ops],
            close_op_name=named(self._close_op),
            cancel_op_name=named(self._cancel_op),
        )
        message.queue_closed_exception_types.extend(
            error_code_from_exception_type(kind) for kind in self._closed_types
        )
        return message

    @staticmethod
    def from_proto(queue_runner_def: Any, import_scope: str | None = None) -> QueueRunner:
        """The runner of a QueueRunnerDef over the operations of the default graph. Raises KeyError for a missing one."""
        return QueueRunner(queue_runner_def=queue_runner_def, import_scope=import_scope)


def add_queue_runner(qr: QueueRunner, collection: str = GraphKeys.QUEUE_RUNNERS) -> None:
    """Have `start_queue_runners` start this one too."""
    add_to_collection(collection, qr)


def start_queue_runners(
    sess: Any = None,
    coord: Any = None,
    daemon: bool = True,
    start: bool = True,
    collection: str = GraphKeys.QUEUE_RUNNERS,
) -> list[threading.Thread]:
    """Start the threads of all queue runners of the graph, and return them.

    `sess` is the default session when None (ValueError without one); a TypeError when it is no session.
    """
    if sess is None:
        sess = stack.get_default_session()
        if sess is None:
            raise ValueError(
                "Cannot start queue runners: No default session is registered. Use `with sess.as_default()` or pass "
                "an explicit session to tf.start_queue_runners(sess=sess)"
            )
    if not isinstance(sess, Session):
        if type(sess).__name__ in ("MonitoredSession", "SingularMonitoredSession"):
            return []  # they have started them
        raise TypeError(f"sess must be a `tf.Session` object. Given class: {type(sess)}")
    with sess.graph.as_default():
        runners = get_collection(collection)
    return [
        thread
        for runner in runners
        for thread in runner.create_threads(sess, coord=coord, daemon=daemon, start=start)
    ]
