"""The Supervisor: what led training loops before MonitoredSession, kept for programs that use it.

It gets a session ready, and has threads of its own save, sum up and count steps beside the program's loop.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from ckpt.core import storage
from ckpt.core.errors import AbortedError
from ckpt.graph import stack
from ckpt.graph.graph import Graph
from ckpt.graph.keys import GraphKeys
from ckpt.model import variable_collections
from ckpt.model.initialized import report_uninitialized_variables
from ckpt.model.steps import get_global_step
from ckpt.model.steps import global_step as value_of_step
from ckpt.model.summary import merge_all
from ckpt.run.session import Session
from ckpt.saver.graph_file import write_graph
from ckpt.saver.saver import Saver
from ckpt.training.coordinator import Coordinator
from ckpt.training.file_writer import FileWriter, add_graphs
from ckpt.training.looper import LooperThread
from ckpt.training.scaffold import Scaffold
from ckpt.training.session_manager import SessionManager

log = logging.getLogger("ckpt")


class Supervisor:
    """Prepares a session, keeps checkpoints and summaries in `logdir`, and stops all threads together.

    Parts that are `Supervisor.USE_DEFAULT` are found in their collections, or made; None turns them off. Only the chief
    (`is_chief`) initializes, saves and writes; others wait for him. The graph is finalized here. Intervals are in
    seconds, 0 turns a service off. Raises ValueError when a variable has no device and this is not the chief.

        with supervisor.managed_session() as session:
            while not supervisor.should_stop():
                session.run(train_op)
    """

    USE_DEFAULT = 0

    def __init__(
        self,
        graph: Graph | None = None,
        ready_op: Any = USE_DEFAULT,
        ready_for_local_init_op: Any = USE_DEFAULT,
        is_chief: bool = True,
        init_op: Any = USE_DEFAULT,
        init_feed_dict: Mapping[Any, Any] | None = None,
        local_init_op: Any = USE_DEFAULT,
        logdir: Any = None,
        summary_op: Any = USE_DEFAULT,
        saver: Any = USE_DEFAULT,
        global_step: Any = USE_DEFAULT,
        save_summaries_secs: float = 120,
        save_model_secs: float = 600,
        recovery_wait_secs: float = 30,
        stop_grace_secs: float = 120,
        checkpoint_basename: str = "model.ckpt",
        session_manager: SessionManager | None = None,
        summary_writer: Any = USE_DEFAULT,
        init_fn: Callable[[Any], Any] | None = None,
        local_init_run_options: Any = None,
    ) -> None:
        self._graph = stack.get_default_graph() if graph is None else graph
        self.is_chief = is_chief
        self.coord = Coordinator()
        self.init_feed_dict = init_feed_dict
        self._init_fn = init_fn
        self._stop_grace_secs = stop_grace_secs
        self._threads: list[threading.Thread] = []
        with self._graph.as_default():
            self.ready_op = _part(ready_op, GraphKeys.READY_OP, report_uninitialized_variables)
            self.ready_for_local_init_op = _part(
                ready_for_local_init_op, GraphKeys.READY_FOR_LOCAL_INIT_OP, lambda: None
            )
            self.init_op = _part(
                init_op, GraphKeys.INIT_OP, variable_collections.global_variables_initializer
            )
            self.local_init_op = _part(
                local_init_op, GraphKeys.LOCAL_INIT_OP, Scaffold.default_local_init_op
            )
            self.saver = _part(saver, GraphKeys.SAVERS, _saver_of_variables)
            self.summary_op = _part(summary_op, GraphKeys.SUMMARY_OP, merge_all)
            self.global_step = _part(global_step, GraphKeys.GLOBAL_STEP, _step_of_graph)
        self._logdir = os.fspath(logdir) if logdir and is_chief else None
        self.save_path = storage.joined(self._logdir, checkpoint_basename) if self._logdir else None
        self.save_summaries_secs = save_summaries_secs if is_chief else None
        self.save_model_secs = save_model_secs if is_chief else None
        self._graph_is_written = False
        self.session_manager = session_manager or SessionManager(
            local_init_op=self.local_init_op,
            ready_op=self.ready_op,
            ready_for_local_init_op=self.ready_for_local_init_op,
            graph=self._graph,
            recovery_wait_secs=recovery_wait_secs,
            local_init_run_options=local_init_run_options,
        )
        self._check_devices()
        self._graph.finalize()
        self.summary_writer = self._writer(summary_writer)

    def _writer(self, given: Any) -> Any:
        if not self.is_chief:
            return None
        if given is not Supervisor.USE_DEFAULT:
            return given
        return FileWriter(self._logdir) if self._logdir else None

    def _check_devices(self) -> None:
        """Variables of several processes must say where they are."""
        if self.is_chief:
            return
        kinds = ("Variable", "VariableV2")
        lost = [
            node.name
            for node in self._graph.get_operations()
            if node.type in kinds and not node.device
        ]
        if lost:
            raise ValueError(
                f"When using replicas, all Variables must have their device set: {', '.join(lost)}"
            )

    def prepare_or_wait_for_session(
        self,
        master: str = "",
        config: Any = None,
        wait_for_checkpoint: bool = False,
        max_wait_secs: float = 7200,
        start_standard_services: bool = True,
    ) -> Session:
        """A session that is ready: restored or initialized by the chief, awaited by others; services and queues started."""
        self.coord.clear_stop()
        if self.summary_writer is not None:
            self.summary_writer.reopen()
        if self.is_chief:
            sess = self.session_manager.prepare_session(
                master,
                init_op=self.init_op,
                saver=self.saver,
                checkpoint_dir=self._logdir,
                wait_for_checkpoint=wait_for_checkpoint,
                max_wait_secs=max_wait_secs,
                config=config,
                init_feed_dict=self.init_feed_dict,
                init_fn=self._init_fn,
            )
            self._write_graph()
            if start_standard_services:
                self.start_standard_services(sess)
        else:
            sess = self.session_manager.wait_for_session(master, config, max_wait_secs)
        if start_standard_services:
            self.start_queue_runners(sess)
        return sess

    def _write_graph(self) -> None:
        if self._logdir:
            write_graph(self._graph.as_graph_def(add_shapes=True), self._logdir, "graph.pbtxt")
        if self.summary_writer is not None and not self._graph_is_written:
            saver_def = None if self.saver is None else self.saver.saver_def
            add_graphs(self.summary_writer, self._graph, saver_def)
            self._graph_is_written = True

    def start_standard_services(self, sess: Session) -> list[LooperThread] | None:
        """Start the threads that save, sum up and count steps; returns them, None without a `logdir`.

        Raises RuntimeError when this is not the chief.
        """
        if not self.is_chief:
            raise RuntimeError(
                "Only chief supervisor can start standard services. Because only chief supervisors can write events."
            )
        if not self._logdir:
            log.warning("Standard services need a 'logdir' passed to the Supervisor")
            return None
        if self.global_step is not None and self.summary_writer is not None:
            self._log_session("START", step=value_of_step(sess, self.global_step))
        services: list[LooperThread] = []
        if self.save_summaries_secs and self.summary_writer is not None:
            if self.summary_op is not None:
                services.append(self._every(self.save_summaries_secs, self._sum_up, sess))
            if self.global_step is not None:
                services.append(_StepCounter(self, sess, self.save_summaries_secs))
        if self.saver is not None and self.save_model_secs:
            services.append(self._every(self.save_model_secs, self._save, sess))
        for service in services:
            service.start()
        self._threads += services
        return services

    def _every(
        self, secs: float, service: Callable[[Session], None], sess: Session
    ) -> LooperThread:
        return LooperThread(self.coord, secs, target=service, args=(sess,))

    def _sum_up(self, sess: Session) -> None:
        if self.global_step is None:
            summary, step = sess.run(self.summary_op), None
        else:
            summary, step = sess.run([self.summary_op, self.global_step])
        self.summary_writer.add_summary(summary, step)

    def _save(self, sess: Session) -> None:
        path = self.saver.save(sess, self.save_path, global_step=self.global_step)
        if self.summary_writer is not None and self.global_step is not None:
            step = value_of_step(sess, self.global_step)
            self._log_session("CHECKPOINT", step=step, checkpoint_path=path)

    def _log_session(
        self, status: str, *, step: int | None = None, checkpoint_path: str = ""
    ) -> None:
        from ckpt.wire import messages  # protobuf is loaded only when messages are used

        kind = messages.SessionLog.SessionStatus.Value(status)
        entry = messages.SessionLog(status=kind, checkpoint_path=checkpoint_path)
        self.summary_writer.add_session_log(entry, step)

    def start_queue_runners(
        self, sess: Session, queue_runners: Sequence[Any] | None = None
    ) -> list[threading.Thread]:
        """Start the threads of queue runners, those of the graph's collection when None; returns the threads."""
        if queue_runners is None:
            queue_runners = self._graph.get_collection(GraphKeys.QUEUE_RUNNERS)
        started = [
            thread
            for runner in queue_runners
            for thread in runner.create_threads(sess, coord=self.coord, daemon=True, start=True)
        ]
        self._threads += started
        return started

    def loop(
        self,
        timer_interval_secs: float | None,
        target: Callable[..., Any],
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> LooperThread:
        """Start a thread that calls `target` every so many seconds (None: without a pause) until all stop."""
        looper = LooperThread(self.coord, timer_interval_secs, target, args, kwargs)
        looper.start()
        self._threads.append(looper)
        return looper

    def stop(
        self,
        threads: Sequence[threading.Thread] | None = None,
        close_summary_writer: bool = True,
        ignore_live_threads: bool = False,
    ) -> None:
        """Stop and join all threads, or those given; raise what one of them reported; close the summary writer."""
        self.coord.request_stop()
        try:
            self.coord.join(
                self._threads if threads is None else threads,
                stop_grace_period_secs=self._stop_grace_secs,
                ignore_live_threads=ignore_live_threads,
            )
        finally:
            if close_summary_writer and self.summary_writer is not None:
                self._log_session("STOP")
                self.summary_writer.close()
                self._graph_is_written = False
        self._threads = []

    def request_stop(self, ex: Any = None) -> None:
        """Ask all threads to stop; see `Coordinator.request_stop`."""
        self.coord.request_stop(ex=ex)

    def should_stop(self) -> bool:
        """True once a stop was asked for."""
        return self.coord.should_stop()

    def stop_on_exception(self) -> AbstractContextManager[None]:
        """A block whose exception stops all threads; see `Coordinator.stop_on_exception`."""
        return self.coord.stop_on_exception()

    def wait_for_stop(self) -> None:
        """Wait until a stop is asked for."""
        self.coord.wait_for_stop()

    def summary_computed(self, sess: Session, summary: Any, global_step: Any = None) -> None:
        """Write a summary, as of the global step when None. Raises RuntimeError without a summary writer."""
        if self.summary_writer is None:
            raise RuntimeError("Writing a summary requires a summary writer.")
        if global_step is None and self.global_step is not None:
            global_step = value_of_step(sess, self.global_step)
        self.summary_writer.add_summary(summary, global_step)

    @contextmanager
    def managed_session(
        self,
        master: str = "",
        config: Any = None,
        start_standard_services: bool = True,
        close_summary_writer: bool = True,
    ) -> Iterator[Session]:
        """A session for a block: at its end all threads are stopped and the session is closed.

        OutOfRangeError ends the block quietly; any other error of it, or of a thread, is raised.
        """
        sess = None
        try:
            sess = self.prepare_or_wait_for_session(
                master, config, start_standard_services=start_standard_services
            )
            yield sess
        except Exception as error:  # noqa: BLE001  # stop raises it
            self.request_stop(error)
        finally:
            try:
                self.stop(close_summary_writer=close_summary_writer)
            finally:
                if sess is not None:
                    sess.close()

    PrepareSession = prepare_or_wait_for_session
    StartStandardServices = start_standard_services
    StartQueueRunners = start_queue_runners
    Loop = loop
    Stop = stop
    RequestStop = request_stop
    ShouldStop = should_stop
    StopOnException = stop_on_exception
    WaitForStop = wait_for_stop
    SummaryComputed = summary_computed


class _StepCounter(LooperThread):
    """Writes how many steps there were per second since the last time."""

    def __init__(self, supervisor: Supervisor, sess: Session, secs: float) -> None:
        super().__init__(supervisor.coord, secs)
        self._supervisor = supervisor
        self._sess = sess
        self._tag = f"{supervisor.global_step.op.name}/sec"

    def start_loop(self) -> None:
        """Count from here."""
        self._last_time = time.monotonic()
        self._last_step = value_of_step(self._sess, self._supervisor.global_step)

    def run_loop(self) -> None:
        """Write, and count from here."""
        from ckpt.wire import messages  # protobuf is loaded only when messages are used

        step, now = value_of_step(self._sess, self._supervisor.global_step), time.monotonic()
        steps, seconds = step - self._last_step, now - self._last_time
        self._last_step, self._last_time = step, now
        rate = steps / seconds if seconds > 0 else 0.0
        value = messages.Summary.Value(tag=self._tag, simple_value=rate)
        self._supervisor.summary_writer.add_summary(messages.Summary(value=[value]), step)
        log.info("%s: %g", self._tag, rate)


def _part(given: Any, key: str, default: Callable[[], Any]) -> Any:
    """What was given; by default the first of a collection, or else what is made, which then is in the collection."""
    if given is not Supervisor.USE_DEFAULT:
        return given
    found = stack.get_default_graph().get_collection(key)
    if found:
        return found[0]
    made = default()
    if made is not None:
        stack.get_default_graph().add_to_collection(key, made)
    return made


def _saver_of_variables() -> Any:
    return Saver() if variable_collections.global_variables() else None


def _step_of_graph() -> Any:
    """The global step by its name; None when there is none, or when that is something else."""
    try:
        return get_global_step()
    except TypeError as error:
        log.warning("no global step: %s", error)
        return None


def basic_train_loop(
    supervisor: Supervisor,
    train_step_fn: Callable[..., Any],
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    master: str = "",
) -> None:
    """Call `train_step_fn(session, *args, **kwargs)` until the supervisor should stop.

    When the session is lost to AbortedError a new one goes on; other errors are raised once all threads have stopped.
    """
    while True:
        try:
            with supervisor.managed_session(master) as sess:
                while not supervisor.should_stop():
                    train_step_fn(sess, *(args or ()), **(kwargs or {}))
        except AbortedError as error:
            log.info("the session was lost and is made again: %s", error)
        else:
            return
