"""What programs give as messages or as plain data. Protobuf is loaded only where there is a message."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


def plain(value: Any, kind: type[T]) -> T:
    """A value of `kind`, a class of `core.defs`: itself, or from a message of TensorFlow's or ours."""
    if isinstance(value, kind):
        return value
    from ckpt.wire import tf_pb

    return tf_pb.from_message(value, kind)  # type: ignore[no-any-return]  # as asked for


def plain_attr(value: Any) -> Any:
    """An attribute's value as plain Python: itself, or from an AttrValue message."""
    if not hasattr(value, "WhichOneof"):
        return value
    from ckpt.wire import tf_pb

    return tf_pb.attr_from_message(value)


def message(value: Any) -> Any:
    """A value of `core.defs` as a protobuf message."""
    from ckpt.wire import tf_pb

    return tf_pb.to_message(value)
