"""The checkpoints that a Saver remembers: the state file that lists them, and deleting the old ones."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ckpt.core import storage
from ckpt.formats import detect, shards
from ckpt.saver import retention, state_file
from ckpt.saver.retention import Policy, Saved


class History:
    """What a Saver wrote and still keeps, oldest first. `policy` says what is kept."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.remembered: tuple[Saved, ...] = ()
        self._preserve_after = policy.first_preserve_after(time.time())
        self._to_delete: list[str] = []  # those that could not be deleted are tried again

    def recover(self, prefixes: Sequence[str]) -> None:
        """Remember those of these prefixes that exist, with the times of their files."""
        found = [Saved(p, _modified(p)) for p in prefixes if state_file.checkpoint_exists(p)]
        self.remembered = tuple(sorted(found, key=lambda saved: saved.time))

    def commit(
        self,
        directory: str,
        prefix: str,
        *,
        latest_filename: str,
        meta_graph_suffix: str,
        durable: bool = True,
    ) -> None:
        """Make `prefix` the latest checkpoint of the state file, then delete those that are no longer kept."""
        saved = Saved(prefix, time.time())
        decision = retention.after_save(self.remembered, saved, self.policy, self._preserve_after)
        remaining = decision.remaining or (saved,)
        state_file.update_checkpoint_state(
            directory,
            prefix,
            all_model_checkpoint_paths=[kept.name for kept in remaining],
            latest_filename=latest_filename,
            all_model_checkpoint_timestamps=[kept.time for kept in remaining],
            durable=durable,
        )
        self.remembered = decision.remaining
        self._preserve_after = decision.preserve_after
        self._to_delete = [old for old in self._to_delete if old != prefix] + list(decision.delete)
        while self._to_delete:
            remove_checkpoint(self._to_delete[0], meta_graph_suffix=meta_graph_suffix)
            del self._to_delete[0]


def _modified(prefix: str) -> float:
    return storage.modified(detect.resolve(prefix))


def remove_checkpoint(
    checkpoint_prefix: str, checkpoint_format_version: int = 2, meta_graph_suffix: str = "meta"
) -> None:
    """Delete the files of one checkpoint: the values first, then the MetaGraph. Files that are not there are no error.

    Raises OpError when a file cannot be deleted.
    """
    shards.remove_checkpoint_files(checkpoint_prefix)
    storage.remove_file(f"{checkpoint_prefix}.{meta_graph_suffix}")
