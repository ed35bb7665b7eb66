"""The names that files bear until they are whole, and the end of those whose writers died. Must not know any format."""

from __future__ import annotations

import os
import re
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ckpt.core import system
from ckpt.core.local_files import names_in
from ckpt.core.system import StrPath, again

TEMPORARY = re.compile(r"\.ckpt-tmp-([0-9a-f]{8})-([0-9]{1,10})-([0-9a-f]{16})")
_ABANDONED_AFTER = 24 * 3600  # seconds; for temporaries of writers whose process we cannot look up

own: set[str] = set()
"""The temporaries that this process is writing."""


def sweep(directory: StrPath) -> None:
    """Remove temporaries in `directory` whose writer is dead, after the files whose names hold their tokens.

    Never raises: it is only housekeeping.
    """
    with suppress(OSError):
        names = again(system.files.listdir, directory)
        for name in names:
            match = TEMPORARY.fullmatch(name)
            if match:
                path = os.path.join(directory, name)
                with suppress(OSError):
                    if is_abandoned(match, path, _written):
                        for other in names:
                            if f".{match[3]}-" in other:
                                system.files.unlink(os.path.join(directory, other))
                        system.files.unlink(path)


def new_token() -> str:
    """Sixteen hexadecimal digits that name one save."""
    return os.urandom(8).hex()


def temporary_name(token: str) -> str:
    """The name that a file of this process bears until it is whole."""
    return f".ckpt-tmp-{here()}-{os.getpid()}-{token}"


@contextmanager
def owned(name: str) -> Iterator[None]:
    """While the block runs, this process writes the temporary `name`: no sweep of its own takes it away."""
    own.add(name)
    try:
        yield
    finally:
        own.discard(name)


def is_abandoned(temporary: re.Match[str], path: str, modified: Callable[[str], float]) -> bool:
    """Whether the writer of a temporary (a match of TEMPORARY) is dead; `modified(path)` says when it last wrote."""
    name, where, pid = temporary[0], temporary[1], int(temporary[2])
    if name in own:
        return False
    if where != here():
        return bool(time.time() - modified(path) > _ABANDONED_AFTER)
    if pid == os.getpid():
        return True  # not one of ours: removing it had failed, or its writer had our number
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def _written(path: str) -> float:
    return float(system.files.lstat(path).st_mtime)


def here() -> str:
    """A tag of the space that process ids belong to: this machine, this container."""
    try:
        space = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        space = 0
    return f"{zlib.crc32(f'{os.uname().nodename}:{space}'.encode()):08x}"


def tokens_in(directory: StrPath) -> set[str]:
    """The tokens of the temporaries that lie in a directory: the saves that are under way, or were cut short."""
    found = (TEMPORARY.fullmatch(name) for name in names_in(directory))
    return {match[3] for match in found if match}
