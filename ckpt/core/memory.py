"""Memory: how large arrays get theirs, what a view keeps alive, what the process keeps. Must not know whose it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from ckpt.core.threads import cpu_count, side_by_side

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


_HUGE = 2 << 20  # bytes of a huge page
_WORTH = 2 * _HUGE  # from so many bytes on numpy asks for huge pages, and so does this
_TAKERS = 4  # threads that take small pages at once, at most
_SLOW = 1e-3  # seconds of a processor for a huge page: longer than for as many bytes in small ones
_PATIENCE = 2.0  # seconds until huge pages are tried again
_HUGE_PAGES, _NO_HUGE_PAGES, _POPULATE = (
    14,
    15,
    23,
)  # of madvise(2); the latter is known to Linux 5.14 and later


class _HugePages:
    """Whether the system has them at hand. A guest whose host has taken back free memory gets them one by one from there."""

    slow_until = 0.0


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
    """`np.empty` for an array that is to be filled at once, whose memory is taken now, in huge pages where these come fast.

    Page by page, new memory for a GiB takes 0.4 s of a processor, in huge pages 0.05 s; but 2 s where a virtual machine's
    host had taken back what was free. Then the rest comes in small pages, which are more likely to be there still.
    """
    array: np.ndarray[Any, Any] = np.empty(shape, dtype)
    if array.nbytes >= _WORTH and (advise := _madvise()) is not None:
        _take(advise, array.__array_interface__["data"][0], array.nbytes)
    return array


def _take(advise: Callable[[int, int, int], int], start: int, length: int) -> None:
    end = (start + length) // _HUGE * _HUGE
    first = -(-start // _HUGE) * _HUGE
    for at in range(first, end, _HUGE):
        if time.monotonic() < _HugePages.slow_until:
            _take_small(advise, at, end)
            return
        begun = time.thread_time()
        if advise(at, _HUGE, _POPULATE):
            return  # an older system
        if time.thread_time() - begun > _SLOW:
            _HugePages.slow_until = time.monotonic() + _PATIENCE


def _take_small(advise: Callable[[int, int, int], int], start: int, end: int) -> None:
    """Take memory in small pages, by several threads at once; the system may make huge ones of them when it has time."""
    advise(start, end - start, _NO_HUGE_PAGES)
    share = -(-(end - start) // _HUGE // min(cpu_count(), _TAKERS)) * _HUGE
    shares = [(at, min(share, end - at)) for at in range(start, end, share)]
    side_by_side([partial(advise, *own, _POPULATE) for own in shares])
    advise(start, end - start, _HUGE_PAGES)


@cache
def _madvise() -> Callable[[int, int, int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    advise = ctypes.CDLL(None).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return advise


def own_part(view: Any) -> Any:
    """A part of an array: the view itself, or a copy where the view would keep much more memory alive than it shows."""
    base = getattr(view, "base", None)  # a string out of an array of strings has none
    if type(base) is np.ndarray:
        hidden = base.nbytes - view.nbytes
        if hidden > SPARED_BYTES and hidden * 10 > view.nbytes:
            return view.copy()
    return view
