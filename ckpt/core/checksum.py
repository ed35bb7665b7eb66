"""CRC32C of any buffer. Must not know what the bytes mean.

Source of the polynomial: RFC 3720, appendix B.4 (Castagnoli).
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_engine: Callable[..., int] | None = None


def crc32c(data: Any, value: int = 0) -> int:
    """The checksum of `data`, continuing from `value`, which is that of the bytes before."""
    return engine()(data, value)


def engine() -> Callable[..., int]:
    """What `crc32c` calls, for loops in which every call counts: the function of the `crc32c` package."""
    global _engine
    if _engine is None:
        _engine = _compiled() or _imported()
    return _engine


def _compiled() -> Callable[..., int] | None:
    """The package's extension module alone: its `__init__` asks importlib.metadata for a version number.

    That takes 50 ms, five times as long as it takes to list a checkpoint. None where the package looks different.
    """
    package = _found("crc32c", None)
    spec = _found("crc32c._crc32c", package.submodule_search_locations if package else None)
    if spec is None or spec.loader is None:
        return None
    module = spec.loader.create_module(spec)
    if module is None:
        return None
    spec.loader.exec_module(module)
    return getattr(module, "crc32c", None)


def _found(name: str, places: Any) -> Any:
    """The import system's spec of a module, without importlib, which is larger than this package's start."""
    for finder in sys.meta_path:
        if (spec := finder.find_spec(name, places)) is not None:
            return spec
    return None


def _imported() -> Callable[..., int]:
    from crc32c import crc32c as compute

    return compute
