"""The checkpoints that a Saver remembers: the state file that lists them, and deleting the old ones.

A Saver of a new process takes over what the state file says of checkpoints that were saved to the same path; it deletes
nothing else. `retention` decides, this module reads, writes and deletes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ckpt.core import storage
from ckpt.core.errors import NotFoundError, OpError
from ckpt.formats import detect
from ckpt.formats.hdf5 import HDF5
from ckpt.saver import latest, retention, state_file, validity
from ckpt.saver.retention import Policy, Saved
from ckpt.saver.state_file import CheckpointState, Record

log = logging.getLogger("ckpt")

_state_lock = threading.RLock()  # of one process: a state file is read, changed and written by one Saver at a time


class History:
    """What a Saver wrote and still keeps, oldest first. `policy` says what is kept."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.remembered: tuple[Saved, ...] = ()
        self._preserve_after = policy.first_preserve_after(time.time())
        self._taken_over: set[tuple[str, str]] = set()  # (save path, state file) of which all is known
        self._is_told = False  # the program says itself what to remember, as TensorFlow 1 programs do
        self._restored: str | None = None
        self._saves_since_restore = 0
        self._to_delete: dict[str, str] = {}  # those that could not be deleted are tried again

    @property
    def last_checkpoints(self) -> list[str]:
        """TensorFlow's list: the prefixes that the limit applies to, oldest first; none where all are kept."""
        return [] if self.policy.keeps_all else [saved.name for saved in self.remembered]

    def remember(self, saved: Sequence[Saved]) -> None:
        """Remember exactly these, oldest first; what the state file lists is then not taken over."""
        self.remembered = tuple(saved)
        self._is_told = True

    def recover(self, prefixes: Sequence[str]) -> None:
        """Remember those of these prefixes that exist, with the times of their files."""
        found = [
            Saved(p, storage.modified(detect.resolve(p)), retention.numbered(p))
            for p in prefixes
            if state_file.checkpoint_exists(p)
        ]
        self.remember(sorted(found, key=lambda saved: saved.time))

    def was_restored(self, prefix: str) -> None:
        """Delete the checkpoint of this prefix only after `max_to_keep` newer ones were saved."""
        self._restored, self._saves_since_restore = prefix, 0

    def pin(self, prefix: str, *, pinned: bool, latest_filename: str | None) -> None:
        """Remember that the user wants to keep this one, here and in the state file."""
        pin_checkpoint(prefix, pinned=pinned, latest_filename=latest_filename)
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
        with _state_lock:
            old = _state_or_nothing(directory, latest_filename)
            if not self._is_told and (save_path, latest_filename) not in self._taken_over:
                self._take_over(old, save_path)
                self._taken_over.add((save_path, latest_filename))
            decision = self._decide(new)
            state = self._state(directory, new, decision, old)
            state_file.write_state(directory, state, latest_filename, durable=durable)
        self.remembered = decision.remaining
        self._preserve_after = decision.preserve_after
        self._saves_since_restore += 1
        self._to_delete.pop(new.name, None)
        self._to_delete.update(decision.delete)
        self._delete_old(meta_graph_suffix)

    def _decide(self, new: Saved) -> retention.Decision:
        in_use = set()
        if self._restored and self._saves_since_restore + 1 < (self.policy.max_to_keep or 0):
            in_use.add(self._restored)
        return retention.after_save(
            self.remembered, new, self.policy, self._preserve_after, in_use
        )

    def _take_over(self, old: CheckpointState, save_path: str) -> None:
        """Remember what the state file says of checkpoints that were saved to this path, if we wrote them."""
        above, base = storage.split(save_path)
        stem = save_path.removesuffix(base)
        times = dict(_times(old))
        known = {saved.name for saved in self.remembered}
        belongs = retention.is_of(base)
        found = []
        for path, when in times.items():
            record = old.records.get(path, Record(when))
            directory, name = storage.split(path)
            prefix = stem + name
            if directory != above or not belongs(name) or record.preserved or prefix in known:
                continue
            if not _is_ours(prefix):
                continue
            saved = validity.described(prefix) if self.policy.rules else Saved(prefix, when)
            step = retention.numbered(prefix) if saved.step is None else saved.step
            found.append(replace(saved, time=when, step=step, pinned=record.pinned))
        self.remembered = tuple(sorted([*found, *self.remembered], key=lambda saved: saved.time))
        if 0 < old.last_preserved_timestamp <= time.time():
            self._preserve_after = self.policy.first_preserve_after(old.last_preserved_timestamp)

    def _state(
        self, directory: str, new: Saved, decision: retention.Decision, old: CheckpointState
    ) -> CheckpointState:
        """The state file after this save: TensorFlow's fields are this Saver's, the records also speak for others."""
        state = state_file.generate_checkpoint_state_proto(
            directory,
            new.name,
            [saved.name for saved in decision.remaining],
            [saved.time for saved in decision.remaining],
        )
        if self.policy.keep_every_n_hours != retention.EVERY_N_HOURS:
            hours = self.policy.keep_every_n_hours
            state.last_preserved_timestamp = decision.preserve_after - hours * 3600
        mine = {storage.split(saved.name)[1] for saved in decision.remaining}
        gone = {storage.split(name)[1] for name in (*decision.delete, *self._to_delete)}
        for path, when in _times(old):
            above, name = storage.split(path)
            if above == directory and name not in mine | gone and state_file.checkpoint_exists(path):
                state.records[name] = old.records.get(path, Record(when))
        for saved in decision.preserved:
            state.records[storage.split(saved.name)[1]] = Record(saved.time, preserved=True)
        for saved in decision.remaining:
            if saved.pinned:
                state.records[storage.split(saved.name)[1]] = Record(saved.time, pinned=True)
        return state

    def _delete_old(self, meta_graph_suffix: str) -> None:
        for name, reason in list(self._to_delete.items()):
            try:
                remove_checkpoint(name, meta_graph_suffix=meta_graph_suffix)
            except OpError as error:
                log.warning("cannot delete checkpoint %s yet: %s", name, error)
                continue
            log.info("deleted checkpoint %s: %s", name, reason)
            del self._to_delete[name]


