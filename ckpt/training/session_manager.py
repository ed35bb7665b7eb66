"""Getting a session whose variables have values: from a checkpoint, from initializers, or from somebody else."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ckpt.core.errors import DeadlineExceededError, FailedPreconditionError, OpError
from ckpt.graph import stack
from ckpt.graph.graph import Graph
from ckpt.run.session import Session
from ckpt.saver.latest import latest_checkpoint
from ckpt.saver.state_file import get_checkpoint_state

log = logging.getLogger("ckpt")


class SessionManager:
    """Makes sessions that are ready to run.

    `ready_op` and `ready_for_local_init_op` return the names of what has no value yet; `local_init_op` is run in every
    session, after variables were restored or initialized. `recovery_wait_secs` lie between two looks.
    Raises ValueError when `ready_for_local_init_op` comes without `local_init_op`.
    """

    def __init__(
        self,
        local_init_op: Any = None,
        ready_op: Any = None,
        ready_for_local_init_op: Any = None,
        graph: Graph | None = None,
        recovery_wait_secs: float = 30,
        local_init_run_options: Any = None,
        local_init_feed_dict: Any = None,
    ) -> None:
        if ready_for_local_init_op is not None and local_init_op is None:
            raise ValueError(
                "If you pass a ready_for_local_init_op you must also pass a local_init_op , ready_for_local_init_op "
                f"[{ready_for_local_init_op}]"
            )
        self._graph = graph if graph is not None else stack.get_default_graph()
        self._local_init_op = local_init_op
        self._ready_op = ready_op
        self._ready_for_local_init_op = ready_for_local_init_op
        self._recovery_wait_secs = recovery_wait_secs
        self._local_init_run_options = local_init_run_options
        self._local_init_feed_dict = local_init_feed_dict

    def prepare_session(
        self,
        master: str,
        init_op: Any = None,
        saver: Any = None,
        checkpoint_dir: Any = None,
        checkpoint_filename_with_path: Any = None,
        wait_for_checkpoint: bool = False,
        max_wait_secs: float = 7200,
        config: Any = None,
        init_feed_dict: Any = None,
        init_fn: Callable[[Any], Any] | None = None,
    ) -> Session:
        """A session whose variables come from the newest whole checkpoint of `checkpoint_dir`, else from `init_op` and `init_fn`.

        Raises ValueError when both a directory and a file are given; RuntimeError when there is nothing to initialize
        with, or when variables are left without values, with their names.
        """
        sess, is_loaded = self._restored(
            master, saver, checkpoint_dir, checkpoint_filename_with_path,
            wait_for_checkpoint, max_wait_secs, config,
        )  # fmt: skip
        if not is_loaded:
            if init_op is None and init_fn is None and self._local_init_op is None:
                raise RuntimeError(
                    "Model is not initialized and no init_op or init_fn or local_init_op was given"
                )
            if init_op is not None:
                sess.run(init_op, feed_dict=init_feed_dict)
            if init_fn is not None:
                init_fn(sess)
        given = f"Init op: {_name_of(init_op)}, init fn: {init_fn}, local_init_op: {_name_of(self._local_init_op)}"
        missing = self._local_init(sess)
        if missing is not None:
            raise RuntimeError(
                f"Init operations did not make model ready for local_init.  {given}, error: {missing}"
            )
        missing = _missing(self._ready_op, sess)
        if missing is not None:
            raise RuntimeError(
                f"Init operations did not make model ready.  {given}, error: {missing}"
            )
        return sess

    def recover_session(
        self,
        master: str,
        saver: Any = None,
        checkpoint_dir: Any = None,
        checkpoint_filename_with_path: Any = None,
        wait_for_checkpoint: bool = False,
        max_wait_secs: float = 7200,
        config: Any = None,
    ) -> tuple[Session, bool]:
        """A session, and whether a checkpoint made it ready: where it did not, the session may be initialized by hand."""
        sess, is_loaded = self._restored(
            master, saver, checkpoint_dir, checkpoint_filename_with_path,
            wait_for_checkpoint, max_wait_secs, config,
        )  # fmt: skip
        missing = self._local_init(sess)
        if not is_loaded:
            return sess, False
        source = checkpoint_dir or checkpoint_filename_with_path
        if missing is None:
            missing = _missing(self._ready_op, sess)
        if missing is not None:
            log.info("restoring the model from %s did not make it ready: %s", source, missing)
            return sess, False
        log.info("restored the model from %s", source)
        return sess, True

    def wait_for_session(
        self, master: str, config: Any = None, max_wait_secs: float = float("inf")
    ) -> Session:
        """A session that somebody else made ready. Raises DeadlineExceededError when none is after `max_wait_secs`."""
        deadline = time.monotonic() + (float("inf") if max_wait_secs is None else max_wait_secs)
        while True:
            sess = Session(master, graph=self._graph, config=config)
            missing = self._local_init(sess)
            if missing is None:
                missing = _missing(self._ready_op, sess)
            if missing is None:
                return sess
            sess.close()
            left = deadline - time.monotonic()
            if left < self._recovery_wait_secs:
                raise DeadlineExceededError(
                    None,
                    None,
                    f"Session was not ready after waiting {max_wait_secs} secs: {missing}",
                )
            log.info("waiting for model to be ready: %s", missing)
            time.sleep(self._recovery_wait_secs)

    def _restored(
        self, master: str, saver: Any, directory: Any, path: Any,
        wait_for_checkpoint: bool, max_wait_secs: float, config: Any,
    ) -> tuple[Session, bool]:  # fmt: skip
        """A new session, and whether its variables were restored."""
        if directory and path:
            raise ValueError(
                "Can not provide both checkpoint_dir and checkpoint_filename_with_path."
            )
        sess = Session(master, graph=self._graph, config=config)
        if saver is None or not (directory or path):
            return sess, False
        if path:
            saver.restore(sess, path)
            return sess, True
        deadline = time.monotonic() + max_wait_secs
        while (found := latest_checkpoint(directory, valid_only=True)) is None:
            left = deadline - time.monotonic()
            if not wait_for_checkpoint or left <= 0:
                return sess, False
            log.info("waiting for a checkpoint in %s", directory)
            time.sleep(min(self._recovery_wait_secs, left))
        saver.restore(sess, found)
        saver.recover_last_checkpoints(_listed(directory))
        return sess, True

    def _local_init(self, sess: Session) -> str | None:
        """Run the local initializer once the session is ready for it; what is missing, where it is not."""
        if self._local_init_op is None:
            return None
        missing = _missing(self._ready_for_local_init_op, sess)
        if missing is None:
            sess.run(
                self._local_init_op,
                feed_dict=self._local_init_feed_dict,
                options=self._local_init_run_options,
            )
        return missing


def _missing(ready_op: Any, sess: Session) -> str | None:
    """What a session lacks by the answer of `ready_op`, in words; None when it is ready.

    An operation that fails on uninitialized variables, as `assert_variables_initialized` does, will do too.
    """
    if ready_op is None:
        return None
    try:
        names = sess.run(ready_op)
    except FailedPreconditionError as error:
        if "uninitialized" not in str(error):
            raise
        return str(error)
    if names is None or np.asarray(names).dtype == np.int32 or np.size(names) == 0:
        return None
    return "Variables not initialized: " + ", ".join(
        name.decode("utf-8", "replace") for name in np.ravel(names)
    )


def _listed(directory: Any) -> list[str]:
    """The checkpoints that the state file lists; none where it cannot be read, which `latest_checkpoint` has told."""
    try:
        state = get_checkpoint_state(directory)
    except OpError:
        return []
    return list(state.all_model_checkpoint_paths) if state else []


def _name_of(node: Any) -> Any:
    return getattr(node, "name", node)
