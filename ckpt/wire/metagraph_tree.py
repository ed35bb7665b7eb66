"""The records of a `.meta` file as trees of lists, and back, checked field by field; see docs/formats/metagraph.md.

Must not know msgpack, JSON or the encoding of attribute values. Loads no numpy.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING
from itertools import chain
from operator import attrgetter
from typing import Any

from ckpt.core import defs
from ckpt.wire.metagraph_body import Damage

Read = Callable[[Any, str], Any]
_STR = {str}
_SHOWN = 200  # characters of a name
_chained = chain.from_iterable
_PLAIN = {"node_list": str, "bytes_list": bytes, "int64_list": int}  # collections of one type
KINDS = ("node_list", "bytes_list", "int64_list", "float_list", "any_list", "variables")


def _types(values: Iterable[Any]) -> set[type]:
    return set(map(type, values))


def _scalar(*types: type) -> Read:
    names = " or ".join(kind.__name__ for kind in types)

    def read(raw: Any, place: str) -> Any:
        if type(raw) not in types:
            raise Damage(f"{place}: {shown(raw)} where {names} should be")
        return raw

    return read


def named(name: Any) -> str:
    """A name as an error shows it, also one that is no text, or very long."""
    return repr(name) if type(name) is str and len(name) <= _SHOWN else reprlib.repr(name)[:_SHOWN]


def shown(raw: Any) -> str:
    """A short text about a value, however large or deep it is."""
    return f"{type(raw).__name__} {reprlib.repr(raw)[:40]}"


_text, _integer, _flag, _bytes = _scalar(str), _scalar(int), _scalar(bool), _scalar(bytes)
_number = _scalar(float, int)


def _float(raw: Any, place: str) -> float:
    try:
        return float(_number(raw, place))
    except OverflowError:
        raise Damage(f"{place}: {shown(raw)} where a float should be") from None


def _within(bits: int) -> Read:
    """Integers of so many bits: a message takes no others."""
    most = 1 << (bits - 1)

    def read(raw: Any, place: str) -> Any:
        if not -most <= _integer(raw, place) < most:
            raise Damage(f"{place}: {shown(raw)} where an integer of {bits} bits should be")
        return raw

    return read


_int32, _int64 = _within(32), _within(64)


def _many(read: Read) -> Read:
    def read_all(raw: Any, place: str) -> tuple[Any, ...]:
        if type(raw) is not list:
            raise Damage(f"{place}: {shown(raw)} where a list should be")
        return tuple([read(item, f"{place}[{i}]") for i, item in enumerate(raw)])

    return read_all


def _texts(raw: Any, place: str) -> tuple[str, ...]:
    if type(raw) is not list or not all([type(item) is str for item in raw]):
        raise Damage(f"{place}: {shown(raw)} where a list of str should be")
    return tuple(raw)


def _mapping(read: Read) -> Read:
    def read_all(raw: Any, place: str) -> dict[str, Any]:
        if type(raw) is not dict:
            raise Damage(f"{place}: {shown(raw)} where a map should be")
        return {_text(key, place): read(item, f"{place} {named(key)}") for key, item in raw.items()}

    return read_all


def _optional(read: Read) -> Read:
    return lambda raw, place: None if raw is None else read(raw, place)


def _pair(raw: Any, place: str) -> tuple[str, bytes]:
    if type(raw) is not list or len(raw) != 2:
        raise Damage(f"{place}: {shown(raw)} where [type_url, bytes] should be")
    return _text(raw[0], place), _bytes(raw[1], place)


class TreeReader:
    """Turns trees into `core.defs` values.

    `value_types` are the Python types that an attribute may have, a list of them apart; `dtype` and `shape` are
    those of dtypes and shapes. `named` trees hold records as maps (JSON), others as lists (msgpack).
    """

    def __init__(
        self, value_types: frozenset[type], dtype: type, shape: type, *, named: bool
    ) -> None:
        self._value_types = value_types
        self._named, self._only_looks = named, False
        known: dict[str, str] = {}
        self._shared = known.setdefault  # types of nodes, of which there are few
        self.text, self.integer = _text, _int32
        dtype_or_none, shape_or_none = _optional(_scalar(dtype)), _optional(_scalar(shape))
        piece = self._record(defs.SaveSliceInfoDef, _text, *[_many(_int64)] * 3)
        self._variable = self._record(
            defs.VariableDef, *[_text] * 4, _optional(piece), _flag, _flag, _int32, _int32
        )
        arg = self._record(defs.ArgDef, _text, dtype_or_none, _text, _text, _text, _flag)
        nodes, args, attrs = self.nodes, _many(arg), self.attrs
        self.body = nodes
        self.texts = texts = _mapping(_text)
        self.function = self._record(
            defs.FunctionDef, _text, args, args, nodes, texts, texts, attrs
        )
        tensor = self._record(
            defs.TensorInfo, _text, dtype_or_none, shape_or_none, _texts, needed=3
        )
        self.info = self._record(defs.MetaInfoDef, _text, _texts, _text, _text, _flag, _texts)
        self.saver = _optional(
            self._record(defs.SaverDef, *[_text] * 3, _int32, _flag, _float, _int32)
        )
        self.signatures = _mapping(
            self._record(defs.SignatureDef, _mapping(tensor), _mapping(tensor), _text)
        )
        self.meta_graph = self._record(
            defs.MetaGraphDef,
            self.info,
            self._record(defs.GraphDef, nodes, _many(self.function), texts, _int32, _int32),
            self.saver,
            _mapping(self.collection),
            self.signatures,
        )

    @contextmanager
    def only_looking(self) -> Iterator[None]:
        """Within the block `nodes` checks nodes and gives none back."""
        self._only_looks = True
        try:
            yield
        finally:
            self._only_looks = False

    def _record(self, cls: Any, *reads: Read, needed: int | None = None) -> Read:
        """Reads records of `cls`; the fields after the first `needed` may be missing at the end."""
        fields = list(zip(names_of(cls), reads, strict=True))
        shortest = len(fields) if needed is None else needed
        defaults = cls.__dataclass_fields__.values()
        required = [f.name for f in defaults if f.default is f.default_factory is MISSING]

        def read(raw: Any, place: str) -> Any:
            if self._named:
                return cls(**self._named_fields(raw, fields, required, place))
            if type(raw) is not list or not shortest <= len(raw) <= len(fields):
                raise Damage(f"{place}: {shown(raw)} where {cls.__name__} should be")
            return cls(
                *[
                    field(item, f"{place} {name}")
                    for (name, field), item in zip(fields, raw, strict=False)
                ]
            )

        return read

    @staticmethod
    def _named_fields(
        raw: Any, fields: list[tuple[str, Read]], required: list[str], place: str
    ) -> dict[str, Any]:
        if type(raw) is not dict:
            raise Damage(f"{place}: {shown(raw)} where an object should be")
        unknown = raw.keys() - {name for name, _ in fields}
        if unknown:
            raise Damage(f"{place}: unknown fields {sorted(unknown)}")
        missing = [name for name in required if name not in raw]
        if missing:
            raise Damage(f"{place}: fields missing: {', '.join(missing)}")
        return {name: read(raw[name], f"{place} {name}") for name, read in fields if name in raw}

    def nodes(self, raw: Any, place: str, first: int = 0) -> tuple[defs.NodeDef, ...]:
        """The nodes of a list, whose numbers begin with `first`."""
        if type(raw) is not list:
            raise Damage(f"{place}: {shown(raw)} where a list should be")
        if self._named:
            read = self._record(defs.NodeDef, _text, _text, _texts, _text, self.attrs)
            return tuple([read(item, f"{place}[{n}]") for n, item in enumerate(raw, first)])
        if not self._are_nodes(raw):
            return tuple([self._node(item, place, n) for n, item in enumerate(raw, first)])
        if self._only_looks:
            return ()
        names, ops, inputs, devices, attrs = zip(*raw, strict=True)
        shared = map(self._shared, ops, ops)
        return tuple(map(defs.NodeDef, names, shared, map(tuple, inputs), devices, attrs))

    def _are_nodes(self, raw: list[Any]) -> bool:
        """Whether nothing is wrong with any: graphs have many nodes, so that types are looked at by the column."""
        if not raw or _types(raw) != {list} or set(map(len, raw)) != {5}:
            return False
        names, ops, inputs, devices, attrs = zip(*raw, strict=True)
        if not (_types(names) == _types(ops) == _types(devices) == _STR):
            return False
        if _types(inputs) != {list} or _types(attrs) != {dict}:
            return False
        values = list(_chained(map(dict.values, attrs)))
        items = _chained([value for value in values if type(value) is list])
        return (
            _types(_chained(inputs)) <= _STR
            and _types(_chained(attrs)) <= _STR
            and _types(values) <= self._value_types | {list}
            and _types(items) <= self._value_types
        )

    def _node(self, raw: Any, place: str, number: int) -> defs.NodeDef:
        """One node from a list. Raises Damage that says what is wrong with it."""
        if type(raw) is not list or len(raw) != 5:
            raise Damage(f"{place}[{number}]: {shown(raw)} where NodeDef should be")
        name, op, inputs, device, attr = raw
        here = f"{place} {number} {named(name)}"
        text = [_text(item, here) for item in (name, op, device)]
        inputs, attr = _texts(inputs, f"{here} input"), self.attrs(attr, here)
        return defs.NodeDef(text[0], text[1], inputs, text[2], attr)

    def attrs(self, raw: Any, place: str) -> dict[str, Any]:
        """A map of attribute values, each of an allowed type."""
        if type(raw) is not dict:
            raise Damage(f"{place}: {shown(raw)} where a map of attributes should be")
        for name, value in raw.items():
            _text(name, place)
            for item in value if type(value) is list else (value,):
                if type(item) not in self._value_types:
                    raise Damage(
                        f"{place}, attribute {named(name)}: {shown(item)} is no attribute value"
                    )
        return raw

    def collection(self, raw: Any, place: str) -> defs.CollectionDef:
        """A collection: [kind, elements]."""
        if self._named and type(raw) is dict and raw.keys() == {"kind", "value"}:
            raw = [raw["kind"], raw["value"]]
        if type(raw) is not list or len(raw) != 2 or raw[0] not in KINDS:
            raise Damage(f"{place}: {shown(raw)} where CollectionDef should be")
        kind, elements = raw
        if type(elements) is list and _types(elements) <= {_PLAIN.get(kind)}:
            return defs.CollectionDef(kind, tuple(elements))
        reads = (_text, _bytes, _integer, _float, _pair, self._variable)
        return defs.CollectionDef(kind, _many(reads[KINDS.index(kind)])(elements, place))


def names_of(cls: Any) -> tuple[str, ...]:
    """The field names of a record, in the order of the file."""
    return tuple(cls.__dataclass_fields__)


FIELDS: Mapping[type, Callable[[Any], tuple[Any, ...]]] = {
    cls: attrgetter(*names_of(cls))
    for cls in (
        defs.NodeDef,
        defs.ArgDef,
        defs.FunctionDef,
        defs.GraphDef,
        defs.SaverDef,
        defs.SaveSliceInfoDef,
        defs.VariableDef,
        defs.CollectionDef,
        defs.TensorInfo,
        defs.SignatureDef,
        defs.MetaInfoDef,
        defs.MetaGraphDef,
    )
}  # record class -> its fields as a tuple, in the order of the file
