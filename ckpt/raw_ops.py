"""`ckpt.raw_ops`: every operation by its type name, with arguments by keyword. Defines nothing itself."""

from __future__ import annotations

from typing import Any

__all__: list[str] = []


def __getattr__(name: str) -> Any:
    """The operation of that type."""
    from ckpt.scripts.raw import operation

    if name.startswith("_"):
        raise AttributeError(f"module 'ckpt.raw_ops' has no attribute {name!r}")
    return operation(name)


def __dir__() -> list[str]:
    """The types of all operations."""
    from ckpt.graph.opdef import OPS

    return sorted(OPS)
