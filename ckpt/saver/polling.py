"""Waiting for checkpoints that another program writes: what evaluators loop over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from ckpt.core.system import StrPath
from ckpt.saver.latest import find_listed


def wait_for_new_checkpoint(
    checkpoint_dir: StrPath,
    last_checkpoint: str | None = None,
    seconds_to_sleep: float = 1,
    timeout: float | None = None,
) -> str | None:
    """The newest checkpoint of a directory, once it is another than `last_checkpoint`.

    Looks every `seconds_to_sleep` seconds; None when there is none after `timeout` seconds (None waits for ever).
    """
    stop = None if timeout is None else time.monotonic() + timeout
    while True:
        found = find_listed(checkpoint_dir).path  # which says nothing, however often it is asked
        if found is not None and found != last_checkpoint:
            return found
        if stop is not None and time.monotonic() + seconds_to_sleep > stop:
            return None
        time.sleep(seconds_to_sleep)


def checkpoints_iterator(
    checkpoint_dir: StrPath,
    min_interval_secs: float = 0,
    timeout: float | None = None,
    timeout_fn: Callable[[], bool] | None = None,
) -> Iterator[str]:
    """Each new checkpoint of a directory, not more often than every `min_interval_secs` seconds.

    Those that are replaced by newer ones meanwhile are passed over. After `timeout` seconds without a new one the
    iteration ends, unless `timeout_fn` is given and returns False.
    """
    last: str | None = None
    while True:
        found = wait_for_new_checkpoint(checkpoint_dir, last, timeout=timeout)
        if found is None:
            if timeout_fn is None or timeout_fn():
                return
            continue
        start = time.monotonic()
        last = found
        yield found
        time.sleep(max(0.0, start + min_interval_secs - time.monotonic()))
