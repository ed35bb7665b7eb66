"""Sessions for training loops: they initialize or restore, run hooks, recover, and stop together with their threads."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ckpt.core.errors import OutOfRangeError
from ckpt.graph import stack
from ckpt.graph.graph import Graph
from ckpt.graph.keys import GraphKeys
from ckpt.run.hooks import SessionRunHook
from ckpt.training.coordinator import Coordinator
from ckpt.training.creators import ChiefSessionCreator, SessionCreator, WorkerSessionCreator
from ckpt.training.reporting_hooks import StepCounterHook, SummarySaverHook
from ckpt.training.saver_hook import CheckpointSaverHook
from ckpt.training.scaffold import Scaffold
from ckpt.training.wrapped import (
    CoordinatedSession,
    HookedSession,
    RecoverableSession,
    StepContext,
    WrappedSession,
)

if TYPE_CHECKING:
    from typing import Self

USE_DEFAULT = object()


class _CoordinatedCreator(SessionCreator):
    """Makes a session with hooks and threads around the one that `creator` makes."""

    def __init__(
        self, creator: SessionCreator, hooks: Sequence[SessionRunHook], grace: float
    ) -> None:
        self._creator = creator
        self._hooks = hooks
        self._grace = grace
        self.coord: Coordinator | None = None
        self.tf_sess: Any = None

    def create_session(self) -> WrappedSession:
        """Make it, start the queues' threads, and tell the hooks."""
        self.tf_sess = self._creator.create_session()
        self.coord = Coordinator(clean_stop_exception_types=())
        for runner in stack.get_default_graph().get_collection(GraphKeys.QUEUE_RUNNERS):
            runner.create_threads(self.tf_sess, coord=self.coord, daemon=True, start=True)
        for hook in self._hooks:
            hook.after_create_session(self.tf_sess, self.coord)
        return CoordinatedSession(HookedSession(self.tf_sess, self._hooks), self.coord, self._grace)


