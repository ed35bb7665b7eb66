"""Pinning and deleting checkpoints of a directory by what its state file knows. Must not know Savers."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ckpt.core import storage
from ckpt.core.errors import DataLossError, InvalidArgumentError, NotFoundError, SelectionError
from ckpt.core.system import StrPath
from ckpt.formats import detect, shards
from ckpt.formats.missing import MissingCheckpointError
from ckpt.saver import debug_info, latest, retention, state_file, validity
from ckpt.saver.retention import Saved, oldest_first
from ckpt.saver.state_text import CheckpointState, Record

log = logging.getLogger("ckpt")

CUT_SHORT = "its deletion was cut short"


def pin_checkpoint(
    checkpoint_prefix: StrPath, *, pinned: bool = True, latest_filename: str | None = None
) -> None:
    """Note in the state file of its directory that no Saver and no `ckpt prune` may delete this checkpoint, or no longer.

    It may be named by one of its files too. Raises NotFoundError when there is no such checkpoint, InvalidArgumentError
    or DataLossError for a file that is none of ours and that nothing would ever delete, DataLossError when the state file
    is damaged, or when there is none and no checkpoint whole enough to write one.
    """
    prefix = validity.prefix_of_file(os.fspath(checkpoint_prefix))
    directory, name = storage.split(prefix)[0], state_file.listed_name(prefix)
    if not state_file.checkpoint_exists(prefix):
        raise MissingCheckpointError(prefix, [prefix])
    if pinned and not validity.is_ours(prefix):
        other = detect.recognise(detect.resolve(prefix))  # raises what an unknown file is
        raise InvalidArgumentError(
            None,
            None,
            f"{prefix}: is {other.name}, which ckpt never deletes: there is nothing to pin",
        )
    with state_file.lock:
        if (
            state_file.read_state(directory, latest_filename) is None
            and latest.rebuild_checkpoint_state(directory, latest_filename) is None
        ):
            raise DataLossError(
                None,
                None,
                f"{prefix}: there is no state file to note the pin in, and no checkpoint whole enough for a new one to "
                "name; copy it to another directory to keep it",
            )
        state = state_file.read_state(directory, latest_filename) or CheckpointState()
        times = dict(zip(state.all_model_checkpoint_paths, state.all_model_checkpoint_timestamps))
        known = state.records.pop(name, None)
        if known is None:
            when = times.get(name) or storage.modified(detect.resolve(prefix))
            known = Record(when)
        if pinned or known.preserved or name not in state.all_model_checkpoint_paths:
            state.records[name] = replace(known, pinned=pinned, deleted="")
        state_file.write_state(directory, state, latest_filename)


def prune_checkpoints(
    checkpoint_dir: StrPath,
    rules: Sequence[retention.Rule],
    *,
    latest_filename: str | None = None,
    dry_run: bool = False,
) -> retention.Choice:
    """Delete the checkpoints of a directory that no rule keeps, and return which went and which stay, each with the reason.

    The latest one, pinned ones, and those that keep_checkpoint_every_n_hours kept for good always stay. Considered is
    what the state file knows, not what only lies there: nothing is deleted that a Saver did not write. The state
    file is written first. `dry_run` changes nothing. Raises ValueError without rules, SelectionError (one too) for a metric
    that no checkpoint has, since all would go that it should keep, TypeError for what is no rule, NotFoundError when there is no state file, DataLossError when it is damaged, OpError when a file cannot be deleted.
    """
    rules = retention.checked_rules(() if rules is None else rules)
    if not rules:
        raise ValueError("prune_checkpoints needs at least one rule, such as LatestN(5)")
    with state_file.lock:
        state = state_file.get_checkpoint_state(checkpoint_dir, latest_filename)
        if state is None:
            raise NotFoundError(
                None,
                None,
                f"{checkpoint_dir}: there is no state file, so nobody knows which checkpoints a Saver wrote; "
                "`ckpt latest --rebuild` writes one that lists all of them",
            )
        known = _known(checkpoint_dir, state)
        _check_metrics(checkpoint_dir, rules, known)
        choice = retention.choose(known, [*rules, retention.Newest(state.model_checkpoint_path)])
        if dry_run:
            return choice
        goes = {
            path: record for path, record in state.records.items() if is_cut_short(path, record)
        }
        for saved in known:
            if saved.name in choice.delete:
                goes[saved.name] = _doomed(saved)
        if goes:
            _write_pruned(checkpoint_dir, state, known, goes, latest_filename)
    for name, record in goes.items():
        remove_checkpoint(name, meta_graph_suffix=record.deleted)
        log.info("deleted checkpoint %s: %s", name, choice.delete.get(name, CUT_SHORT))
    if goes:
        _forget(checkpoint_dir, goes, latest_filename)
    return choice


def _check_metrics(
    directory: StrPath, rules: Iterable[retention.Rule], known: Sequence[Saved]
) -> None:
    """Raise SelectionError for rules by metrics of which no checkpoint has a number."""
    lacking = [r.metric for r in rules if isinstance(r, retention.BestN) and not r.kept(known)]
    if lacking and known:
        there = ", ".join(sorted(set().union(*(saved.metrics for saved in known)))) or "none"
        raise SelectionError(
            f"{directory}: no checkpoint has a number for the metric {', '.join(map(repr, lacking))}; nothing was deleted. "
            f"Metrics that were saved: {there}"
        )


def _doomed(saved: Saved) -> Record:
    return Record(saved.time, deleted=validity.meta_suffix_of(saved.name) or "meta")


def _known(directory: StrPath, state: CheckpointState) -> list[Saved]:
    """What a state file knows and what lies in its directory, oldest first."""
    listed = set(state.all_model_checkpoint_paths)
    found: tuple[list[Saved], list[Saved]] = ([], [])
    for path, when in state_file.times_of(state):
        if storage.split(path)[0].rstrip("/") != os.fspath(directory).rstrip(
            "/"
        ) or not validity.is_ours(path):
            continue
        record = state.records.get(path, Record(when))
        described = validity.described(path, for_deletion=True)
        found[path in listed].append(
            replace(
                described,
                time=when or described.time,
                pinned=record.pinned,
                preserved=record.preserved,
            )
        )
    return oldest_first(*found)


def _write_pruned(
    directory: StrPath,
    state: CheckpointState,
    known: Sequence[Saved],
    goes: Mapping[str, Record],
    latest_filename: str | None,
) -> None:
    """List what stays. What goes is noted, so that a process that dies before it is gone leaves that to the next."""
    times = {saved.name: saved.time for saved in known}
    listed = [p for p in state.all_model_checkpoint_paths if p in times and p not in goes]
    new = state_file.state_in(
        directory,
        state.model_checkpoint_path,
        listed,
        [times[path] for path in listed],
        state.last_preserved_timestamp,
    )
    records = {path: record for path, record in state.records.items() if path in times}
    new.records = {state_file.listed_name(path): r for path, r in {**records, **goes}.items()}
    state_file.write_state(directory, new, latest_filename)


def _forget(directory: StrPath, gone: Iterable[str], latest_filename: str | None) -> None:
    """Take what is deleted out of the state file as it is now."""
    names = set(map(state_file.listed_name, gone))
    with state_file.lock:
        state = state_file.read_state(directory, latest_filename)
        if state is not None:
            state.records = {n: r for n, r in state.records.items() if n not in names}
            state_file.write_state(directory, state, latest_filename)


def remove_checkpoint(
    checkpoint_prefix: str, checkpoint_format_version: int = 2, meta_graph_suffix: str = "meta"
) -> None:
    """Delete the files of one checkpoint: the values first, then the MetaGraph and what tells where its nodes were made.

    Files that are not there are no error; the version is of no account, since there is one format. Raises OpError when
    a file cannot be deleted.
    """
    shards.remove_checkpoint_files(checkpoint_prefix)
    storage.remove_file(f"{checkpoint_prefix}.{meta_graph_suffix}")
    storage.remove_file(f"{checkpoint_prefix}{debug_info.SUFFIX}")


def is_cut_short(checkpoint_prefix: str, record: Record) -> bool:
    """True when a checkpoint was to be deleted, and its values are gone but not the files that lay beside them.

    Who noted it died meanwhile. Raises OpError where nobody can tell.
    """
    if not record.deleted or state_file.checkpoint_exists(checkpoint_prefix):
        return False
    beside = (f".{record.deleted}", debug_info.SUFFIX)
    return any(storage.exists(checkpoint_prefix + suffix) for suffix in beside)
