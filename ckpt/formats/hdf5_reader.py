"""Reads our HDF5 files by their index, at offsets, verifying every byte read; never through HDF5.

Must not know graphs, sessions or prefixes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ckpt.core.checksum import crc32c
from ckpt.core.errors import DataLossError, InvalidArgumentError, NotFoundError
from ckpt.core.storage import Input
from ckpt.formats import hdf5_layout, string_payload
from ckpt.formats.array_bytes import bytes_of
from ckpt.formats.base import Slices, StrPath, Target, TensorSpec
from ckpt.formats.hdf5_blocks import Blocks
from ckpt.formats.hdf5_index import Part, Tensor
from ckpt.formats.hdf5_layout import BLOCK, blocks_of
from ckpt.formats.hdf5_small import numpy_dtype, read_small, small_tensors
from ckpt.formats.hdf5_volumes import MAX_EXPANSION, Volume, open_checkpoint

if TYPE_CHECKING:
    from typing import Self

Array = np.ndarray[Any, Any]

_TASK = 1024 * 1024  # bytes that one thread reads before it takes the next task
_STRIPE = 4 * 1024 * 1024  # bytes of short rows read at once to take columns out of them
_THREADS = min(4, os.cpu_count() or 1)


class Hdf5Reader:
    """The tensors of one of our files, or of the shards that a `.index` names.

    All methods may be called by several threads at once.
    """

    def __init__(
        self, path: StrPath, *, max_expansion: int | None = None, file: Input | None = None
    ) -> None:
        most = MAX_EXPANSION if max_expansion is None else max_expansion
        self._checkpoint = open_checkpoint(path, max_expansion=most, file=file)
        self._blocks = Blocks(self._checkpoint)
        self._verified: set[str] = set()  # tensors whose mapped bytes were checked

    @property
    def path(self) -> str:
        """The path that was opened."""
        return self._checkpoint.path

    @property
    def aliases(self) -> Mapping[str, str]:
        """Further names of tensors; `spec` and `read` take them too."""
        return self._checkpoint.aliases

    def names(self) -> list[str]:
        """All tensor names, in the order they were written; aliases are not among them."""
        return self._checkpoint.names()

    def spec(self, name: str) -> TensorSpec:
        """Dtype, full shape and size. Raises NotFoundError."""
        try:
            found = self._checkpoint.spec(self._checkpoint.aliases.get(name, name))
        except KeyError:
            raise self._missing(name) from None
        return found if found.name == name else found._replace(name=name)

    def parts(self, name: str) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """First index and shape of each part that this file holds; one entry for a whole tensor."""
        return [(part.starts, part.shape) for part in self._tensor(name).parts]

    def end_of(self, name: str) -> int:
        """Where in its file the last bytes of the tensor end."""
        places = []
        for part in self._tensor(name).parts:
            if part.chunks is None:
                places.append((part.offset, part.length))
            else:
                places += zip(part.chunks.offsets, part.chunks.lengths, strict=True)
        return max(offset + length for offset, length in places)

    def metadata(self) -> Mapping[str, str]:
        """The strings that the writer left."""
        return self._checkpoint.metadata

    def metagraph(self) -> bytes | None:
        """The MetaGraph, verified; None when the file has none. Raises DataLossError."""
        blob = self._checkpoint.metagraph
        if blob is None:
            return None
        data = self._checkpoint.volumes[blob.file].file.read(blob.offset, blob.length)
        if crc32c(data) != blob.crc:
            raise self._blocks.damage("the MetaGraph does not match its checksum")
        return data

    def read(self, name: str, part: Slices | None = None, out: Array | None = None) -> Array:
        """The values of a tensor, or of `part` of it: one slice of step 1 per leading axis.

        They are read into `out` where given, which must have the right dtype and shape. Raises NotFoundError,
        InvalidArgumentError, and DataLossError when any byte needed is damaged (then `out` is undefined).
        """
        tensor = self._tensor(name)
        box = self._box(tensor, part)
        if tensor.dtype == "string":
            return self._read_strings(tensor, box, out)
        out = self._target(tensor, box, out)
        if tensor.is_whole:
            self._fill(tensor, tensor.parts[0], box, out)
        else:
            self._fill_from_parts(tensor, box, out)
        self._settle(tensor, out)
        return out

    def read_into(self, arrays: Mapping[str, Array], *, threads: int = _THREADS) -> None:
        """Read whole tensors into the arrays given. Raises what `read` raises; then the arrays are undefined."""
        for name, out in arrays.items():
            self._target(self._tensor(name), None, out)
        self.read_all(list(arrays), _Given(list(arrays.values())), threads=threads)

    def read_all(self, names: Sequence[str], target: Target, *, threads: int = _THREADS) -> None:
        """Read whole tensors into `target`: small neighbours at once, large ones by several threads.

        Raises what `read` raises, NotFoundError before anything is read.
        """
        aliases = self._checkpoint.aliases
        names = [aliases.get(name, name) for name in names] if aliases else names
        left = set(range(len(names)))
        groups = []
        for index in self._checkpoint.indexes:
            found = small_tensors(index, list(map(index.rows.get, names)))
            left.difference_update(found.numbers.tolist())
            groups.append(found)
        tensors = {number: self._tensor(names[number]) for number in sorted(left)}
        with ThreadPoolExecutor(max(threads - 1, 1)) as pool:
            for number, tensor in tensors.items():
                self._read_large(number, tensor, target, pool if threads > 1 else None)
        for group in groups:
            if len(group.numbers):
                read_small(self._blocks, group, target)

    def view(self, name: str, *, verify: bool = True) -> Array | None:
        """The values of a whole tensor as a read-only view of the file in memory; None where that cannot be.

        With `verify`, all bytes of the tensor are checked the first time. Raises NotFoundError, DataLossError.
        """
        tensor = self._tensor(name)
        part, kind = tensor.parts[0], numpy_dtype(tensor.dtype)
        can_be = tensor.is_whole and part.chunks is None and sys.byteorder == "little"
        if not can_be or tensor.dtype in ("string", "bool") or part.offset % kind.alignment:
            return None
        if not part.length:
            return np.empty(tensor.shape, kind)
        memory = self._blocks.mapped(tensor, part)
        if memory is None:
            return None
        if verify and tensor.name not in self._verified:
            self._blocks.check(tensor, part, 0, memory)
            self._verified.add(tensor.name)
        return np.ndarray(tensor.shape, kind, memory)

    def verify(self) -> None:
        """Read every byte of the file. Raises DataLossError naming all that is damaged, and the first bytes of each."""
        damaged = []
        for name in self._checkpoint.names():
            tensor = self._checkpoint.tensor(name)
            try:
                for part in tensor.parts:
                    self._blocks.verify(tensor, part)
            except DataLossError as error:
                damaged.append(self._blocks.told(error))
        try:
            self.metagraph()
        except DataLossError:
            damaged.append("the MetaGraph")
        volumes = self._checkpoint.volumes
        for volume in volumes:
            if _structure_checksum(volume) != volume.index.structure_crc:
                where = "" if len(volumes) == 1 else f" of {volume.file.path}"
                damaged.append(f"the HDF5 structure{where} (values are not affected)")
        if damaged:
            raise self._blocks.damage(
                f"{len(damaged)} pieces do not match their checksums: {'; '.join(damaged)}"
            )

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        self._checkpoint.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tensor(self, name: str) -> Tensor:
        try:
            return self._checkpoint.tensor(self._checkpoint.aliases.get(name, name))
        except KeyError:
            raise self._missing(name) from None

    def _missing(self, name: str) -> NotFoundError:
        count = len(self._checkpoint.names())
        return NotFoundError(
            None, None, f"{self.path}: tensor {name!r} is not among the {count} in the file"
        )

    def _read_large(
        self, number: int, tensor: Tensor, target: Target, pool: ThreadPoolExecutor | None
    ) -> None:
        if not tensor.is_whole or tensor.dtype == "string":
            target.put([number], [self.read(tensor.name)])
            return
        out = target.begin(number, tensor.shape, numpy_dtype(tensor.dtype))
        try:
            if out.flags.c_contiguous and tensor.parts[0].chunks is None:
                self._fill_whole(tensor, bytes_of(out), pool)
                self._settle(tensor, out)
            else:
                self.read(tensor.name, out=out)
        except BaseException:
            target.abandon(number)
            raise
        target.end(number, out)

    def _fill_whole(
        self, tensor: Tensor, view: memoryview, pool: ThreadPoolExecutor | None
    ) -> None:
        """All bytes of a whole tensor, by this thread and those of the pool."""
        part = tensor.parts[0]
        starts = iter(range(0, part.length, _TASK))

        def fill() -> None:
            for start in starts:  # the threads share the iterator
                self._blocks.read(tensor, part, start, view[start : start + _TASK])

        if pool is None or part.length <= _TASK:
            fill()
            return
        others = [pool.submit(fill) for _ in range(_THREADS - 1)]
        try:
            fill()
        finally:
            wait(others)
        for other in others:
            other.result()

    def _box(self, tensor: Tensor, part: Slices | None) -> _Box:
        """What `part` means. Raises InvalidArgumentError for more slices than axes, and for steps."""
        part = part or ()
        if len(part) > len(tensor.shape) or any(cut.step not in (None, 1) for cut in part):
            raise InvalidArgumentError(
                None,
                None,
                f"{self.path}: tensor {tensor.name!r}: expected at most {len(tensor.shape)} slices of step 1, got {part}",
            )
        cuts = (*part, *(slice(None),) * (len(tensor.shape) - len(part)))
        bounds = (cut.indices(full)[:2] for cut, full in zip(cuts, tensor.shape, strict=True))
        return tuple((start, max(stop - start, 0)) for start, stop in bounds)

    def _target(self, tensor: Tensor, box: _Box | None, out: Array | None) -> Array:
        shape = tensor.shape if box is None else tuple([n for _, n in box])
        kind = numpy_dtype(tensor.dtype)
        if out is not None:
            if out.shape != shape or out.dtype != kind or not out.flags.writeable:
                raise InvalidArgumentError(
                    None,
                    None,
                    f"{self.path}: tensor {tensor.name!r}: expected a writable array of {kind} {shape}, "
                    f"got {out.dtype} {out.shape}",
                )
            return out
        held = sum(prod(part.shape) for part in tensor.parts)
        if prod(shape) > held:
            # checked before memory is taken: the full shape of a part is only a claim
            raise self._incomplete(tensor, shape)
        return np.empty(shape, kind)

    def _incomplete(self, tensor: Tensor, shape: tuple[int, ...]) -> NotFoundError:
        held = ", ".join(f"{list(p.shape)} at {list(p.starts)}" for p in tensor.parts[:5])
        return NotFoundError(
            None,
            None,
            f"{self.path}: tensor {tensor.name!r} of shape {list(tensor.shape)}: the file holds only the parts "
            f"{held}; these do not cover the {list(shape)} asked for",
        )

    def _fill(self, tensor: Tensor, part: Part, box: _Box, out: Array) -> None:
        """Copy `box`, which lies inside `part` and counts from its corner, into `out`."""
        if not out.size:
            return
        if part.chunks is not None:
            self._fill_from_chunks(tensor, part, box, out)
        else:
            self._fill_rows(tensor, part, 0, part.shape, box, out)

    def _fill_rows(
        self, tensor: Tensor, part: Part, at: int, shape: tuple[int, ...], box: _Box, out: Array
    ) -> None:
        """The same for the array of `shape` that begins `at` so many bytes: in runs, or stripes of short rows."""
        item = out.itemsize
        first = _leading(shape, box)
        if first is not None and out.flags.c_contiguous:
            self._blocks.read(tensor, part, at + first * item, bytes_of(out))
            return
        shape, box = shape or (1,), box or ((0, 1),)
        out = out.reshape(tuple(n for _, n in box)) if out.ndim == 0 else out
        start, count = box[0]
        row = prod(shape[1:]) * item
        if row > 2 * BLOCK:
            for number in range(count):
                where = at + (start + number) * row
                self._fill_rows(tensor, part, where, shape[1:], box[1:], out[number])
            return
        inner: Slices = (slice(None), *(slice(a, a + n) for a, n in box[1:]))
        step = max(1, _STRIPE // row)
        for begin in range(start, start + count, step):
            number = min(step, start + count - begin)
            stripe = np.empty((number, *shape[1:]), out.dtype)
            self._blocks.read(tensor, part, at + begin * row, bytes_of(stripe))
            out[begin - start : begin - start + number] = stripe[inner]

    def _fill_from_chunks(self, tensor: Tensor, part: Part, box: _Box, out: Array) -> None:
        """The same where the part is cut in chunks: only those that hold some of the box are read."""
        assert part.chunks is not None
        size = part.chunks.shape
        grid = tuple(map(blocks_of, part.shape, size))
        touched = [range(a // n, -(-(a + k) // n)) for (a, k), n in zip(box, size, strict=True)]
        for place in product(*touched):
            number = 0
            for index, count in zip(place, grid, strict=True):
                number = number * count + index
            data = self._blocks.read_chunk(tensor, part, number, out.itemsize)
            values = np.frombuffer(data, out.dtype).reshape(size)
            inside, outside = [], []
            for index, n, (start, count) in zip(place, size, box, strict=True):
                low, high = max(index * n, start), min((index + 1) * n, start + count)
                inside.append(slice(low - index * n, high - index * n))
                outside.append(slice(low - start, high - start))
            out[tuple(outside)] = values[tuple(inside)]

    def _fill_from_parts(self, tensor: Tensor, box: _Box, out: Array) -> None:
        filled = np.zeros(out.shape, bool)
        for part in tensor.parts:
            shared = _shared(part, box)
            if shared is None:
                continue
            inside, outside = shared
            piece = np.empty(tuple(n for _, n in inside), out.dtype)
            self._fill(tensor, part, inside, piece)
            out[outside] = piece
            filled[outside] = True
        if not filled.all():
            raise self._incomplete(tensor, out.shape)

    def _read_strings(self, tensor: Tensor, box: _Box, out: Array | None) -> Array:
        if out is not None:
            self._target(tensor, box, out)
        held = [(part, both) for part in tensor.parts if (both := _shared(part, box)) is not None]
        pieces = [
            (self._strings(tensor, part, inside), outside) for part, (inside, outside) in held
        ]
        if out is None and len(pieces) == 1 and pieces[0][0].shape == tuple(n for _, n in box):
            return pieces[0][0]
        out = self._target(tensor, box, out)  # no memory for values that turn out not to be there
        filled = np.zeros(out.shape, bool)
        for values, outside in pieces:
            out[outside] = values
            filled[outside] = True
        if not filled.all():
            raise self._incomplete(tensor, out.shape)
        return out

    def _strings(self, tensor: Tensor, part: Part, inside: _Box) -> Array:
        """What a part holds of a box that lies inside it and counts from its corner."""
        payload = bytearray(part.length)
        self._blocks.read(tensor, part, 0, memoryview(payload))
        try:
            values = string_payload.decode(payload, part.shape)
        except ValueError as error:
            raise self._blocks.damage(f"tensor {tensor.name!r}: {error}") from error
        if values.shape == tuple(n for _, n in inside):
            return values
        return values[tuple(slice(a, a + n) for a, n in inside)].copy()

    def _settle(self, tensor: Tensor, out: Array) -> None:
        """Bytes to values: refuse what is no bool, swap where the machine is big-endian."""
        if tensor.dtype == "bool" and out.size and out.view(np.uint8).max() > 1:
            raise self._blocks.damage(
                f"tensor {tensor.name!r}: holds bytes that are neither true nor false"
            )
        if sys.byteorder == "big" and tensor.dtype != "string":
            out.byteswap(inplace=True)


class _Given:
    """The target that fills arrays which the caller made; they were checked before."""

    def __init__(self, arrays: list[Array]) -> None:
        self._arrays = arrays

    def put(self, numbers: Sequence[int], values: Sequence[Array]) -> None:
        for number, array in zip(numbers, values, strict=True):
            self._arrays[number][...] = array

    def begin(self, number: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        return self._arrays[number]

    def end(self, number: int, array: Array) -> None:
        pass

    def abandon(self, number: int) -> None:
        pass


def _structure_checksum(volume: Volume) -> int:
    """CRC32C of all bytes, in file order, that are neither header nor index nor under another checksum."""
    file, block = volume.file, volume.index.block
    covered = sorted([*volume.index.ranges(), volume.own])
    position, crc = hdf5_layout.HEADER, 0
    for offset, length in [*covered, (file.size, 0)]:
        while position < offset:
            piece = file.read(position, min(offset - position, block))
            crc = crc32c(piece, crc)
            position += len(piece)
        position = offset + length
    return crc


def verify(path: StrPath) -> None:
    """Read every byte of the file. Raises DataLossError naming the file and all that is damaged in it."""
    with Hdf5Reader(path) as reader:
        reader.verify()


_Box = tuple[tuple[int, int], ...]  # first index and count, per axis


def _leading(shape: tuple[int, ...], box: _Box) -> int | None:
    """The first element when `box` is one run of a row-major array of `shape`, else None."""
    axis = 0
    while axis < len(shape) and box[axis][1] == 1:
        axis += 1
    if any(n != full for (_, n), full in zip(box[axis + 1 :], shape[axis + 1 :], strict=True)):
        return None
    first = 0
    for (start, _), full in zip(box, shape, strict=True):
        first = first * full + start
    return first


def _shared(part: Part, box: _Box) -> tuple[_Box, Slices] | None:
    """What `part` holds of `box`: counted from the part's corner, and from the corner of `box`."""
    inside, outside = [], []
    for (start, count), corner, size in zip(box, part.starts, part.shape, strict=True):
        low, high = max(start, corner), min(start + count, corner + size)
        if low >= high:
            return None
        inside.append((low - corner, high - low))
        outside.append(slice(low - start, high - start))
    return tuple(inside), tuple(outside)
