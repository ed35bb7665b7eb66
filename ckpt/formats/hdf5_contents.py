"""What a file will hold, before anyone knows where: named arrays, checked, described, their parts joined.

There may be many thousands, so what is known of them is kept in columns, and a tensor whose memory is its bytes stays the
array that it is until someone asks for its `Box`. Must not know where things lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.checksum import crc32c
from ckpt.core.errors import InvalidArgumentError
from ckpt.formats import partition, string_payload
from ckpt.formats.array_bytes import bytes_of, is_ready, pieces, plain
from ckpt.formats.base import SliceSpec, StrPath, TensorEntry
from ckpt.formats.hdf5_chunks import chunk_shape, stored_chunks
from ckpt.formats.hdf5_layout import MOST_TENSORS

if TYPE_CHECKING:
    from ckpt.formats.hdf5_index import Pipeline

    Array = np.ndarray[Any, Any]

Write = Callable[[bytes, int], None]


@dataclass(slots=True)
class Box:
    """A tensor, or one part of it: where its bytes come from and, once planned and written, where they went."""

    name: str
    dtype: str
    full_shape: tuple[int, ...]
    starts: tuple[int, ...]
    shape: tuple[int, ...]
    arrays: tuple[Array, ...]  # plain; their bytes, one after the other, are those of the box
    length: int
    is_ready: bool  # the memory of one array is the bytes
    offset: int = 0
    crcs: list[int] = field(default_factory=list)
    chunks: WrittenChunks | None = None

    def steps(self, size: int) -> Iterator[memoryview]:
        """The bytes, in pieces of `size`; each is overwritten by the next."""
        if self.is_ready:
            view = bytes_of(self.arrays[0])
            for start in range(0, self.length, size):
                yield view[start : start + size]
            return
        held = memoryview(bytearray(min(size, self.length)))
        filled = 0
        for array in self.arrays:
            for view in pieces(array, size):
                while len(view):
                    taken = min(len(view), len(held) - filled)
                    held[filled : filled + taken] = view[:taken]
                    filled, view = filled + taken, view[taken:]
                    if filled == len(held):
                        yield held
                        filled = 0
        if filled:
            yield held[:filled]

    def let_go(self) -> None:
        """Forget the arrays, which are written: who waits to change them in place need not copy them any more."""
        self.arrays = ()


class WrittenChunks:
    """The chunks of a box that is compressed: made, and written, while HDF5 lays out the file."""

    def __init__(self, box: Box, compression: str, write: Write) -> None:
        self._box = box
        self._write = write
        self.compression = compression
        self.chunk = chunk_shape(box.shape, box.arrays[0].itemsize)
        self.pipeline: Pipeline = ()
        self.offsets: list[int] = []
        self.lengths: list[int] = []
        box.length = 0

    def chunks(self, pipeline: Pipeline) -> Iterator[tuple[tuple[int, ...], bytes]]:
        """First index and stored bytes of each."""
        self.pipeline = pipeline
        return stored_chunks(self._box.arrays, self._box.shape, self.chunk, pipeline)

    def put(self, data: bytes, offset: int) -> None:
        """Write the next one."""
        self._box.crcs.append(crc32c(data))
        self._box.length += len(data)
        self.offsets.append(offset)
        self.lengths.append(len(data))
        self._write(data, offset)


class Contents:
    """The tensors of a file in columns, in the order of their names' first appearance.

    A value is the array itself where its memory is the bytes of the whole tensor, else the boxes of its parts. `lengths` are
    the bytes of whole tensors; `splits` counts the parts of the others, and is 0 for whole ones.
    """

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.dtypes: list[str] = []
        self.shapes: list[tuple[int, ...]] = []
        self.values: list[Array | list[Box]] = []
        self.names: list[bytes] = []
        self.lengths: list[int] = []
        self.splits: list[int] = []

    def put(self, name: str, boxes: list[Box]) -> None:
        """The parts of a tensor that was added without any."""
        row = self.rows[name]
        self.dtypes[row], self.shapes[row] = boxes[0].dtype, boxes[0].full_shape
        self.values[row] = boxes

    def complete(self) -> None:
        """Fill in the columns that follow from the others."""
        values = self.values
        self.names = [name.encode() for name in self.rows]
        if list not in set(map(type, values)):
            self.lengths = [value.nbytes for value in values]  # type: ignore[union-attr]
            self.splits = [0] * len(values)
            return
        self.lengths = [v[0].length if isinstance(v, list) else v.nbytes for v in values]
        self.splits = [len(v) if isinstance(v, list) and not _is_whole(v) else 0 for v in values]

    def boxes(self, name: str) -> list[Box]:
        """The parts of a tensor; one for a whole one."""
        row = self.rows[name]
        value = self.values[row]
        if not isinstance(value, list):
            value = self.values[row] = [_box(name, self.dtypes[row], value)]
        return value


def contents_of(path: StrPath, tensors: Iterable[TensorEntry]) -> Contents:
    """What to write. Raises InvalidArgumentError with every problem."""
    problems: list[str] = []
    contents = Contents()
    rows = contents.rows
    # for each of many thousands, a method of ours would cost more than it does
    add_dtype, add_shape = contents.dtypes.append, contents.shapes.append
    add_value = contents.values.append
    value: Array | list[Box]
    parts: dict[str, list[tuple[Array, str, SliceSpec | None]]] = {}
    kinds = _Kinds()
    for name, array, spec in tensors:
        try:
            if not name.isascii():
                name.encode()
            if type(array) is not np.ndarray:
                array = np.asarray(array)
            dtype, is_plain = kinds[array.dtype]
            if spec is not None or name in rows:
                parts.setdefault(name, []).append((array, dtype, spec))
                if name in rows:
                    continue
                value = []
            elif is_plain and array.flags.c_contiguous:
                value = array
            else:
                value = [_box(name, dtype, array)]
            rows[name] = len(rows)
            add_dtype(dtype)
            add_shape(array.shape)
            add_value(value)
        except (TypeError, ValueError) as error:  # UnicodeEncodeError is a ValueError
            problems.append(f"  {name!r}: {error}")
    for name, group in parts.items():
        try:
            value = contents.values[rows[name]]
            if not isinstance(value, list) or value:
                raise ValueError(f"is given {len(group) + 1} times")
            contents.put(name, _joined(name, group))
        except (TypeError, ValueError) as error:
            problems.append(f"  {name!r}: {error}")
    pieces = len(rows) + sum([len(contents.boxes(name)) - 1 for name in parts])
    if pieces > MOST_TENSORS:
        problems.append(
            f"  {pieces} tensors and parts are more than the {MOST_TENSORS} of one file; give a shard_size"
        )
    if problems:
        raise InvalidArgumentError(
            None,
            None,
            f"{path} cannot hold {len(problems)} of the tensors given:\n" + "\n".join(problems),
        )
    contents.complete()
    return contents


def _is_whole(boxes: list[Box]) -> bool:
    return len(boxes) == 1 and boxes[0].shape == boxes[0].full_shape


class _Kinds(dict[Any, tuple[str, bool]]):
    """Of each numpy dtype: our name of it, and whether a contiguous array's memory is what a file holds."""

    def __missing__(self, kind: np.dtype[Any]) -> tuple[str, bool]:
        try:
            name = dtypes.as_dtype(kind).name
        except TypeError:
            raise TypeError(f"has dtype {kind}, which no checkpoint holds") from None
        is_plain = kind.isbuiltin == 1 and kind == kind.newbyteorder("<") and name != "string"
        found = self[kind] = name, is_plain
        return found


