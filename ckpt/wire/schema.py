"""`tensorflow.proto` as descriptors: a reader of the small part of the language that file uses.

Must not know what the messages mean. protobuf is imported when the first message class is asked for; the
messages live in a private pool, so TensorFlow's own can live in the same process.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import (
        DescriptorProto,
        EnumDescriptorProto,
        FieldDescriptorProto,
        FileDescriptorProto,
    )
    from google.protobuf.descriptor_pool import DescriptorPool

FILE_NAME = "ckpt/wire/tensorflow.proto"
_TOKEN = re.compile(r'//[^\n]*|\s+|("[^"]*"|[A-Za-z_][\w.]*|-?\d+|[{}<>=;,])|(.)')
_SCALARS: dict[str, Any] = {
    "double": 1,
    "float": 2,
    "int64": 3,
    "uint64": 4,
    "int32": 5,
    "fixed64": 6,
    "fixed32": 7,
    "bool": 8,
    "string": 9,
    "bytes": 12,
    "uint32": 13,
    "sint32": 17,
    "sint64": 18,
}  # Source: google/protobuf/descriptor.proto, enum FieldDescriptorProto.Type
_OPTIONAL: Any = 1
_REPEATED: Any = 3
_MESSAGE: Any = 11
_ENUM: Any = 14


@functools.cache
def pool() -> DescriptorPool:
    """The private pool that holds the messages of `tensorflow.proto`."""
    from google.protobuf import any_pb2, descriptor_pool

    text = resources.files("ckpt.wire").joinpath("tensorflow.proto").read_text("utf-8")
    result = descriptor_pool.DescriptorPool()
    result.AddSerializedFile(any_pb2.DESCRIPTOR.serialized_pb)
    result.AddSerializedFile(parse(text).SerializeToString())
    return result


def parse(text: str) -> FileDescriptorProto:
    """The file that `text` declares. Raises SyntaxError, with the token, for anything it does not know."""
    from google.protobuf import descriptor_pb2

    file = descriptor_pb2.FileDescriptorProto(name=FILE_NAME)
    tokens = _tokens(text)
    for word in tokens:
        if word == "syntax":
            file.syntax = _assigned(tokens).strip('"')
        elif word == "package":
            file.package = _until(tokens, ";")[0]
        elif word == "import":
            file.dependency.append(_until(tokens, ";")[0].strip('"'))
        elif word == "message":
            _message(tokens, file.message_type.add(), f".{file.package}.")
        elif word == "enum":
            _enum(tokens, file.enum_type.add())
        else:
            raise SyntaxError(f"{FILE_NAME}: {word!r} where a declaration should start")
    _set_types(file)
    return file


def _tokens(text: str) -> Iterator[str]:
    for match in _TOKEN.finditer(text):
        if match[2]:
            raise SyntaxError(f"{FILE_NAME}: {match[2]!r} is not part of the language")
        if match[1]:
            yield match[1]


def _until(tokens: Iterator[str], end: str) -> list[str]:
    """The tokens before `end`, which is consumed."""
    return list(iter(lambda: next(tokens), end))


def _assigned(tokens: Iterator[str]) -> str:
    """The value in `= value;`."""
    equals, value = _until(tokens, ";")
    if equals != "=":
        raise SyntaxError(f"{FILE_NAME}: {equals!r} where '=' should be")
    return value


def _enum(tokens: Iterator[str], enum: EnumDescriptorProto) -> None:
    enum.name, _ = next(tokens), next(tokens)
    for word in iter(lambda: next(tokens), "}"):
        enum.value.add(name=word, number=int(_assigned(tokens)))


def _message(tokens: Iterator[str], message: DescriptorProto, scope: str) -> None:
    message.name, _ = next(tokens), next(tokens)
    scope += message.name + "."
    for word in iter(lambda: next(tokens), "}"):
        if word == "message":
            _message(tokens, message.nested_type.add(), scope)
        elif word == "enum":
            _enum(tokens, message.enum_type.add())
        elif word == "oneof":
            index = len(message.oneof_decl)
            message.oneof_decl.add(name=next(tokens))
            next(tokens)
            for kind in iter(lambda: next(tokens), "}"):
                _field(tokens, message, kind).oneof_index = index
        elif word == "map":
            _map(tokens, message, scope)
        elif word == "repeated":
            _field(tokens, message, next(tokens)).label = _REPEATED
        else:
            _field(tokens, message, word)


def _field(tokens: Iterator[str], message: DescriptorProto, kind: str) -> FieldDescriptorProto:
    """Add the field `kind name = number;`."""
    name = next(tokens)
    return _add(message, name, int(_assigned(tokens)), kind)


def _add(message: DescriptorProto, name: str, number: int, kind: str) -> FieldDescriptorProto:
    field = message.field.add(name=name, number=number, label=_OPTIONAL)
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type_name = kind
    return field


def _map(tokens: Iterator[str], message: DescriptorProto, scope: str) -> None:
    """Add `map<key, value> name = number;`: a repeated entry message, as the wire format defines it."""
    _, key, _, value = _until(tokens, ">")
    name = next(tokens)
    entry = message.nested_type.add(name=name.title().replace("_", "") + "Entry")
    entry.options.map_entry = True
    _add(entry, "key", 1, key)
    _add(entry, "value", 2, value)
    _add(message, name, int(_assigned(tokens)), scope + entry.name).label = _REPEATED


def _set_types(file: FileDescriptorProto) -> None:
    """Say of every named field type whether it is a message or an enum; the file writes full names."""
    prefix = f".{file.package}."
    enums: set[str] = {prefix + enum.name for enum in file.enum_type}
    messages: list[DescriptorProto] = []

    def visit(message: DescriptorProto, scope: str) -> None:
        messages.append(message)
        enums.update(f"{scope}{message.name}.{enum.name}" for enum in message.enum_type)
        for nested in message.nested_type:
            visit(nested, f"{scope}{message.name}.")

    for message in file.message_type:
        visit(message, prefix)
    for message in messages:
        for field in message.field:
            if field.type_name:
                name = field.type_name
                if not name.startswith("."):
                    name = ("." if name.startswith("google.") else prefix) + name
                field.type_name = name
                field.type = _ENUM if name in enums else _MESSAGE


def message_class(name: str) -> Any:
    """The class of the message called `name`. Raises KeyError when the file has none."""
    from google.protobuf import message_factory

    found = pool().FindMessageTypeByName(f"ckpt.{name}")
    cls = message_factory.GetMessageClass(found)
    cls.__module__ = "ckpt.wire.messages"  # where pickle finds it again
    return cls


def enum_type(name: str) -> Any:
    """The top-level enum called `name`, with `Name()`, `Value()` and its values. Raises KeyError."""
    from google.protobuf.internal import enum_type_wrapper

    return enum_type_wrapper.EnumTypeWrapper(pool().FindEnumTypeByName(f"ckpt.{name}"))


@functools.cache
def enum_values() -> dict[str, int]:
    """Name to number of every value of a top-level enum (`DT_FLOAT`)."""
    file = pool().FindFileByName(FILE_NAME)
    return {
        value.name: value.number
        for enum in file.enum_types_by_name.values()
        for value in enum.values
    }
