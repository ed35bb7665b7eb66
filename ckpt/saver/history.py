"""The checkpoints that a Saver remembers: the state file that lists them, and deleting the old ones.

A Saver of a new process takes over what the state file says of checkpoints that were saved to the same path; it deletes
nothing else. `retention` decides, this module reads, writes and deletes.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ckpt.core import storage
from ckpt.core.errors import DataLossError, OpError
from ckpt.formats import detect
from ckpt.saver import pruning, retention, state_file, validity
from ckpt.saver.retention import Policy, Saved
from ckpt.saver.state_text import CheckpointState, Record

log = logging.getLogger("ckpt")

Doomed = tuple[str, Record]
"""Why a checkpoint goes, and what the state file notes of it until it is gone."""


class History:
    """What a Saver wrote and still keeps, oldest first. `policy` says what is kept."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.remembered: tuple[Saved, ...] = ()
        self._preserve_after = policy.first_preserve_after(time.time())
        # (save path, state file) of which all is known
        self._taken_over: set[tuple[str, str]] = set()
        # the program says itself what to remember, as TensorFlow 1 programs do
        self._is_told = False
        self._told: list[str] = []
        self._restored: str | None = None
        self._saves_since_restore = 0
        self._to_delete: dict[str, Doomed] = {}  # those that could not be deleted are tried again
        self._gone: set[str] = set()  # those that the last commit deleted: nobody need look again

    @property
    def last_checkpoints(self) -> list[str]:
        """TensorFlow's list: the prefixes that the limit applies to, oldest first; where all are kept, only those told."""
        return list(self._told) if self.policy.keeps_all else [s.name for s in self.remembered]

    def remember(self, saved: Sequence[Saved]) -> None:
        """Remember exactly these, oldest first; what the state file lists is then not taken over."""
        self.remembered = tuple(saved)
        self._told = [one.name for one in saved]
        self._is_told = True
        self._gone = set()

    def resume(self, state: CheckpointState, save_path: str) -> None:
        """Go on where another process ended, as a CheckpointManager does, and when it last kept one for good.

        Remembered is what a manager's state file lists, under whatever name; of a Saver's (which says nothing of the
        last one kept for good), and of what other Savers noted, only what was saved to this path. Checkpoints without a
        time are somebody else's. Times in the future count as now: the clock may have been ahead.
        """
        now = time.time()
        records = state.records
        belongs = retention.is_of(storage.split(save_path)[1])
        listed = state.all_model_checkpoint_paths if state.last_preserved_timestamp else []
        self.remember(
            [
                Saved(
                    path, min(when, now), retention.numbered(path), pinned=_is_pinned(records, path)
                )
                for path, when in state_file.times_of(state)
                if when and (path in listed or belongs(storage.split(path)[1]))
                if path not in records or not records[path].preserved
                if path not in records or state_file.checkpoint_exists(path)
            ]
        )
        if 0 < state.last_preserved_timestamp <= now:
            self._preserve_after = self.policy.first_preserve_after(state.last_preserved_timestamp)

    def recover(self, prefixes: Sequence[str]) -> None:
        """Remember those of these prefixes that exist, in this order, with the times of their files."""
        self.remember(
            [
                Saved(p, storage.modified(detect.resolve(p)), retention.numbered(p))
                for p in prefixes
                if state_file.checkpoint_exists(p)
            ]
        )

    def was_restored(self, prefix: str) -> None:
        """Delete the checkpoint of this prefix only after `max_to_keep` newer ones were saved."""
        self._restored, self._saves_since_restore = _place(validity.prefix_of_file(prefix)), 0

    def pin(self, prefix: str, *, pinned: bool, latest_filename: str | None) -> None:
        """Remember that the user wants to keep this one, here and in the state file."""
        pruning.pin_checkpoint(prefix, pinned=pinned, latest_filename=latest_filename)
        self.remembered = tuple(
            replace(saved, pinned=pinned) if saved.name == prefix else saved
            for saved in self.remembered
        )

    def commit(
        self,
        save_path: str,
        new: Saved,
        *,
        latest_filename: str,
        meta_graph_suffix: str,
        durable: bool = True,
    ) -> None:
        """Make `new` the latest checkpoint of the state file, then delete those that are no longer kept.

        One that cannot be deleted is logged and tried again after the next save.
        """
        directory, _ = storage.split(new.name)
        with state_file.lock:
            old = _state_or_nothing(directory, latest_filename)
            if not self._is_told and (save_path, latest_filename) not in self._taken_over:
                self._take_over(old, save_path)
                self._taken_over.add((save_path, latest_filename))
            self._hear_of_pins(old)
            decision = self._decide(new)
            doomed = self._doomed(old, decision, save_path, meta_graph_suffix)
            doomed.pop(new.name, None)
            state = self._state(directory, new, decision, old, doomed)
            state_file.write_state(directory, state, latest_filename, durable=durable)
        self.remembered = decision.remaining
        self._preserve_after = decision.preserve_after
        self._saves_since_restore += 1
        self._to_delete = doomed
        self._delete_old()

    def _hear_of_pins(self, state: CheckpointState) -> None:
        """Take over what others, such as `ckpt pin`, wrote of our checkpoints since the save before."""
        known = {_place(path) for path, _ in state_file.times_of(state)}
        pinned = {_place(path) for path, record in state.records.items() if record.pinned}
        self.remembered = tuple(
            replace(saved, pinned=_place(saved.name) in pinned)
            if _place(saved.name) in known
            else saved
            for saved in self.remembered
        )

    def _doomed(
        self,
        old: CheckpointState,
        decision: retention.Decision,
        save_path: str,
        meta_graph_suffix: str,
    ) -> dict[str, Doomed]:
        """What is to be deleted: by this decision, by those before, and by a process of this path that died meanwhile.

        Of the last the values are gone, and what lay beside them is not.
        """
        base = storage.split(save_path)[1]
        belongs = retention.is_of(base)
        begun: dict[str, Doomed] = {
            save_path.removesuffix(base) + name: (pruning.CUT_SHORT, record)
            for path, record in old.records.items()
            if belongs(name := storage.split(path)[1]) and self._is_left(path, record)
        }
        decided = {
            saved.name: (decision.delete[saved.name], Record(saved.time, deleted=meta_graph_suffix))
            for saved in self.remembered
            if saved.name in decision.delete
        }
        return {**begun, **self._to_delete, **decided}

    def _is_left(self, path: str, record: Record) -> bool:
        """Whether something is left of a checkpoint that is noted as deleted."""
        return (
            bool(record.deleted)
            and _place(path) not in self._gone
            and pruning.is_cut_short(path, record)
        )

    def _decide(self, new: Saved) -> retention.Decision:
        in_use: set[str] = set()
        if self._restored and self._saves_since_restore + 1 < (self.policy.max_to_keep or 0):
            in_use = {s.name for s in self.remembered if _place(s.name) == self._restored}
        return retention.after_save(self.remembered, new, self.policy, self._preserve_after, in_use)

    def _take_over(self, old: CheckpointState, save_path: str) -> None:
        """Remember what the state file says of checkpoints that were saved to this path, if we wrote them."""
        above, base = storage.split(save_path)
        stem = save_path.removesuffix(base)
        times = dict(state_file.times_of(old))
        known = {saved.name for saved in self.remembered}
        belongs = retention.is_of(base)
        listed = set(old.all_model_checkpoint_paths)
        found: tuple[list[Saved], list[Saved]] = ([], [])
        for path, when in times.items():
            record = old.records.get(path, Record(when))
            directory, name = storage.split(path)
            prefix = stem + name
            if directory != above or not belongs(name) or record.preserved or prefix in known:
                continue
            saved = Saved(prefix, when)
            try:
                if not validity.is_ours(prefix):
                    continue
                if self.policy.rules:
                    saved = validity.described(prefix, for_deletion=True)
            except OpError:  # it cannot be read now: the state file goes on to list it, and the next save looks again
                continue
            step = retention.numbered(prefix) if saved.step is None else saved.step
            saved = replace(saved, time=when, step=step, pinned=record.pinned)
            found[path in listed].append(saved)
        self.remembered = tuple(retention.oldest_first(*found, self.remembered))
        if 0 < old.last_preserved_timestamp <= time.time():
            self._preserve_after = self.policy.first_preserve_after(old.last_preserved_timestamp)

    def _state(
        self,
        directory: str,
        new: Saved,
        decision: retention.Decision,
        old: CheckpointState,
        doomed: Mapping[str, Doomed],
    ) -> CheckpointState:
        """The state file after this save: TensorFlow's fields are this Saver's, the records also speak for others.

        What is to be deleted is in the records too, so that a process that dies before it has leaves that to the next.
        """
        state = state_file.state_in(
            directory,
            new.name,
            [saved.name for saved in decision.remaining],
            [saved.time for saved in decision.remaining],
        )
        policy = self.policy
        if policy.from_last_kept or policy.keep_every_n_hours != retention.EVERY_N_HOURS:
            hours = self.policy.keep_every_n_hours
            state.last_preserved_timestamp = decision.preserve_after - hours * 3600
        mine = {
            state_file.listed_name(saved.name)
            for saved in decision.remaining
            if _place(storage.split(saved.name)[0]) == _place(directory)
        }
        for path, when in state_file.times_of(old):
            name = state_file.listed_name(path)
            record = old.records.get(path, Record(when))
            if storage.split(path)[0] != directory or name in mine:
                continue
            if state_file.checkpoint_exists(path) or self._is_left(path, record):
                state.records[name] = record
        for prefix, (_, record) in doomed.items():
            if storage.split(prefix)[0] == directory:
                state.records[state_file.listed_name(prefix)] = record
        for saved in decision.preserved:
            state.records[state_file.listed_name(saved.name)] = Record(saved.time, preserved=True)
        for saved in decision.remaining:
            if saved.pinned:
                state.records[state_file.listed_name(saved.name)] = Record(saved.time, pinned=True)
        return state

    def _delete_old(self) -> None:
        self._gone = set()
        for name, (reason, record) in list(self._to_delete.items()):
            try:
                pruning.remove_checkpoint(name, meta_graph_suffix=record.deleted)
            except OpError as error:
                log.warning("cannot delete checkpoint %s yet: %s", name, error)
                continue
            log.info("deleted checkpoint %s: %s", name, reason)
            self._gone.add(_place(name))
            del self._to_delete[name]


def _is_pinned(records: Mapping[str, Record], path: str) -> bool:
    return path in records and records[path].pinned


def _place(prefix: str) -> str:
    """The same text for the same prefix, however it is written."""
    return prefix if storage.is_remote(prefix) else os.path.abspath(prefix)


def _state_or_nothing(directory: str, latest_filename: str) -> CheckpointState:
    """What the state file says, paths joined; an empty state where there is none or it is damaged.

    One that cannot be read at the moment is no empty one: that would forget what is pinned. Raises OpError then.
    """
    try:
        found = state_file.get_checkpoint_state(directory, latest_filename)
    except DataLossError as error:
        log.warning("%s\nA new one is written; older checkpoints are left alone", error)
        found = None
    return found or CheckpointState()
