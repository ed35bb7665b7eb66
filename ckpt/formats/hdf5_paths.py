"""Where in the HDF5 file each variable lies: a pure function of the names. Knows no HDF5 library.

A variable lies at its own path unless HDF5 cannot hold that: see docs/formats/ckpt-hdf5.md, "Paths".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

PRIVATE = ".ckpt"  # the group that holds what is not a variable
VALUE = ".value"  # the dataset of a variable that is also a scope
_ESCAPED = ".%"
_MAX_COMPONENT = 255  # bytes
_MAX_PATH = 4096  # bytes
_MAX_DEPTH = 64


def dataset_paths(names: Iterable[str]) -> dict[str, str]:
    """The path of each name's dataset, without a leading slash; different names get different paths."""
    names = list(names)
    plain = {name: _encoded(name) for name in names}
    groups = set()
    for path in plain.values():
        while "/" in path:
            path = path.rpartition("/")[0]
            if path in groups:
                break
            groups.add(path)
    return {name: f"{path}/{VALUE}" if path in groups else path for name, path in plain.items()}


def _encoded(name: str) -> str:
    data = name.encode()
    parts = name.split("/")
    if (
        len(data) > _MAX_PATH
        or len(parts) > _MAX_DEPTH
        or any(len(part.encode()) > _MAX_COMPONENT for part in parts)
    ):
        return f"{_ESCAPED}#{hashlib.sha256(data).hexdigest()}"
    return "/".join(map(_component, parts))


def _component(part: str) -> str:
    if part in ("", ".", "..", PRIVATE, VALUE) or part.startswith(_ESCAPED) or "\0" in part:
        return _ESCAPED + part.replace("%", "%25").replace("#", "%23").replace("\0", "%00")
    return part
