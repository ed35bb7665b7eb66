"""Reads our HDF5 files by their index, at offsets, verifying every byte read; never through HDF5.

Must not know graphs, sessions or prefixes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.checksum import crc32c
from ckpt.core.errors import DataLossError, InvalidArgumentError, NotFoundError
from ckpt.formats import hdf5_index, string_payload
from ckpt.formats.base import Slices, StrPath, TensorSpec
from ckpt.formats.hdf5_index import Part, Tensor
from ckpt.formats.hdf5_volumes import Volume, open_checkpoint

if TYPE_CHECKING:
    from typing import Self

Array = np.ndarray[Any, Any]

_TASK = 8 * 1024 * 1024  # bytes that one thread reads before it takes the next task
_STRIPE = 4 * 1024 * 1024  # bytes of whole rows read to take columns out of them


class Hdf5Reader:
    """The tensors of one of our files, or of the shards that a `.index` names. All methods may be called by several threads at once."""

    def __init__(self, path: StrPath) -> None:
        self._checkpoint = open_checkpoint(path)
        self._index = self._checkpoint.index
        self._files = [volume.file for volume in self._checkpoint.volumes]

    @property
    def path(self) -> str:
        """The path that was opened."""
        return self._checkpoint.path

    @property
    def aliases(self) -> Mapping[str, str]:
        """Further names of tensors; `spec` and `read` take them too."""
        return self._index.aliases

    def names(self) -> list[str]:
        """All tensor names, in the order they were written; aliases are not among them."""
        return list(self._index.tensors)

    def spec(self, name: str) -> TensorSpec:
        """Dtype, full shape and size. Raises NotFoundError."""
        tensor = self._tensor(name)
        return TensorSpec(
            name, tensor.dtype, tensor.shape, sum(part.length for part in tensor.parts)
        )

    def parts(self, name: str) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """First index and shape of each part that this file holds; one entry for a whole tensor."""
        return [(part.starts, part.shape) for part in self._tensor(name).parts]

    def metadata(self) -> Mapping[str, str]:
        """The strings that the writer left."""
        return self._index.metadata

    def metagraph(self) -> bytes | None:
        """The MetaGraph, verified; None when the file has none. Raises DataLossError."""
        blob = self._index.metagraph
        if blob is None:
            return None
        data = self._files[blob.file].read(blob.offset, blob.length)
        if crc32c(data) != blob.crc:
            raise self._damage("the MetaGraph does not match its checksum")
        return data

    def read(self, name: str, part: Slices | None = None, out: Array | None = None) -> Array:
        """The values of a tensor, or of `part` of it: one slice of step 1 per leading axis.

        They are read into `out` where given, which must have the right dtype and shape. Raises NotFoundError,
        InvalidArgumentError, and DataLossError when any byte needed is damaged (then `out` is undefined).
        """
        tensor = self._tensor(name)
        box = _box(name, tensor.shape, part)
        if tensor.dtype == "string":
            return self._read_strings(tensor, box, out)
        out = self._target(tensor, box, out)
        if tensor.is_whole:
            self._fill(tensor, tensor.parts[0], box, out)
        else:
            self._fill_from_parts(tensor, box, out)
        self._settle(tensor, out)
        return out

    def read_into(self, arrays: Mapping[str, Array], *, threads: int | None = None) -> None:
        """Read whole tensors into the arrays given, several at a time: the fastest way to restore.

        Raises what `read` raises; then the arrays are undefined.
        """
        tasks: list[_Task] = []
        for name, out in arrays.items():
            tensor = self._tensor(name)
            direct = tensor.is_whole and tensor.dtype != "string" and out.flags.c_contiguous
            if not direct:
                self.read(name, out=out)
                continue
            self._target(tensor, _box(name, tensor.shape, None), out)
            tasks += self._tasks(tensor, out)
        workers = threads or min(4, os.cpu_count() or 1)
        if workers == 1 or sum(task[3].nbytes for task in tasks) <= _TASK:
            for task in tasks:
                self._read_range(*task)
        else:
            with ThreadPoolExecutor(workers) as pool:
                for _ in pool.map(lambda task: self._read_range(*task), tasks):
                    pass
        for name, out in arrays.items():
            self._settle(self._tensor(name), out)

    def verify(self) -> None:
        """Read every byte of the file. Raises DataLossError naming all that is damaged."""
        scratch = memoryview(bytearray(self._index.block))
        damaged = []
        for tensor in self._index.tensors.values():
            try:
                for part in tensor.parts:
                    self._verify_part(tensor, part, scratch)
            except DataLossError:
                damaged.append(f"tensor {tensor.name!r}")
        try:
            self.metagraph()
        except DataLossError:
            damaged.append("the MetaGraph")
        for volume in self._checkpoint.volumes:
            if _structure_checksum(volume) != volume.index.structure_crc:
                where = "" if len(self._files) == 1 else f" of {volume.file.path}"
                damaged.append(f"the HDF5 structure{where} (values are not affected)")
        if damaged:
            raise self._damage(
                f"{len(damaged)} pieces do not match their checksums: {', '.join(damaged)}"
            )

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        self._checkpoint.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tensor(self, name: str) -> Tensor:
        tensors = self._index.tensors
        tensor = tensors.get(self._index.aliases.get(name, name))
        if tensor is None:
            raise NotFoundError(
                None,
                None,
                f"{self.path}: tensor {name!r} is not among the {len(tensors)} in the file",
            )
        return tensor

    def _target(self, tensor: Tensor, box: _Box, out: Array | None) -> Array:
        shape = tuple(n for _, n in box)
        kind = np.dtype(dtypes.as_dtype(tensor.dtype).as_numpy_dtype)
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
        if (
            prod(shape) > held
        ):  # checked before memory is taken: the full shape of a part is only a claim
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
        rows = _leading(part.shape, box)
        if rows is not None and out.flags.c_contiguous:
            first, _ = rows
            item = out.itemsize
            self._read_range(tensor, part, first * item, _bytes_of(out))
            return
        shape, box = part.shape or (1,), box or ((0, 1),)
        out = out.reshape(tuple(n for _, n in box)) if out.ndim == 0 else out
        start, count = box[0]
        inner: Slices = (slice(None), *(slice(a, a + n) for a, n in box[1:]))
        row = prod(shape[1:]) * out.itemsize
        step = max(1, _STRIPE // row)
        for first in range(start, start + count, step):
            number = min(step, start + count - first)
            stripe = np.empty((number, *shape[1:]), out.dtype)
            self._read_range(tensor, part, first * row, _bytes_of(stripe))
            out[first - start : first - start + number] = stripe[inner]

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
        out = self._target(tensor, box, out)
        filled = np.zeros(out.shape, bool)
        for part in tensor.parts:
            shared = _shared(part, box)
            if shared is None:
                continue
            payload = bytearray(part.length)
            self._read_range(tensor, part, 0, memoryview(payload))
            try:
                values = string_payload.decode(bytes(payload), part.shape)
            except ValueError as error:
                raise self._damage(f"tensor {tensor.name!r}: {error}") from error
            inside, outside = shared
            out[outside] = values[tuple(slice(a, a + n) for a, n in inside)]
            filled[outside] = True
        if not filled.all():
            raise self._incomplete(tensor, out.shape)
        return out

    def _tasks(self, tensor: Tensor, out: Array) -> Iterator[_Task]:
        view = _bytes_of(out)
        step = max(_TASK // self._index.block, 1) * self._index.block
        for start in range(0, len(view), step):
            yield tensor, tensor.parts[0], start, view[start : start + step]

    def _read_range(self, tensor: Tensor, part: Part, start: int, view: memoryview) -> None:
        """Fill `view` with the bytes of `part` from `start`, verified in the pass that reads them."""
        block, end = self._index.block, start + len(view)
        for number in range(start // block, -(-end // block)):
            low = number * block
            high = min(low + block, part.length)
            if start <= low and high <= end:
                self._read_block(tensor, part, number, view[low - start : high - start])
                continue
            whole = memoryview(bytearray(high - low))
            self._read_block(tensor, part, number, whole)
            first, last = max(low, start), min(high, end)
            view[first - start : last - start] = whole[first - low : last - low]

    def _read_block(self, tensor: Tensor, part: Part, number: int, view: memoryview) -> None:
        offset = part.offset + number * self._index.block
        file = self._files[part.file]
        file.read_into(view, offset)
        found = crc32c(view)
        if found != part.crcs[number]:
            where = "" if len(self._files) == 1 else f" of {file.path}"
            raise self._damage(
                f"tensor {tensor.name!r}: bytes {offset} to {offset + len(view)}{where} have CRC32C {found:08x}, "
                f"expected {part.crcs[number]:08x}"
            )

    def _verify_part(self, tensor: Tensor, part: Part, scratch: memoryview) -> None:
        block = self._index.block
        for number in range(len(part.crcs)):
            self._read_block(
                tensor, part, number, scratch[: min(block, part.length - number * block)]
            )

    def _settle(self, tensor: Tensor, out: Array) -> None:
        """Bytes to values: refuse what is no bool, swap where the machine is big-endian."""
        if tensor.dtype == "bool" and out.size and out.view(np.uint8).max() > 1:
            raise self._damage(
                f"tensor {tensor.name!r}: holds bytes that are neither true nor false"
            )
        if sys.byteorder == "big" and tensor.dtype != "string":
            out.byteswap(inplace=True)

    def _damage(self, found: str) -> DataLossError:
        return DataLossError(None, None, f"{self.path}: {found}; restore the file from a copy")


def _structure_checksum(volume: Volume) -> int:
    """CRC32C of all bytes, in file order, that are neither header nor index nor under another checksum."""
    file, block = volume.file, volume.index.block
    covered = sorted([*((at, n) for at, n, _ in hdf5_index.ranges(volume.index)), volume.own])
    position, crc = hdf5_index.HEADER, 0
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
_Task = tuple[Tensor, Part, int, memoryview]  # what _read_range takes


def _box(name: str, shape: tuple[int, ...], part: Slices | None) -> _Box:
    part = part or ()
    if len(part) > len(shape) or any(cut.step not in (None, 1) for cut in part):
        raise InvalidArgumentError(
            None,
            None,
            f"tensor {name!r}: expected at most {len(shape)} slices of step 1, got {part}",
        )
    cuts = (*part, *(slice(None),) * (len(shape) - len(part)))
    bounds = (cut.indices(full)[:2] for cut, full in zip(cuts, shape, strict=True))
    return tuple((start, max(stop - start, 0)) for start, stop in bounds)


def _leading(shape: tuple[int, ...], box: _Box) -> tuple[int, int] | None:
    """First element and count when `box` is one run of a row-major array of `shape`, else None."""
    axis = 0
    while axis < len(shape) and box[axis][1] == 1:
        axis += 1
    if any(n != full for (_, n), full in zip(box[axis + 1 :], shape[axis + 1 :], strict=True)):
        return None
    first = 0
    for (start, _), full in zip(box, shape, strict=True):
        first = first * full + start
    return first, prod(n for _, n in box)


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


def _bytes_of(array: Array) -> memoryview:
    return memoryview(array.reshape(-1).view(np.uint8))