class _MonitoredSession:
    """What the two public classes share."""

    StepContext = StepContext

    def __init__(
        self,
        session_creator: SessionCreator | None,
        hooks: Sequence[SessionRunHook] | None,
        *,
        should_recover: bool,
        stop_grace_period_secs: float = 120,
    ) -> None:
        self._graph = stack.get_default_graph()
        self._graph_was_finalized = self._graph.finalized
        self._hooks = list(hooks or [])
        for hook in self._hooks:
            hook.begin()
        self._coordinated_creator = _CoordinatedCreator(
            session_creator or ChiefSessionCreator(), self._hooks, stop_grace_period_secs
        )
        create = self._coordinated_creator.create_session
        self._sess: WrappedSession | None = (
            RecoverableSession(create) if should_recover else create()
        )

    def _tf_sess(self) -> Any:
        """The session behind it, None once it is closed: under TensorFlow's own name, which programs use to save."""
        return self._coordinated_creator.tf_sess

    @property
    def graph(self) -> Graph | None:
        """The graph; None once closed."""
        sess = self._coordinated_creator.tf_sess
        return None if sess is None else sess.graph

    def run(
        self, fetches: Any, feed_dict: Any = None, options: Any = None, run_metadata: Any = None
    ) -> Any:
        """What `Session.run` returns; hooks are called before and after. Raises RuntimeError once closed."""
        return self._open().run(
            fetches, feed_dict=feed_dict, options=options, run_metadata=run_metadata
        )

    def run_step_fn(self, step_fn: Callable[[Any], Any]) -> Any:
        """What `step_fn(step_context)` returns: one step of several runs, of which the hooks see those it wants them to.

        `step_context.session` is the session without hooks, `step_context.run_with_hooks` is `run`,
        `step_context.request_stop()` leaves the step and the `with` block of this session (StopIteration). A step is done again as a whole when the session is
        lost. Raises ValueError unless the function takes `step_context`, or `self` and `step_context`.
        """
        names = tuple(inspect.signature(step_fn).parameters)
        if names not in (("step_context",), ("self", "step_context")):
            raise ValueError(
                "`step_fn` may either have one `step_context` argument, or `self` and `step_context` arguments if it's "
                f"an instance method. Got {names} instead."
            )
        return self._open().run_step_fn(step_fn, lambda: self._coordinated_creator.tf_sess)

    def _open(self) -> WrappedSession:
        if self._sess is None:
            raise RuntimeError("Session is already closed.")
        return self._sess

    def should_stop(self) -> bool:
        """True once closed, or when a hook, a thread or an error asked for the loop to stop."""
        return self._sess is None or self._sess.should_stop()

    def close(self) -> None:
        """End the hooks, stop and join the threads, close the session. Raises RuntimeError when that is done already."""
        self._close(is_failure=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> bool:
        is_end = kind is not None and issubclass(kind, (OutOfRangeError, StopIteration))
        self._close(is_failure=kind is not None and not is_end)
        return kind is None or is_end

    def _is_closed(self) -> bool:
        return self._coordinated_creator.tf_sess is None

    def _close(self, *, is_failure: bool) -> None:
        """Close; hooks are told of an end that is no failure."""
        creator = self._coordinated_creator
        sess = self._open()
        try:
            if not is_failure:
                for hook in self._hooks:
                    hook.end(creator.tf_sess)
        finally:
            try:
                sess.close()
            finally:
                self._sess = None
                creator.tf_sess = None
                creator.coord = None
                if not self._graph_was_finalized:
                    self._graph._unsafe_unfinalize()


class MonitoredSession(_MonitoredSession):
    """A session for a training loop: `while not sess.should_stop(): sess.run(train_op)`.

    The session creator (the chief's when None) initializes or restores; hooks are called around every run; threads of
    queues are started. When the session is lost (AbortedError, UnavailableError) a new one goes on from the last
    checkpoint. OutOfRangeError and StopIteration end the `with` block quietly; any other error leaves it.
    """

    def __init__(
        self,
        session_creator: SessionCreator | None = None,
        hooks: Sequence[SessionRunHook] | None = None,
        stop_grace_period_secs: float = 120,
    ) -> None:
        super().__init__(
            session_creator,
            hooks,
            should_recover=True,
            stop_grace_period_secs=stop_grace_period_secs,
        )


class SingularMonitoredSession(_MonitoredSession):
    """A MonitoredSession that does not recover: what loses the session ends the loop. It may be passed to a Saver."""

    def __init__(
        self,
        hooks: Sequence[SessionRunHook] | None = None,
        scaffold: Scaffold | None = None,
        master: str = "",
        config: Any = None,
        checkpoint_dir: Any = None,
        stop_grace_period_secs: float = 120,
        checkpoint_filename_with_path: Any = None,
    ) -> None:
        super().__init__(
            ChiefSessionCreator(
                scaffold, master, config, checkpoint_dir, checkpoint_filename_with_path
            ),
            hooks,
            should_recover=False,
            stop_grace_period_secs=stop_grace_period_secs,
        )

    def raw_session(self) -> Any:
        """The session inside, without hooks."""
        return self._tf_sess()


def MonitoredTrainingSession(  # TensorFlow's name
    master: str = "",
    is_chief: bool = True,
    checkpoint_dir: Any = None,
    scaffold: Scaffold | None = None,
    hooks: Sequence[SessionRunHook] | None = None,
    chief_only_hooks: Sequence[SessionRunHook] | None = None,
    save_checkpoint_secs: Any = USE_DEFAULT,
    save_summaries_steps: Any = USE_DEFAULT,
    save_summaries_secs: Any = USE_DEFAULT,
    config: Any = None,
    stop_grace_period_secs: float = 120,
    log_step_count_steps: int | None = 100,
    max_wait_secs: float = 7200,
    save_checkpoint_steps: Any = USE_DEFAULT,
    summary_dir: Any = None,
    save_graph_def: bool = True,
) -> MonitoredSession:
    """A MonitoredSession that saves checkpoints and summaries.

    A checkpoint goes to `checkpoint_dir` every 600 seconds, or as the intervals say, and the session starts from the newest
    whole one there. Summaries go to `summary_dir` (`checkpoint_dir` when None) every 100 steps, and so does the speed in
    steps per second. None or 0 for an interval turns it off. One who is not chief waits for the chief, and has only `hooks`.
    """
    scaffold = scaffold or Scaffold()
    if not is_chief:
        creator: SessionCreator = WorkerSessionCreator(scaffold, master, config, max_wait_secs)
        return MonitoredSession(creator, hooks, stop_grace_period_secs)
    every_hook = list(chief_only_hooks or [])
    summary_dir = summary_dir or checkpoint_dir
    if summary_dir:
        every_hook += _summary_hooks(
            summary_dir,
            scaffold,
            log_step_count_steps,
            *_intervals(save_summaries_steps, save_summaries_secs, steps=100),
        )
    steps, secs = _intervals(save_checkpoint_steps, save_checkpoint_secs, secs=600)
    if checkpoint_dir and (steps or secs):
        every_hook.append(
            CheckpointSaverHook(
                checkpoint_dir,
                save_steps=steps,
                save_secs=secs,
                scaffold=scaffold,
                save_graph_def=save_graph_def,
            )
        )
    return MonitoredSession(
        ChiefSessionCreator(scaffold, master, config, checkpoint_dir),
        [*every_hook, *(hooks or [])],
        stop_grace_period_secs,
    )


def _summary_hooks(
    directory: Any,
    scaffold: Scaffold,
    log_steps: int | None,
    save_steps: int | None,
    save_secs: float | None,
) -> list[SessionRunHook]:
    made: list[SessionRunHook] = []
    if log_steps:
        made.append(StepCounterHook(output_dir=directory, every_n_steps=log_steps))
    if save_steps or save_secs:
        made.append(
            SummarySaverHook(
                scaffold=scaffold, save_steps=save_steps, save_secs=save_secs, output_dir=directory
            )
        )
    return made


def _intervals(
    given_steps: Any, given_secs: Any, *, steps: int | None = None, secs: float | None = None
) -> tuple[int | None, float | None]:
    """Steps and seconds between two times: the defaults where neither was given; what was not given then is off."""
    if given_steps is USE_DEFAULT and given_secs is USE_DEFAULT:
        return steps, secs
    return (
        None if given_steps is USE_DEFAULT else given_steps or None,
        None if given_secs is USE_DEFAULT else given_secs or None,
    )
