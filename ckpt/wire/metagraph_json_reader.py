"""The text form of a `.meta` file, read record by record: what is refused takes little more memory than its bytes.

Must not know live graphs, nor where the text is stored. The text is in docs/formats/metagraph.md.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, replace
from typing import Any

from ckpt.core import defs
from ckpt.core.collector import paused
from ckpt.wire.json_text import WINDOW, Cursor
from ckpt.wire.metagraph_body import LARGE, VERSION, Damage, LaterVersion
from ckpt.wire.metagraph_budget import graph_budget, record_budget, values_in
from ckpt.wire.metagraph_file import Named, tree_reader
from ckpt.wire.metagraph_json import FORMAT
from ckpt.wire.metagraph_json_tags import DEEPEST, tagged, untagged
from ckpt.wire.metagraph_large import checked_text, light
from ckpt.wire.metagraph_tensors import SEEN, check_strings, read_tensor
from ckpt.wire.metagraph_tree import named, shown

_TIMES = 10  # as long as one of msgpack it takes to read an element
_TOGETHER = 64  # elements of a list that are read at once while they are small
_BASE64 = re.compile(rb"[A-Za-z0-9+/]*={0,2}")
_QUADS = WINDOW // 4 * 4  # characters of base64 that are decoded at once


def from_json(text: bytes | str, where: str = "MetaGraph") -> defs.MetaGraphDef:
    """The MetaGraph in JSON text. Raises DataLossError or UnimplementedError that names `where`."""
    meta: defs.MetaGraphDef = _read(text, where, lambda reader: reader.document())
    return meta


def all_from_json(text: bytes, where: str) -> list[defs.MetaGraphDef]:
    """The MetaGraphs in the JSON text of a SavedModel. Raises as `from_json` does."""
    metas: list[defs.MetaGraphDef] = _read(text, where, lambda reader: reader.documents())
    return metas


def _read(text: bytes | str, where: str, read: Callable[[_Reader], Any]) -> Any:
    """What is read of the text, which is looked at as a whole before any of it is kept, if it is long."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    with paused(), Named(where):
        graph_budget().spend(_TIMES * sum(map(data.count, (b",", b"[", b"{"))))
        if len(data) > LARGE:
            read(_Reader(Cursor(data), looks=True))
        return read(_Reader(Cursor(data), looks=False))


