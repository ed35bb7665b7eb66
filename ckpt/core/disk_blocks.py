"""Room on a disk, taken before it is written to. Must not know what is written."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from functools import cache

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EINTR}


def allocate(fd: int, length: int) -> None:
    """Have the file be `length` bytes long, of zeros, with its room on the disk taken.

    Writes past the page cache then need not wait for each other while the file grows. Nothing happens where system or
    file system know no fallocate(2): `os.posix_fallocate` would write the zeros there. Raises OSError where room is short.
    """
    call = _fallocate()
    if call is None or not call(fd, 0, 0, length):
        return
    import ctypes

    code = ctypes.get_errno()
    if code in _NO_ROOM:
        raise OSError(code, os.strerror(code))


@cache
def _fallocate() -> Callable[[int, int, int, int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    found = getattr(library, "fallocate64", None) or getattr(library, "fallocate", None)
    if found is not None:
        found.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    return found