def _state_or_nothing(directory: str, latest_filename: str) -> CheckpointState:
    """What the state file says, paths joined; an empty state where there is none or it is damaged."""
    try:
        found = state_file.get_checkpoint_state(directory, latest_filename)
    except OpError as error:
        log.warning("%s\nA new one is written; older checkpoints are left alone", error)
        found = None
    return found or CheckpointState()


def _times(state: CheckpointState) -> list[tuple[str, float]]:
    """(joined path, time) of everything that a state file knows, without repetition."""
    paths, times = state.all_model_checkpoint_paths, state.all_model_checkpoint_timestamps
    if len(times) != len(paths):  # TensorFlow 1 writes none
        times = [0.0] * len(paths)
    known = {path: record.time for path, record in state.records.items()}
    return list((known | dict(zip(paths, times, strict=True))).items())


def _is_ours(prefix: str) -> bool:
    """True when the checkpoint is there, in the format that a Saver writes."""
    try:
        return detect.resolve(prefix).endswith(HDF5.suffixes)
    except OpError:
        return False


def pin_checkpoint(
    checkpoint_prefix: str, *, pinned: bool = True, latest_filename: str | None = None
) -> None:
    """Note in the state file of its directory that no Saver and no `ckpt prune` may delete this checkpoint, or no longer.

    Raises NotFoundError when there is no such checkpoint, DataLossError when the state file is damaged.
    """
    directory, name = storage.split(checkpoint_prefix)
    if not state_file.checkpoint_exists(checkpoint_prefix):
        detect.resolve(checkpoint_prefix)  # says what it looked for
        raise NotFoundError(None, None, f"{checkpoint_prefix}: no such checkpoint")
    with _state_lock:
        if state_file.read_state(directory, latest_filename) is None:
            latest.rebuild_checkpoint_state(directory, latest_filename)
        state = state_file.read_state(directory, latest_filename) or CheckpointState()
        times = dict(zip(state.all_model_checkpoint_paths, state.all_model_checkpoint_timestamps))
        known = state.records.pop(name, None)
        if known is None:
            when = times.get(name) or storage.modified(detect.resolve(checkpoint_prefix))
            known = Record(when)
        if pinned or known.preserved or name not in state.all_model_checkpoint_paths:
            state.records[name] = replace(known, pinned=pinned)
        state_file.write_state(directory, state, latest_filename)


