"""Which memory stays: what a view keeps alive, and what the process keeps of what it frees. Must not know whose it is."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

SPARED_BYTES = 1 << 14
"""So little is not worth a copy."""

KEPT_BYTES = (32 << 20) - (1 << 16)
"""Just under the 32 MiB that glibc allows its limits to grow to."""


@cache
def keep_freed_memory() -> None:
    """Let glibc keep up to 64 MiB of what a run frees for the next run. Once per process; other libraries ignore it.

    A step frees all its arrays at its end. With glibc's first limits each step gives their memory back to the
    system, and the next one takes it again, page by page: a third of the time of an LSTM's training step.
    The limits rise to the size of the largest mapped block that was freed (mallopt(3), M_MMAP_THRESHOLD), so one
    block is mapped and freed here. It is never written: it costs no memory.
    """
    np.empty(KEPT_BYTES, np.uint8)


def own_part(view: Any) -> Any:
    """A part of an array: the view itself, or a copy where the view would keep much more memory alive than it shows."""
    base = getattr(view, "base", None)  # a string out of an array of strings has none
    if type(base) is np.ndarray:
        hidden = base.nbytes - view.nbytes
        if hidden > SPARED_BYTES and hidden * 10 > view.nbytes:
            return view.copy()
    return view
