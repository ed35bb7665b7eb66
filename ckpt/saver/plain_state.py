"""The latest checkpoint of a directory by a state file exactly as ckpt writes one. Imports next to nothing.

Whatever is unusual, be it damage, is left to `state_file`, which reads all forms and explains what is wrong; a test holds
both equal.
"""

from __future__ import annotations

import os
from stat import S_ISREG

from ckpt.core.checksum import crc32c

SEALED = "  # sealed by the last line; remove all comments to edit"
_SEAL = b"# crc32c: "
_LARGEST = 1 << 20  # bytes
_FIRST = 'model_checkpoint_path: "'
_LISTED = 'all_model_checkpoint_paths: "'
_NUMBERS = ("all_model_checkpoint_timestamps: ", "last_preserved_timestamp: ")


def latest_in(directory: str) -> str | None:
    """The prefix of the latest checkpoint, whose file is there; None when that takes a closer look."""
    try:
        name = _first(_content(os.path.join(directory, "checkpoint")))
    except (OSError, ValueError):
        return None
    prefix = os.path.join(directory, name)
    is_alone = not os.path.lexists(prefix) and not os.path.lexists(f"{prefix}.index")
    return prefix if is_alone and os.path.isfile(f"{prefix}.h5") else None


def _content(path: str) -> bytes:
    """Raises OSError or ValueError for what is no regular file, without waiting for it."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not S_ISREG(os.fstat(fd).st_mode):
            raise ValueError("no file")
        return os.read(fd, _LARGEST)
    finally:
        os.close(fd)


def _first(data: bytes) -> str:
    """The base name that a sealed state file names first. Raises ValueError."""
    body, mark, seal = data.rpartition(_SEAL)
    if not mark or seal != b"%08x\n" % crc32c(body):
        raise ValueError("not sealed")
    first, *rest = body.decode("ascii").split("\n")
    if not first.endswith(SEALED) or rest[-1:] != [""]:
        raise ValueError("not written by ckpt")
    for line in rest[:-1]:
        if line.startswith(_LISTED):
            _name(line, _LISTED)
        else:
            _check_number(line)
    return _name(first[: -len(SEALED)], _FIRST)


def _check_number(line: str) -> None:
    for known in _NUMBERS:
        if line.startswith(known):
            float(line.removeprefix(known))
            return
    raise ValueError("another line")


def _name(line: str, begins: str) -> str:
    """The name in a line, when it needs no unquoting and is a base name. Raises ValueError."""
    name = line[len(begins) : -1]
    is_plain = name.isprintable() and not any(mark in name for mark in "\\\"'/")
    if not line.startswith(begins) or line[-1:] != '"' or not is_plain or name in ("", ".", ".."):
        raise ValueError("not a plain name")
    return name
