"""The newest checkpoint of a directory that can be restored, and why newer ones cannot; the state file made anew.

Must not know Savers or sessions. `validity` says what a whole checkpoint is.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from ckpt.core import storage
from ckpt.core.errors import DataLossError, FailedPreconditionError, NotFoundError, OpError
from ckpt.core.system import StrPath
from ckpt.saver import state_file, validity
from ckpt.saver.retention import Saved
from ckpt.saver.state_text import CheckpointState, Record
from ckpt.saver.validity import Problem

log = logging.getLogger("ckpt")


@dataclass(frozen=True, slots=True)
class Skipped:
    """A newer checkpoint that was passed over, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Latest:
    """What `find_latest` found: the prefix (None when nothing can be restored), its step where it has one, the newer
    ones that were passed over, newest first, and what else the user should know.
    """

    path: str | None
    step: int | None = None
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()


def latest_checkpoint(
    checkpoint_dir: StrPath,
    latest_filename: str | None = None,
    *,
    valid_only: bool | Literal["quick"] = False,
) -> str | None:
    """The prefix of the newest checkpoint in a directory that still has its files; None when there is none.

    With `valid_only` it is the newest that is whole, as `find_latest` tells: True reads every byte of it, "quick" its
    header and index. Each one passed over is logged (logger "ckpt") with the reason, and so is None where checkpoints lie
    there that no state file lists: that is no empty directory. Raises DataLossError when the
    state file is damaged and `valid_only` is False: then nobody knows which is the newest; `rebuild_checkpoint_state`
    writes it anew. ValueError for another `valid_only`.
    """
    if valid_only not in (None, False, True, "quick"):
        raise ValueError(f"valid_only must be False, True or 'quick', not {valid_only!r}")
    if valid_only:
        every_byte = valid_only != "quick"
        return _told(find_latest(checkpoint_dir, latest_filename, every_byte=every_byte))
    path = newest_listed(checkpoint_dir, latest_filename)
    if path is None and _prefixes_in(checkpoint_dir):
        log.warning("%s: %s", checkpoint_dir, why_none(checkpoint_dir, latest_filename))
    return path


def newest_listed(directory: StrPath, latest_filename: str | None = None) -> str | None:
    """`latest_checkpoint` for those who say themselves that there is none, and why (`why_none`)."""
    return _told(find_listed(directory, latest_filename))


def _told(found: Latest) -> str | None:
    for note in found.notes:
        log.warning("%s", note)
    for skipped in found.skipped:
        log.warning("passing over checkpoint %s: %s", skipped.path, skipped.reason)
    return found.path


def why_none(checkpoint_dir: StrPath, latest_filename: str | None = None) -> str:
    """Why a directory has no latest checkpoint, and what to do where some lie there all the same."""
    path = storage.joined(checkpoint_dir, latest_filename or state_file.DEFAULT_NAME)
    state = (
        "its state file lists only lost ones" if storage.exists(path) else "it has no state file"
    )
    names = [storage.split(saved.name)[1] for saved in checkpoints_in(checkpoint_dir)]
    if not names:
        return f"no checkpoint in this directory: {state}, and no checkpoint lies there"
    more = f" and {len(names) - 3} older" if len(names) > 3 else ""
    return (
        f"no latest checkpoint: {state}, but {', '.join(names[:-4:-1])}{more} lie there; "
        f"name one, or let `ckpt latest --rebuild {checkpoint_dir}` write a state file"
    )


def find_latest(
    checkpoint_dir: StrPath, latest_filename: str | None = None, *, every_byte: bool = True
) -> Latest:
    """The newest whole checkpoint of a directory, with the reason for each newer one that is not.

    Order and candidates are those of the state file; where it cannot be read, or where nothing that it lists is left,
    those of the directory. Where only MetaGraph files (`.meta`) are lost, the values still count: such a checkpoint is
    taken when no whole one is left. `every_byte` False reads headers and indexes only. Raises OpError when the
    directory cannot be read.
    """
    directory = os.fspath(checkpoint_dir)
    notes: list[str] = []
    listed = _listed(directory, latest_filename, notes)

    def candidates() -> Iterator[str]:
        yield from listed
        others = [saved.name for saved in checkpoints_in(directory) if saved.name not in listed]
        if others and listed:
            notes.append(f"nothing that the state file of {directory} lists is whole; see the rest")
        yield from reversed(others)

    return _first_whole(
        candidates(), lambda path: validity.problem_of(path, every_byte=every_byte), notes
    )