class _Reader:
    """Reads the records; with `looks`, checks them and keeps none."""

    def __init__(self, cursor: Cursor, *, looks: bool) -> None:
        self._cursor, self._looks = cursor, looks
        self._checks = tree_reader(named=True)
        self._values = _Values(cursor, self._checks.attrs, looks=looks)
        self._passing = _Values(cursor, self._checks.attrs, looks=True)

    def document(self) -> defs.MetaGraphDef:
        """All of the text."""
        found = self._document()
        self._end()
        return found

    def documents(self) -> list[defs.MetaGraphDef]:
        """All of the text, which is that of a SavedModel."""
        found: list[defs.MetaGraphDef] | None = None
        for name in self._cursor.members():
            if name != "meta_graphs":
                self._passing.value()
                continue
            found = []
            for number in self._items("meta_graphs"):
                with _Place(f"MetaGraph {number}"):
                    meta = self._document()
                if not self._looks:
                    found.append(meta)
        if found is None:
            raise Damage("is no JSON of a SavedModel: it has no list `meta_graphs`")
        self._end()
        return found

    def _end(self) -> None:
        if self._cursor.peek():
            raise Damage(f"something follows the JSON at byte {self._cursor.tell()}")

    def _document(self) -> defs.MetaGraphDef:
        found: dict[str, Any] = {}
        is_object = self._cursor.peek() == "{"
        for name in self._cursor.members() if is_object else ():
            if name == "meta_graph":
                _check_format({"format": FORMAT, "version": VERSION, **found})
                found[name] = self._meta_graph()
            else:
                found[name] = self._passing.value()
        _check_format(found)
        if "meta_graph" not in found:
            raise Damage("it has no `meta_graph`")
        meta: defs.MetaGraphDef = found["meta_graph"]
        return meta

    def _meta_graph(self) -> Any:
        checks = self._checks
        reads = {
            "meta_info_def": self._small(checks.info),
            "graph_def": self._graph,
            "saver_def": self._small(checks.saver),
            "collection_def": self._collections,
            "signature_def": self._small(checks.signatures),
        }
        return self._record(defs.MetaGraphDef, "", reads)

    def _graph(self, place: str) -> Any:
        checks = self._checks
        reads = {
            "node": self._nodes,
            "library": self._functions,
            "gradient": self._small(checks.texts),
            "producer": self._small(checks.integer),
            "min_consumer": self._small(checks.integer),
        }
        return self._record(defs.GraphDef, place, reads)

    def _small(self, check: Callable[[Any, str], Any]) -> Callable[[str], Any]:
        """Reads a value that is no list of records."""
        return lambda place: check(self._values.value(), place)

    def _record(self, cls: Any, place: str, reads: Mapping[str, Callable[[str], Any]]) -> Any:
        found = {}
        for name in self._members(place):
            if name not in reads:
                raise Damage(f"{place}: unknown fields {[name]!r:.200}")
            found[name] = reads[name](f"{place} {name}")
        fields = cls.__dataclass_fields__.values()
        required = [f.name for f in fields if f.default is f.default_factory is MISSING]
        if missing := [name for name in required if name not in found]:
            raise Damage(f"{place}: fields missing: {', '.join(missing)}")
        return cls(**found)

    def _members(self, place: str) -> Iterator[str]:
        if self._cursor.peek() != "{":
            raise Damage(f"{place}: {shown(self._passing.value())} where an object should be")
        return self._cursor.members()

    def _items(self, place: str) -> Iterator[int]:
        if self._cursor.peek() != "[":
            raise Damage(f"{place}: {shown(self._passing.value())} where a list should be")
        return self._cursor.items()

    def _nodes(self, place: str) -> tuple[defs.NodeDef, ...]:
        made: list[defs.NodeDef] = []
        number = 0
        for raw in self._values.batches(self._items(place)):
            nodes = self._checks.nodes(raw, place, number)
            number += len(raw)
            if not self._looks:
                made += nodes
        return tuple(made)

    def _functions(self, place: str) -> tuple[defs.FunctionDef, ...]:
        made = []
        for number in self._items(place):
            function = self._function(f"{place}[{number}]")
            if not self._looks:
                made.append(function)
        return tuple(made)

    def _function(self, place: str) -> defs.FunctionDef:
        raw: dict[str, Any] = {}
        nodes: tuple[defs.NodeDef, ...] = ()
        for name in self._members(place):
            if name == "node_def":
                nodes = self._nodes(f"{place} node_def")
            else:
                raw[name] = self._values.value()
        function: defs.FunctionDef = self._checks.function(raw, place)
        return replace(function, node_def=nodes)

    def _collections(self, place: str) -> dict[str, defs.CollectionDef]:
        made = {}
        for name in self._members(place):
            here = f"{place} {named(name)}"
            collection = self._collection(here)
            if not self._looks:
                made[name] = collection
        return made

    def _collection(self, place: str) -> Any:
        """A collection, whose kind may stand behind its elements."""
        kind = elements = None
        values: list[Any] = []
        for name in self._members(place):
            if name == "kind":
                kind = self._passing.value()
            elif name != "value":
                raise Damage(f"{place}: unknown fields {[name]!r:.200}")
            elif kind is None:
                elements = self._cursor.tell()
                self._pass_over()
            else:
                values = self._elements(kind, place)
        whole = self._checks.collection([kind, []], place)
        if elements is not None:
            end = self._cursor.tell()
            self._cursor.go_to(elements)
            values = self._elements(kind, place)
            self._cursor.go_to(end)
        return replace(whole, value=tuple(values))

    def _elements(self, kind: Any, place: str) -> list[Any]:
        made: list[Any] = []
        number = 0
        for raw in self._values.batches(self._items(place)):
            here = f"{place}, elements from {number} on" if number else place
            part = self._checks.collection([kind, raw], here).value
            number += len(raw)
            if not self._looks:
                made += part
        return made

    def _pass_over(self) -> None:
        """Go behind the next value."""
        if self._cursor.peek() != "[":
            self._passing.value()
            return
        for _ in self._cursor.items():
            self._passing.value()