def check_texts(
    path: StrPath, names: Mapping[str, Any], metadata: Mapping[str, str], aliases: Mapping[str, str]
) -> None:
    """Raise InvalidArgumentError for metadata or aliases that could not be read back."""
    problems = [
        f"  alias {a!r} of {b!r}: no such tensor" for a, b in aliases.items() if b not in names
    ]
    problems += [f"  alias {a!r}: is a tensor itself" for a in aliases if a in names]
    for texts in (metadata, aliases):
        for key, value in texts.items():
            try:
                key.encode(), value.encode()
            except (AttributeError, UnicodeEncodeError):
                problems.append(f"  {key!r} = {value!r}: expected text that UTF-8 can hold")
    if problems:
        raise InvalidArgumentError(None, None, f"{path} cannot hold:\n" + "\n".join(problems))


def _joined(name: str, group: list[tuple[Array, str, SliceSpec | None]]) -> list[Box]:
    found = sorted({dtype for _, dtype, _ in group})
    if len(found) > 1:
        raise ValueError(f"parts have different dtypes: {', '.join(found)}")
    full_shape, placed, joined = partition.join([(array, spec) for array, _, spec in group])
    if joined is not None:
        return [_box(name, found[0], *joined, shape=full_shape)]
    return [
        _box(name, found[0], array, full_shape=full_shape, starts=starts)
        for starts, array in placed
    ]


def _box(
    name: str,
    dtype: str,
    *arrays: Array,
    shape: tuple[int, ...] | None = None,
    full_shape: tuple[int, ...] | None = None,
    starts: tuple[int, ...] | None = None,
) -> Box:
    """Arrays that end to end have the `shape` (that of the one), from `starts` in a tensor of `full_shape`."""
    shape = arrays[0].shape if shape is None else shape
    full_shape = shape if full_shape is None else full_shape
    starts = (0,) * len(shape) if starts is None else starts
    if dtype == "string":
        whole = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
        arrays = (string_payload.encode(whole),)
    else:
        arrays = tuple([plain(array) for array in arrays])
    length = sum([array.nbytes for array in arrays])
    ready = len(arrays) == 1 and is_ready(arrays[0])
    return Box(name, dtype, full_shape, starts, shape, arrays, length, ready)
