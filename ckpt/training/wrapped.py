"""Sessions around sessions: one that runs hooks, one that hears its coordinator, one that recovers.

Each has `run`, `run_step_fn`, `should_stop` and `close`; each knows only the session inside it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ckpt.core.errors import AbortedError, UnavailableError
from ckpt.graph.graph import Graph
from ckpt.run.hooks import SessionRunArgs, SessionRunContext, SessionRunHook, SessionRunValues
from ckpt.training.coordinator import Coordinator

log = logging.getLogger("ckpt")

PREEMPTION_ERRORS = (AbortedError, UnavailableError)
"""What a session may die of that a new one can survive: it is made again, from the last checkpoint."""

StepFn = Callable[["StepContext"], Any]


class WrappedSession:
    """Passes everything on to the session inside, until it is closed."""

    def __init__(self, sess: Any) -> None:
        self._sess: Any = sess
        self._is_stoppable = isinstance(sess, WrappedSession)

    @property
    def graph(self) -> Graph:
        """The graph of the session."""
        graph: Graph = self._sess.graph
        return graph

    @property
    def sess_str(self) -> Any:
        """The target of the session."""
        return self._sess.sess_str

    def should_stop(self) -> bool:
        """True once this session is closed, or it or one inside asks for the loop to stop."""
        if self._check_stop() or self._sess is None:
            return True
        return bool(self._is_stoppable and self._sess.should_stop())

    def _check_stop(self) -> bool:
        """Whether this session itself wants the loop to stop."""
        return False

    def close(self) -> None:
        """Close the session inside. What kills sessions is passed over: it is dead already."""
        if self._sess is None:
            return
        try:
            self._sess.close()
        except PREEMPTION_ERRORS as error:
            log.info("an error while closing the session, passed over: %s", error)
        finally:
            self._sess = None

    def run(
        self, fetches: Any, feed_dict: Any = None, options: Any = None, run_metadata: Any = None
    ) -> Any:
        """What `Session.run` returns."""
        return self._sess.run(
            fetches, feed_dict=feed_dict, options=options, run_metadata=run_metadata
        )

    def run_step_fn(
        self, step_fn: StepFn, raw_session: Callable[[], Any], run_with_hooks: Any = None
    ) -> Any:
        """What `step_fn` returns. Its context has the session that `raw_session` returns, and `run_with_hooks`, or else `run`."""
        return self._sess.run_step_fn(step_fn, raw_session, run_with_hooks or self.run)


class StepContext:
    """What a step function may use: the session without hooks, one run with them, and a way to stop."""

    def __init__(self, session: Any, run_with_hooks_fn: Callable[..., Any]) -> None:
        self._session = session
        self._run_with_hooks_fn = run_with_hooks_fn

    @property
    def session(self) -> Any:
        """The session, without hooks: what runs in it is no step."""
        return self._session

    def run_with_hooks(self, *args: Any, **kwargs: Any) -> Any:
        """`MonitoredSession.run`: the hooks are called before and after."""
        return self._run_with_hooks_fn(*args, **kwargs)

    def request_stop(self) -> None:
        """Leave the step function and the loop: raises StopIteration, which ends the `with` block of the session quietly."""
        raise StopIteration("step_fn has requested the iterations to stop.")


class HookedSession(WrappedSession):
    """Calls the hooks before and after each run, and runs what they want along with what the caller wants."""

    def __init__(self, sess: Any, hooks: Sequence[SessionRunHook]) -> None:
        super().__init__(sess)
        self._hooks = hooks
        self._should_stop = False

    def _check_stop(self) -> bool:
        return self._should_stop

    def run(
        self, fetches: Any, feed_dict: Any = None, options: Any = None, run_metadata: Any = None
    ) -> Any:
        """The values of the caller's fetches.

        Raises RuntimeError when two hooks, or a hook and the caller, feed the same tensor; TypeError when a hook's
        `before_run` returns something that is no SessionRunArgs; what hooks raise.
        """
        if self.should_stop():
            raise RuntimeError("Run called even after should_stop requested.")
        context = SessionRunContext(SessionRunArgs(fetches, feed_dict, options), self._sess)
        asked = self._asked(context)
        wanted = {
            number: args.fetches for number, args in asked.items() if args.fetches is not None
        }
        metadata = run_metadata if run_metadata is not None else _new_message("RunMetadata")
        given = [args.options for args in asked.values() if args.options is not None]
        is_observed = bool(given) or options is not None or run_metadata is not None
        all_options = merged_options(options, given)
        found = self._sess.run(
            fetches={
                "caller": fetches,
                "hooks": {str(number): what for number, what in wanted.items()},
            },
            feed_dict=_merged_feeds(feed_dict, [args.feed_dict for args in asked.values()]),
            options=all_options if is_observed else None,  # runs that nobody watches are faster
            run_metadata=metadata if is_observed else None,
        )
        for number, hook in enumerate(self._hooks):
            results = found["hooks"].get(str(number))
            hook.after_run(context, SessionRunValues(results, all_options, metadata))
        self._should_stop = self._should_stop or context.stop_requested
        return found["caller"]

    def _asked(self, context: SessionRunContext) -> dict[int, SessionRunArgs]:
        """What each hook wants, by its number."""
        asked: dict[int, SessionRunArgs] = {}
        for number, hook in enumerate(self._hooks):
            args = hook.before_run(context)
            if args is None:
                continue
            if not isinstance(args, SessionRunArgs):
                raise TypeError(
                    f"{type(hook).__name__}.before_run must return SessionRunArgs or None, got {args!r}"
                )
            asked[number] = args
        return asked

    def run_step_fn(
        self, step_fn: StepFn, raw_session: Callable[[], Any], run_with_hooks: Any = None
    ) -> Any:
        """What `step_fn` returns."""
        return step_fn(StepContext(raw_session(), run_with_hooks or self.run))


def _merged_feeds(feed_dict: Mapping[Any, Any] | None, of_hooks: Sequence[Any]) -> Any:
    """All feeds together; each tensor may be fed once."""
    merged: dict[Any, Any] = {}
    for feeds in of_hooks:
        if not feeds:
            continue
        if any(tensor in merged for tensor in feeds):
            raise RuntimeError("Same tensor is fed by two hooks.")
        merged.update(feeds)
    if not feed_dict:
        return merged or feed_dict
    if any(tensor in merged for tensor in feed_dict):
        raise RuntimeError("Same tensor is fed by a SessionRunHook and user.")
    return {**merged, **feed_dict}


def merged_options(options: Any, of_hooks: Sequence[Any]) -> Any:
    """One RunOptions that gives the caller and the hooks what they asked for."""
    merged = _new_message("RunOptions")
    if options is not None:
        merged.MergeFromString(options.SerializeToString())
    for one in of_hooks:
        merged.trace_level = max(merged.trace_level, one.trace_level)
        merged.timeout_in_ms = max(merged.timeout_in_ms, one.timeout_in_ms)
        if one.inter_op_thread_pool > 0:
            merged.inter_op_thread_pool = one.inter_op_thread_pool
        merged.output_partition_graphs |= one.output_partition_graphs
        for watch in one.debug_options.debug_tensor_watch_opts:
            added = merged.debug_options.debug_tensor_watch_opts.add()
            added.MergeFromString(watch.SerializeToString())  # perhaps a message of another package
    return merged


def _new_message(name: str) -> Any:
    from ckpt.wire import messages  # protobuf is loaded only where messages are used

    return getattr(messages, name)()


class CoordinatedSession(WrappedSession):
    """Stops with its coordinator, whose threads it joins at the end, and raises what one of them reported."""

    def __init__(self, sess: Any, coord: Coordinator, stop_grace_period_secs: float = 120) -> None:
        super().__init__(sess)
        self._coord = coord
        self._stop_grace_period_secs = stop_grace_period_secs

    def _check_stop(self) -> bool:
        self._coord.raise_requested_exception()  # so that who recovers makes a new session
        return self._coord.should_stop()

    def close(self) -> None:
        """Stop and join the threads, then close."""
        self._coord.request_stop()
        try:
            self._coord.join(
                stop_grace_period_secs=self._stop_grace_period_secs, ignore_live_threads=True
            )
        finally:
            super().close()

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """What the session inside returns. Where a thread lost the session, its error is raised instead of a later one."""
        try:
            return self._sess.run(*args, **kwargs)
        except PREEMPTION_ERRORS:
            raise
        except Exception as error:
            try:
                self._coord.raise_requested_exception()
            except PREEMPTION_ERRORS:
                raise
            except Exception:  # noqa: BLE001  # the caller is told what happened to his run
                raise error from None
            raise


class RecoverableSession(WrappedSession):
    """Makes a new session when one is lost to AbortedError or UnavailableError, and goes on with that."""

    def __init__(self, create_session: Callable[[], Any]) -> None:
        self._create = create_session
        super().__init__(self._created())

    def _created(self) -> Any:
        while True:
            try:
                return self._create()
            except PREEMPTION_ERRORS as error:
                log.info("an error while making a session, which is tried again: %s", error)

    def _check_stop(self) -> bool:
        try:
            return self._sess is None or self._sess._check_stop()
        except PREEMPTION_ERRORS as error:
            self._recover(error)
            return False
        except Exception:  # noqa: BLE001  # the next run, or close, raises it
            return True

    def _recover(self, error: BaseException) -> None:
        log.info("the session was lost and is made again: %s", error)
        self.close()
        self._sess = self._created()

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """What the session inside returns, sooner or later."""
        while True:
            try:
                if self._sess is None:
                    self._sess = self._created()
                return self._sess.run(*args, **kwargs)
            except PREEMPTION_ERRORS as error:
                log.info("the session was lost and is made again: %s", error)
                self.close()

    def run_step_fn(
        self, step_fn: StepFn, raw_session: Callable[[], Any], run_with_hooks: Any = None
    ) -> Any:
        """What `step_fn` returns: it is called again, in a new session, when one is lost."""
        while True:
            try:
                if self._sess is None:
                    self._sess = self._created()
                return self._sess.run_step_fn(step_fn, raw_session, run_with_hooks)
            except PREEMPTION_ERRORS as error:
                log.info("the session was lost and is made again: %s", error)
                self.close()
