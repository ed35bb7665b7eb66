"""Texts and the bytes that stand for them, which need not be UTF-8: there and back nothing is lost."""

from __future__ import annotations

from typing import Any

_HOW = ("utf-8", "surrogateescape")


def text_of(value: Any) -> str:
    """The text that bytes mean; of anything else what it is as a text."""
    return value.decode(*_HOW) if isinstance(value, bytes) else str(value)


def bytes_of(text: str) -> bytes:
    """The bytes of a text, those that were no UTF-8 as they were."""
    return text.encode(*_HOW)
