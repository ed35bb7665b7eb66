"""Calls of the operating system: repeated after signals, what they raise typed. Must not know what is in a file.

Every file operation is looked up in `files` at the moment of the call, so that a test can make any one of them fail.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeVar

from ckpt.core.errors import FailedPreconditionError, from_os_error

Buffer = bytes | bytearray | memoryview
StrPath = str | os.PathLike[str]
T = TypeVar("T")

files: Any = os  # the seam: tests put an object here that fails at operation N


def again(call: Callable[..., T], *args: Any) -> T:
    """Call until no signal interrupts."""
    while True:
        try:
            return call(*args)
        except InterruptedError:
            continue


class typed:
    """`with typed(path, doing)`: what the system raises in the block becomes an OpError that names both.

    A class, not a generator: a read of a slice passes a dozen of them.
    """

    __slots__ = ("_doing", "_path")

    def __init__(self, path: StrPath, doing: str) -> None:
        self._path = path
        self._doing = doing

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, OSError):
            raise from_os_error(error, os.fspath(self._path), self._doing) from error
        if isinstance(error, ValueError):  # a NUL in a path
            found = f"{self._path!r}: {self._doing} failed: {error}"
            raise FailedPreconditionError(None, None, found) from error


def close(fd: int) -> None:
    """Close a descriptor, once."""
    # After EINTR the descriptor is closed already on Linux; closing again could hit another thread's file.
    with suppress(InterruptedError):
        files.close(fd)
