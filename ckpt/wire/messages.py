"""TensorFlow's messages as classes, made when first asked for: `messages.NodeDef`, `messages.DT_FLOAT`.

They are real protocol buffers (`CopyFrom`, `HasField`, `SerializeToString`, text format, equality) with TensorFlow's
field numbers, in a private pool. Must not know `core.defs`.
"""

from __future__ import annotations

from typing import Any

from ckpt.wire import schema


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for find in (schema.message_class, schema.enum_type, schema.enum_values().__getitem__):
        try:
            found = find(name)
        except KeyError:
            continue
        globals()[name] = found
        return found
    raise AttributeError(f"TensorFlow has no message or enum value {name!r} that ckpt knows")


def __dir__() -> list[str]:
    file = schema.pool().FindFileByName(schema.FILE_NAME)
    return sorted([*file.message_types_by_name, *file.enum_types_by_name, *schema.enum_values()])
