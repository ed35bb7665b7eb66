"""The hook that saves while a training loop runs, and those who listen to its saves."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any

from ckpt.core import storage
from ckpt.graph import stack
from ckpt.graph.keys import GraphKeys
from ckpt.run.hooks import (
    SecondOrStepTimer,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)
from ckpt.saver.graph_file import write_graph
from ckpt.training.file_writer import FileWriter, FileWriterCache, add_graphs
from ckpt.training.hooks import required_global_step

log = logging.getLogger("ckpt")


class CheckpointSaverListener:
    """Is told of each save of a CheckpointSaverHook: subclasses override what they care for."""

    def begin(self) -> None:
        """Before the session is made: the last moment to add to the graph."""

    def before_save(self, session: Any, global_step_value: int) -> None:
        """A checkpoint is about to be written."""

    def after_save(self, session: Any, global_step_value: int) -> bool | None:
        """A checkpoint has been written; True asks for the training to stop."""

    def end(self, session: Any, global_step_value: int) -> None:
        """The training has ended, after the last save."""


class CheckpointSaverHook(SessionRunHook):
    """Saves a checkpoint at the start, every `save_secs` seconds or `save_steps` steps, and at the end.

    `saver` does it, or the one of `scaffold`, or the only one in the collection `GraphKeys.SAVERS`. The graph as text
    goes to `graph.pbtxt` once; graph and saves are noted in the directory's event file. Raises ValueError when both or neither of the intervals, or both of saver and scaffold
    are given; RuntimeError from `begin` without a global step, from a save without a Saver.
    """

    def __init__(
        self,
        checkpoint_dir: Any,
        save_secs: float | None = None,
        save_steps: int | None = None,
        saver: Any = None,
        checkpoint_basename: str = "model.ckpt",
        scaffold: Any = None,
        listeners: Sequence[CheckpointSaverListener] | None = None,
        save_graph_def: bool = True,
    ) -> None:
        if saver is not None and scaffold is not None:
            raise ValueError("You cannot provide both saver and scaffold.")
        self._saver = saver
        self._scaffold = scaffold
        self._directory = os.fspath(checkpoint_dir)
        self._save_path = storage.joined(self._directory, checkpoint_basename)
        self._timer = SecondOrStepTimer(every_secs=save_secs, every_steps=save_steps)
        self._listeners = list(listeners or [])
        self._steps_per_run = 1
        self._save_graph_def = save_graph_def
        self._global_step: Any = None
        self._summary_writer: FileWriter | None = None

    def _set_steps_per_run(self, steps_per_run: int) -> None:
        self._steps_per_run = steps_per_run

    def begin(self) -> None:
        """Find the global step."""
        self._global_step = required_global_step("CheckpointSaverHook")
        self._summary_writer = FileWriterCache.get(self._directory)
        for listener in self._listeners:
            listener.begin()

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Write the graph, and the first checkpoint."""
        step = session.run(self._global_step)
        graph = stack.get_default_graph()
        if self._save_graph_def:
            write_graph(graph.as_graph_def(add_shapes=True), self._directory, "graph.pbtxt")
        if self._summary_writer is not None:
            add_graphs(self._summary_writer, graph, self._get_saver().saver_def)
        self._save(session, step)
        self._timer.update_last_triggered_step(step)

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        """Ask for the global step."""
        return SessionRunArgs(self._global_step)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Save when it is due. The step that the run fetched may be the one before its own update."""
        if not self._timer.should_trigger_for_step(run_values.results + self._steps_per_run):
            return
        step = run_context.session.run(self._global_step)
        if self._timer.should_trigger_for_step(step):
            self._timer.update_last_triggered_step(step)
            if self._save(run_context.session, step):
                run_context.request_stop()

    def end(self, session: Any) -> None:
        """Save the last step, unless that has been done, and have all events in the file."""
        step = session.run(self._global_step)
        if step != self._timer.last_triggered_step():
            self._save(session, step)
        for listener in self._listeners:
            listener.end(session, step)
        if self._summary_writer is not None:
            self._summary_writer.flush()

    def _save(self, session: Any, step: int) -> bool:
        """Save; True when a listener asks for the training to stop."""
        saver = self._get_saver()
        for listener in self._listeners:
            listener.before_save(session, step)
        log.info("Saving checkpoints for %d into %s.", step, self._save_path)
        saver.save(
            session, self._save_path, global_step=step, write_meta_graph=self._save_graph_def
        )
        if self._summary_writer is not None:
            from ckpt.wire import messages  # protobuf is loaded only when messages are used

            saved = messages.SessionLog(
                status=messages.SessionLog.CHECKPOINT, checkpoint_path=self._save_path
            )
            self._summary_writer.add_session_log(saved, step)
        answers = [listener.after_save(session, step) for listener in self._listeners]
        return any(answers)

    def _get_saver(self) -> Any:
        if self._saver is not None:
            return self._saver
        if self._scaffold is not None:
            return self._scaffold.saver
        found = stack.get_default_graph().get_collection(GraphKeys.SAVERS)
        if not found:
            raise RuntimeError(
                f"No items in collection {GraphKeys.SAVERS}. Please add a saver to the collection or provide a saver "
                "or scaffold."
            )
        if len(found) > 1:
            raise RuntimeError(
                f"More than one item in collection {GraphKeys.SAVERS}. Please indicate which one to use by passing it "
                "to the constructor."
            )
        self._saver = found[0]
        return self._saver
