"""Several checkpoints of one object in a directory, the old ones deleted: `tf.train.CheckpointManager`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from ckpt.core import gfile, storage
from ckpt.core.system import StrPath
from ckpt.saver import saving, state_file
from ckpt.saver.checkpoint import Checkpoint, needed_session
from ckpt.saver.history import History
from ckpt.saver.retention import EVERY_N_HOURS, Policy, Saved, check_limits


class CheckpointManager:
    """Saves a Checkpoint again and again, and keeps the newest `max_to_keep` (all for None).

    What is kept is noted in the directory, so that a manager in another process goes on where this one ended. One
    checkpoint is kept for good every `keep_checkpoint_every_n_hours`. With `step_counter` and `checkpoint_interval`
    a save does nothing until so many steps after the last; `init_fn` makes the first values. Raises ValueError for limits
    that are not positive, and for an interval without a counter, TypeError for what is no Checkpoint or no number.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        directory: StrPath,
        max_to_keep: int | None,
        keep_checkpoint_every_n_hours: float | None = None,
        checkpoint_name: str = "ckpt",
        step_counter: Any = None,
        checkpoint_interval: int | None = None,
        init_fn: Callable[[], Any] | None = None,
        last_checkpoint_step: int | None = None,
    ) -> None:
        if not isinstance(checkpoint, Checkpoint):
            raise TypeError(
                f"checkpoint must be a tf.train.Checkpoint(...), not {checkpoint!r}; a Saver needs no manager"
            )
        check_limits(max_to_keep, keep_checkpoint_every_n_hours)
        if max_to_keep is not None and max_to_keep <= 0:
            raise ValueError(
                f"Expected a positive integer or `None` for `max_to_keep`, got {max_to_keep}."
            )
        if checkpoint_interval is not None and step_counter is None:
            raise ValueError(
                "`step_counter` should be passed if `checkpoint_interval` is not None."
            )
        self._checkpoint = checkpoint
        self._directory = os.fspath(directory)
        self._prefix = storage.joined(self._directory, checkpoint_name)
        self._step_counter = step_counter
        self._interval = checkpoint_interval
        self._init_fn = init_fn
        self._last_step = last_checkpoint_step
        hours = keep_checkpoint_every_n_hours
        policy = Policy(max_to_keep, EVERY_N_HOURS if hours is None else hours, from_last_kept=True)
        self._history = History(policy)
        self._latest: str | None = None
        found = state_file.get_checkpoint_state(self._directory)
        if found is not None:
            self._history.resume(found, self._prefix)
            self._latest = found.model_checkpoint_path

    @property
    def checkpoint(self) -> Checkpoint:
        """The object that is saved."""
        return self._checkpoint

    @property
    def directory(self) -> str:
        """Where the checkpoints are."""
        return self._directory

    @property
    def checkpoint_interval(self) -> int | None:
        """How many steps lie between saves at least."""
        return self._interval

    @property
    def latest_checkpoint(self) -> str | None:
        """The prefix of the checkpoint saved last; None when there is none."""
        return self._latest

    @property
    def checkpoints(self) -> list[str]:
        """The prefixes that are kept, oldest first; without those kept for good."""
        return [saved.name for saved in self._history.remembered]

    def save(self, checkpoint_number: Any = None, check_interval: bool = True) -> str | None:
        """Write a checkpoint and delete those that are no longer kept; returns its prefix, None when it is not due.

        `checkpoint_number` (an integer, a tensor or a variable) stands in place of the counter of saves in its name.
        Without `check_interval` it is due unless this step has been saved already.
        Uses the default session. Raises RuntimeError without one.
        """
        session = needed_session(None)
        step = saving.step_value(session, self._step_counter)
        if self._interval is not None and step is not None:
            if self._last_step is not None and (
                step < self._last_step + self._interval
                if check_interval
                else step == self._last_step
            ):
                return None
        if self._directory:
            gfile.makedirs(self._directory)
        number, prefix = self._checkpoint._save_numbered(
            self._prefix, saving.step_value(session, checkpoint_number)
        )
        self._history.commit(
            self._prefix,
            Saved(prefix, time.time(), number),
            latest_filename=state_file.DEFAULT_NAME,
            meta_graph_suffix="meta",
        )
        self._latest = prefix
        if self._interval is not None and step is not None:
            self._last_step = step
        return prefix

    def restore_or_initialize(self) -> str | None:
        """Restore the newest checkpoint and return its prefix; without one call `init_fn` and return None."""
        if self._latest is not None:
            self._checkpoint.restore(self._latest).initialize_or_restore()
            if self._step_counter is not None:
                session = needed_session(None)
                self._last_step = saving.step_value(session, self._step_counter)
            return self._latest
        if self._init_fn is not None:
            self._init_fn()
        return None
