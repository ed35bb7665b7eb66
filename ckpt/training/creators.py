"""Who makes the session of a training loop: the chief, who initializes, and workers, who wait for him."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from ckpt.graph import stack
from ckpt.training.scaffold import Scaffold
from ckpt.training.session_manager import SessionManager


class SessionCreator(ABC):
    """Makes sessions: subclasses say how."""

    @abstractmethod
    def create_session(self) -> Any:
        """A session that is ready to run."""


class ChiefSessionCreator(SessionCreator):
    """Restores the newest whole checkpoint of `checkpoint_dir`, or the file given, or else initializes by the scaffold."""

    def __init__(
        self,
        scaffold: Scaffold | None = None,
        master: str = "",
        config: Any = None,
        checkpoint_dir: Any = None,
        checkpoint_filename_with_path: Any = None,
    ) -> None:
        self._scaffold = scaffold or Scaffold()
        self._master = master
        self._config = config
        self._checkpoint_dir = checkpoint_dir
        self._checkpoint_filename_with_path = checkpoint_filename_with_path
        self._manager: SessionManager | None = None

    def create_session(self) -> Any:
        """A session whose variables have values. Finalizes the graph the first time."""
        if self._manager is None:
            self._scaffold.finalize()
            self._manager = _manager(self._scaffold)
        return self._manager.prepare_session(
            self._master,
            saver=self._scaffold.saver,
            checkpoint_dir=self._checkpoint_dir,
            checkpoint_filename_with_path=self._checkpoint_filename_with_path,
            config=self._config,
            init_op=self._scaffold.init_op,
            init_feed_dict=self._scaffold.init_feed_dict,
            init_fn=self._scaffold.init_fn,
        )


class WorkerSessionCreator(SessionCreator):
    """Waits, at most `max_wait_secs`, until the variables have values."""

    def __init__(
        self,
        scaffold: Scaffold | None = None,
        master: str = "",
        config: Any = None,
        max_wait_secs: float = 30 * 60,
    ) -> None:
        self._scaffold = scaffold or Scaffold()
        self._master = master
        self._config = config
        self._max_wait_secs = max_wait_secs
        self._manager: SessionManager | None = None

    def create_session(self) -> Any:
        """A session that is ready. Raises DeadlineExceededError when none is in time."""
        if self._manager is None:
            self._scaffold.finalize()
            self._manager = _manager(self._scaffold)
        return self._manager.wait_for_session(
            self._master, config=self._config, max_wait_secs=self._max_wait_secs
        )


def _manager(scaffold: Scaffold) -> SessionManager:
    return SessionManager(
        local_init_op=scaffold.local_init_op,
        local_init_feed_dict=scaffold.local_init_feed_dict,
        ready_op=scaffold.ready_op,
        ready_for_local_init_op=scaffold.ready_for_local_init_op,
        graph=stack.get_default_graph(),
    )
