"""Which checkpoints to keep: max_to_keep and keep_checkpoint_every_n_hours as pure decisions on a list. No I/O.

Source of the meaning: the documentation of tf.compat.v1.train.Saver.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint and when it was written, in seconds since the epoch."""

    name: str
    time: float


@dataclass(frozen=True, slots=True)
class Policy:
    """How many recent checkpoints to keep, and how often to keep one for good.

    `max_to_keep` 0 or None keeps all, and then none is remembered.
    """

    max_to_keep: int | None = 5
    keep_every_n_hours: float = 10000.0

    def first_preserve_after(self, now: float) -> float:
        """From when on a checkpoint is kept for good, for a Saver that is built `now`."""
        return now + self.keep_every_n_hours * 3600


@dataclass(frozen=True, slots=True)
class Decision:
    """What remains remembered, oldest first; what to delete; and from when on one is kept for good again."""

    remaining: tuple[Saved, ...]
    delete: tuple[str, ...]
    preserve_after: float
    preserved: tuple[str, ...] = ()


def after_save(
    remembered: tuple[Saved, ...], new: Saved, policy: Policy, preserve_after: float
) -> Decision:
    """What follows from saving `new`. Saving a remembered name again makes it the newest and deletes nothing."""
    if not policy.max_to_keep or policy.max_to_keep < 0:
        return Decision((), (), preserve_after)
    remaining = [saved for saved in remembered if saved.name != new.name] + [new]
    delete: list[str] = []
    preserved: list[str] = []
    while len(remaining) > policy.max_to_keep:
        oldest = remaining.pop(0)
        if oldest.time > preserve_after:
            preserved.append(oldest.name)
            preserve_after += policy.keep_every_n_hours * 3600
        else:
            delete.append(oldest.name)
    return Decision(tuple(remaining), tuple(delete), preserve_after, tuple(preserved))