def prune_checkpoints(
    checkpoint_dir: str,
    rules: Sequence[retention.Rule],
    *,
    latest_filename: str | None = None,
    dry_run: bool = False,
) -> retention.Choice:
    """Delete the checkpoints of a directory that no rule keeps, and return which went and which stay, each with the reason.

    The latest one, pinned ones, and those that keep_checkpoint_every_n_hours kept for good always stay. Considered is
    what the state file knows, not what only lies there: nothing is deleted that a Saver did not write. The state
    file is written first. `dry_run` changes nothing. Raises ValueError without rules, NotFoundError when there is no
    state file, DataLossError when it is damaged, OpError when a file cannot be deleted.
    """
    if not rules:
        raise ValueError("prune_checkpoints needs at least one rule, such as LatestN(5)")
    with _state_lock:
        state = state_file.get_checkpoint_state(checkpoint_dir, latest_filename)
        if state is None:
            raise NotFoundError(
                None,
                None,
                f"{checkpoint_dir}: there is no state file, so nobody knows which checkpoints a Saver wrote; "
                "`ckpt latest --rebuild` writes one that lists all of them",
            )
        known = _known(checkpoint_dir, state)
        choice = retention.choose(known, [*rules, retention.Newest(state.model_checkpoint_path)])
        if choice.delete and not dry_run:
            kept = [saved for saved in known if saved.name in choice.keep]
            _write_pruned(checkpoint_dir, state, kept, latest_filename)
    if not dry_run:
        for name, reason in choice.delete.items():
            remove_checkpoint(name)
            log.info("deleted checkpoint %s: %s", name, reason)
    return choice


def _known(directory: str, state: CheckpointState) -> list[Saved]:
    """What a state file knows and what lies in its directory, oldest first."""
    found = []
    for path, when in _times(state):
        if storage.split(path)[0].rstrip("/") != str(directory).rstrip("/") or not _is_ours(path):
            continue
        record = state.records.get(path, Record(when))
        described = validity.described(path)
        flags = {"pinned": record.pinned, "preserved": record.preserved}
        found.append(replace(described, time=when or described.time, **flags))
    return sorted(found, key=lambda saved: saved.time)


def _write_pruned(
    directory: str, state: CheckpointState, kept: Sequence[Saved], latest_filename: str | None
) -> None:
    names: Mapping[str, Saved] = {saved.name: saved for saved in kept}
    listed = [path for path in state.all_model_checkpoint_paths if path in names]
    new = state_file.generate_checkpoint_state_proto(
        directory,
        state.model_checkpoint_path,
        listed,
        [names[path].time for path in listed],
        state.last_preserved_timestamp,
    )
    new.records = {
        storage.split(path)[1]: record for path, record in state.records.items() if path in names
    }
    state_file.write_state(directory, new, latest_filename)


def remove_checkpoint(
    checkpoint_prefix: str, checkpoint_format_version: int = 2, meta_graph_suffix: str = "meta"
) -> None:
    """Delete the files of one checkpoint: the values first, then the MetaGraph. Files that are not there are no error.

    Raises OpError when a file cannot be deleted.
    """
    storage.remove_file(f"{checkpoint_prefix}.h5")
    storage.remove_file(f"{checkpoint_prefix}.{meta_graph_suffix}")