def find_listed(directory: StrPath, latest_filename: str | None = None) -> Latest:
    """The newest checkpoint that the state file lists and whose files are there. Raises what `latest_checkpoint` raises."""
    state = state_file.get_checkpoint_state(directory, latest_filename)

    def lost(path: str) -> Problem | None:
        if state_file.checkpoint_exists(path):
            return None
        return Problem("its files are gone", keeps_values=False)

    return _first_whole(_newest_first(state) if state else [], lost, [])


def _first_whole(
    candidates: Iterable[str], problem_of: Callable[[str], Problem | None], notes: list[str]
) -> Latest:
    """The first without a problem; else the first whose values are whole."""
    skipped: list[Skipped] = []
    restorable: tuple[str, Problem, int] | None = None
    for path in candidates:
        problem = problem_of(path)
        if problem is None:
            return Latest(path, validity.step_of(path), tuple(skipped), tuple(notes))
        if problem.keeps_values and restorable is None:
            restorable = path, problem, len(skipped)
        skipped.append(Skipped(path, problem.reason))
    if restorable is None:
        return Latest(None, None, tuple(skipped), tuple(notes))
    path, problem, newer = restorable
    notes.append(f"{path}: {problem.reason}; its values are whole")
    return Latest(path, validity.step_of(path), tuple(skipped[:newer]), tuple(notes))


def _listed(directory: str, latest_filename: str | None, notes: list[str]) -> list[str]:
    """What the state file lists, newest first; what the directory holds, where there is no state to read."""
    try:
        state = state_file.get_checkpoint_state(directory, latest_filename)
    except OpError as error:
        notes.append(f"{error}\nThe order is taken from the directory")
        return [saved.name for saved in reversed(checkpoints_in(directory))]
    return _newest_first(state) if state else []


def _newest_first(state: CheckpointState) -> list[str]:
    return list(
        dict.fromkeys([state.model_checkpoint_path, *reversed(state.all_model_checkpoint_paths)])
    )


def checkpoints_in(directory: StrPath) -> list[Saved]:
    """Every checkpoint that lies in a directory, oldest first, with what its file says; [] for a missing directory.

    The order is that of the steps where all have one, else that of the files' times. Files that cannot be opened are
    listed too, without metrics. Raises OpError when the directory cannot be read.
    """
    found = [
        validity.described(storage.joined(directory, prefix)) for prefix in _prefixes_in(directory)
    ]
    if all(saved.step is not None for saved in found):
        return sorted(found, key=lambda saved: (saved.step or 0, saved.time))
    return sorted(found, key=lambda saved: saved.time)


def _prefixes_in(directory: StrPath) -> list[str]:
    try:
        return validity.prefixes_among(storage.names_in(directory))
    except NotFoundError:
        return []


def rebuild_checkpoint_state(
    checkpoint_dir: StrPath, latest_filename: str | None = None, *, dry_run: bool = False
) -> CheckpointState | None:
    """Write the state file anew from what lies in the directory, and return it, paths joined; None without checkpoints.

    The newest is the one of the highest step where all have one, else the one written last. Checkpoints that cannot
    be opened are left out, with a warning; nothing is deleted. What an old state file that can be read says about pins is
    kept. Raises OpError when the directory cannot be read or the file not be written.
    """
    directory = os.fspath(checkpoint_dir)
    found = []
    for saved in checkpoints_in(directory):
        problem = validity.problem_of(saved.name, every_byte=False)
        if problem is None or problem.keeps_values:
            found.append(saved)
        else:
            log.warning("leaving checkpoint %s out: %s", saved.name, problem.reason)
    if not found:
        return None
    if [one.name for one in found] != [s.name for s in sorted(found, key=lambda one: one.time)]:
        log.warning("%s: files were written in another order than their steps", directory)
    state = state_file.state_in(
        directory,
        found[-1].name,
        [saved.name for saved in found],
        [saved.time for saved in found],
    )
    state.records = _records(directory, latest_filename)
    if not dry_run:
        state_file.write_state(directory, state, latest_filename)
        log.info("%s: state file written anew, latest is %s", directory, found[-1].name)
    return state_file.joined_to(directory, state, latest_filename)


def _records(directory: str, latest_filename: str | None) -> dict[str, Record]:
    try:
        state = state_file.read_state(directory, latest_filename)
    except (DataLossError, FailedPreconditionError):  # another says nothing of what is pinned
        return {}
    return state.records if state else {}
