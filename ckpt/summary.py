"""Facade: the names of `tf.summary`. Re-exports only."""

from typing import Any

from ckpt.model.summary import (
    audio,
    get_summary_description,
    histogram,
    image,
    merge,
    merge_all,
    scalar,
    tensor_summary,
    text,
)
from ckpt.training.file_writer import FileWriter, FileWriterCache

_MESSAGES = ("Event", "SessionLog", "Summary", "SummaryDescription", "TaggedRunMetadata")


def __getattr__(name: str) -> Any:
    """The message classes, which load protobuf only when they are used."""
    if name in _MESSAGES:
        from ckpt.wire import messages

        return getattr(messages, name)
    raise AttributeError(f"module 'ckpt.summary' has no attribute {name!r}")


__all__ = [
    "Event",
    "FileWriter",
    "FileWriterCache",
    "SessionLog",
    "Summary",
    "SummaryDescription",
    "TaggedRunMetadata",
    "audio",
    "get_summary_description",
    "histogram",
    "image",
    "merge",
    "merge_all",
    "scalar",
    "tensor_summary",
    "text",
]
