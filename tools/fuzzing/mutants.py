"""Mutants of files: bytes, trees of msgpack and JSON, and messages, changed at random and reproducibly.

Knows no format.
"""

from __future__ import annotations

import random
import struct
from typing import Any

import msgpack

NUMBERS = (0, 1, -1, 127, 128, 255, 256, 4095, 4096, 1 << 31, (1 << 32) - 1, 1 << 53, (1 << 63) - 1, -(1 << 63), (1 << 64) - 1)  # fmt: skip
THINGS = (None, True, "", "a", "a" * 300, "\0", "/", "..", b"", b"\xff" * 9, [], {}, [[]], 1.5, float("nan"), msgpack.ExtType(1, b"x"), msgpack.ExtType(3, b"\x93"))  # fmt: skip


class Mutator:
    """Changes bytes and trees at random, reproducibly."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def bytes(self, data: bytes, *others: bytes) -> bytes:
        """A few bytes flipped, set, removed, repeated, or taken from elsewhere."""
        made = bytearray(data)
        for _ in range(1 + int(self.chance.expovariate(0.7))):
            at = self.chance.randrange(len(made) + 1)
            size = 1 << self.chance.randrange(7)
            match self.chance.randrange(7):
                case 0 if at < len(made):
                    made[at] ^= 1 << self.chance.randrange(8)
                case 1 if at < len(made):
                    made[at] = self.chance.choice((0, 1, 0x7F, 0x80, 0x90, 0xC1, 0xDD, 0xDF, 0xFF))
                case 2:
                    del made[at : at + size]
                case 3:
                    made[at:at] = made[at : at + size]
                case 4:
                    made[at : at + 8] = struct.pack("<q", self._number() % (1 << 63))
                case 5:
                    other = self.chance.choice(others or (data,))
                    start = self.chance.randrange(len(other) + 1)
                    made[at : at + size] = other[start : start + size]
                case _:
                    made[at:at] = self.chance.randbytes(self.chance.randrange(1, 9))
        return bytes(made)

    def tree(self, value: Any) -> Any:
        """A tree of lists and maps with one place changed."""
        if isinstance(value, dict) and value and self.chance.random() < 0.9:
            key = self.chance.choice(list(value))
            changed = dict(value)
            if self.chance.random() < 0.1:
                del changed[key]
            else:
                changed[key] = self.tree(value[key])
            return changed
        if isinstance(value, list) and value and self.chance.random() < 0.9:
            changed_list = list(value)
            at = self.chance.randrange(len(value))
            match self.chance.randrange(12):
                case 0:
                    del changed_list[at]
                case 1:
                    changed_list.insert(at, changed_list[at])
                case _:
                    changed_list[at] = self.tree(value[at])
            return changed_list
        return self._leaf(value)

    def _leaf(self, value: Any) -> Any:
        if isinstance(value, bytes) and self.chance.random() < 0.7:
            return self.bytes(value)
        if isinstance(value, int) and self.chance.random() < 0.7:
            return self._number()
        if isinstance(value, msgpack.ExtType) and self.chance.random() < 0.8:
            return self._extension(value)
        return self.chance.choice(THINGS)

    def _extension(self, value: msgpack.ExtType) -> msgpack.ExtType:
        try:
            inner = msgpack.packb(self.tree(msgpack.unpackb(value.data, strict_map_key=False)))
        except (ValueError, TypeError, OverflowError):
            inner = self.bytes(value.data)
        code = value.code if self.chance.random() < 0.9 else self.chance.randrange(8)
        return msgpack.ExtType(code, inner)

    def message(self, message: Any) -> None:
        """Change one place of a protocol buffer message, which is given a value that its type allows."""
        fields = [field for field, _ in message.ListFields()]
        if not fields or self.chance.random() < 0.1:
            fields = list(message.DESCRIPTOR.fields)
        field = self.chance.choice(fields)
        if self.chance.random() < 0.05:
            message.ClearField(field.name)
        elif not field.is_repeated:
            if field.message_type:
                self.message(getattr(message, field.name))
            else:
                setattr(message, field.name, self._scalar(field))
        elif hasattr(message, field.name) and hasattr(getattr(message, field.name), "keys"):
            self._entry(getattr(message, field.name), field)
        else:
            self._element(getattr(message, field.name), field)

    def _entry(self, entries: Any, field: Any) -> None:
        """One entry of a map changed, made or removed."""
        keys = list(entries)
        key = self.chance.choice(keys) if keys else ""
        if self.chance.random() < 0.1:
            key = self._scalar(field.message_type.fields_by_name["key"])
        value = field.message_type.fields_by_name["value"]
        if key in entries and self.chance.random() < 0.1:
            del entries[key]
        elif value.message_type:
            self.message(entries[key])
        else:
            entries[key] = self._scalar(value)

    def _element(self, elements: Any, field: Any) -> None:
        """One element of a repeated field changed, doubled or removed."""
        if not elements or self.chance.random() < 0.1:
            if field.message_type:
                elements.add()
            else:
                elements.append(self._scalar(field))
            return
        at = self.chance.randrange(len(elements))
        if self.chance.random() < 0.1:
            del elements[at]
        elif self.chance.random() < 0.1:
            elements.append(elements[at])
        elif field.message_type:
            self.message(elements[at])
        else:
            elements[at] = self._scalar(field)

    def _scalar(self, field: Any) -> Any:
        """A value for a field of a message, at the limits of its type."""
        if field.enum_type:
            return self.chance.choice([v.number for v in field.enum_type.values] + [99, 127])
        match field.cpp_type:
            case field.CPPTYPE_STRING if field.type == field.TYPE_BYTES:
                return self.chance.choice([b"", b"\xff" * 9, self.chance.randbytes(8)])
            case field.CPPTYPE_STRING:
                return self.chance.choice(["", "a", "a:0", "^a", "\0", "/", "..", "a" * 300])
            case field.CPPTYPE_BOOL:
                return self.chance.random() < 0.5
            case field.CPPTYPE_FLOAT | field.CPPTYPE_DOUBLE:
                return self.chance.choice([0.0, -1.5, 1e300, float("nan")])
        bits = 32 if field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_UINT32) else 64
        number = self._number() % (1 << bits)
        is_signed = field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_INT64)
        return number - (1 << bits) if is_signed and number >> (bits - 1) else number

    def _number(self) -> int:
        return self.chance.choice(NUMBERS) + self.chance.randrange(-1, 2)