class _Values:
    """Reads values of any size, tags replaced by what they stand for; with `looks`, others stand for what is large."""

    def __init__(
        self, cursor: Cursor, check_attrs: Callable[[Any, str], Any], *, looks: bool
    ) -> None:
        self._cursor, self._check_attrs, self._looks = cursor, check_attrs, looks
        self._budget = record_budget()

    def value(self) -> Any:
        """The next value."""
        self._budget = record_budget()
        return self._value(0)

    def batches(self, items: Iterator[int]) -> Iterator[list[Any]]:
        """The values of a list some at a time."""
        batch: list[Any] = []
        window = self._cursor.window
        for _ in items:
            batch.append(self.value())
            if len(batch) == _TOGETHER or self._cursor.window != window:
                yield batch
                batch, window = [], self._cursor.window
        if batch:
            yield batch

    def _value(self, depth: int, *, in_tensor: bool = False) -> Any:
        is_small, raw = self._cursor.small()
        if is_small:
            if depth:
                self._budget.spend(values_in(raw))
            found = untagged(raw, self._check_attrs, depth)
            return _light(found) if depth and self._looks and not in_tensor else found
        if depth > DEEPEST:
            raise Damage(f"nested more than {DEEPEST} deep")
        kind = self._cursor.peek()
        if kind == "{":
            return self._object(depth, in_tensor)
        if kind == "[":
            return self._list(depth)
        return self._text()

    def _text(self) -> str:
        begin, end = self._cursor.text()
        content = memoryview(self._cursor.data)[begin:end]
        if self._looks:
            return checked_text(content)
        if self._cursor.data.find(b"\\", begin, end) < 0:
            return str(content, "utf-8")
        return _unescaped(self._cursor.data[begin - 1 : end + 1])

    def _list(self, depth: int) -> list[Any]:
        made = []
        for _ in self._cursor.items():
            self._budget.spend(1)
            made.append(self._value(depth + 1))
        return made

    def _object(self, depth: int, in_tensor: bool) -> Any:
        begin = self._cursor.tell()
        made: dict[str, Any] = {}
        for name in self._cursor.members():
            self._budget.spend(1)
            if made or name not in ("$tensor", "$base64", "$bytes"):
                made[name] = self._value(depth + 1)
                continue
            if name == "$tensor":
                found = self._tensor(depth)
            elif name == "$base64":
                found = self._base64()
                found = found if in_tensor else bytes(found)
            else:
                found = self._bytes()
            if self._cursor.take(",}") == "}":
                return found
            raise Damage(f"the object from byte {begin} on has other names beside {name}")
        return tagged(made, self._check_attrs)

    def _tensor(self, depth: int) -> Any:
        """A tensor: [dtype name, sizes, content]."""
        cursor = self._cursor
        cursor.take("[")
        dtype = self._value(depth + 1)
        cursor.take(",")
        sizes = self._value(depth + 1)
        cursor.take(",")
        if cursor.peek() != "[":
            array = read_tensor([dtype, sizes, self._value(depth + 1, in_tensor=True)])
            cursor.take("]")
            return SEEN if self._looks else array
        count, strings = 0, list[Any]()
        most = check_strings(dtype, sizes)
        for raw in self.batches(cursor.items()):
            count += len(raw)
            if count > most or not all([type(item) is bytes for item in raw]):
                raise Damage(f"a tensor of strings must hold a list of {most} byte strings")
            if not self._looks:
                strings += raw
        cursor.take("]")
        if count != most:
            raise Damage(f"{count} strings for a tensor of {most}")
        return SEEN if self._looks else read_tensor([dtype, sizes, strings])

    def _bytes(self) -> bytes:
        """The UTF-8 of a text."""
        if self._cursor.peek() != '"':
            raise Damage(f"no text of bytes: {shown(self._value(DEEPEST))}")
        begin = self._cursor.tell() + 1
        if self._looks:
            return self._text().encode()
        _, end = self._cursor.text()
        if self._cursor.data.find(b"\\", begin, end) < 0:
            return self._cursor.data[begin:end]
        return _unescaped(self._cursor.data[begin - 1 : end + 1]).encode()

    def _base64(self) -> bytes | bytearray:
        """Bytes; when they are only looked at, as many zeros, which take no memory."""
        if self._cursor.peek() != '"':
            raise Damage(f"not base64: {shown(self._value(DEEPEST))}")
        begin, end = self._cursor.text()
        data = self._cursor.data
        length = end - begin
        if length % 4 or not _BASE64.fullmatch(data, begin, end):
            raise Damage(f"not base64: the text from byte {begin} on")
        size = length // 4 * 3 - data.count(b"=", begin, end)
        if self._looks:
            return bytes(size)
        made = bytearray(size)
        for at in range(0, length, _QUADS):
            piece = binascii.a2b_base64(data[begin + at : min(begin + at + _QUADS, end)])
            made[at // 4 * 3 : at // 4 * 3 + len(piece)] = piece
        return made


class _Place:
    """A context in which damage names the part of the file."""

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Damage):
            raise type(error)(f"{self._place}: {str(error).strip(' :')}") from error


def _light(value: Any) -> Any:
    """For a value that is only looked at, one that holds less."""
    return SEEN if type(value) is type(SEEN) else light(value)


def _unescaped(quoted: bytes) -> str:
    import json

    try:
        found: str = json.loads(quoted)
    except ValueError as error:
        raise Damage(f"not JSON: {error}") from error
    return found


def _check_format(document: Mapping[str, Any]) -> None:
    """Raise Damage unless it is the text of a MetaGraph, and of a version that is known."""
    if document.get("format") != FORMAT:
        raise Damage(f'JSON, but its "format" is not {FORMAT!r}')
    if document.get("version") != VERSION:
        found = shown(document.get("version"))
        raise LaterVersion(f"is a text .meta file of version {found}; this ckpt reads {VERSION}")
