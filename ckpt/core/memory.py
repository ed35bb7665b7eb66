"""How this process keeps the memory that it frees. Must not know whose memory it is."""

from __future__ import annotations

from functools import cache

import numpy as np

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
