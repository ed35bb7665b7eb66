"""CRC32C of any buffer. Must not know what the bytes mean.

Source of the polynomial: RFC 3720, appendix B.4 (Castagnoli).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any


def crc32c(data: Any, value: int = 0) -> int:
    """The checksum of `data`, continuing from `value`, which is that of the bytes before."""
    return engine()(data, value)


@cache
def engine() -> Callable[..., int]:
    """What `crc32c` calls (data, and the value 0 unless given), for loops in which every call counts: the function of the `crc32c` package.

    It is loaded without its package's `__init__`, which asks importlib.metadata for a version number: 50 ms, more than it takes to list a checkpoint.
    """
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    package = PathFinder.find_spec("crc32c")
    places = package.submodule_search_locations if package else None
    spec = PathFinder.find_spec("crc32c._crc32c", places) if places else None
    if spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        if hasattr(module, "crc32c"):
            return module.crc32c  # type: ignore[no-any-return]
    from crc32c import crc32c as compute

    return compute
