"""Bytes of parts, each verified in the pass that reads it. Must not know shapes or dtypes."""

from __future__ import annotations

from collections.abc import Sequence
from mmap import mmap
from typing import Any

from ckpt.core.checksum import crc32c
from ckpt.core.errors import DataLossError, UnimplementedError
from ckpt.formats import hdf5_filters
from ckpt.formats.hdf5_index import Part, Tensor
from ckpt.formats.hdf5_volumes import Checkpoint

_ADVICE = "; restore the file from a copy"

STEP = 1024 * 1024  # bytes read at once: verified while they are in the caches of a core


class Blocks:
    """The files of a checkpoint as verified bytes. Any number of threads may use it."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.path = checkpoint.path
        self._files = [volume.file for volume in checkpoint.volumes]
        self._sizes = [volume.index.block for volume in checkpoint.volumes]
        self._maps: dict[int, mmap | None] = {}

    def read(self, tensor: Tensor, part: Part, start: int, view: memoryview) -> None:
        """Fill `view` with the bytes of `part` from `start`; blocks that it only touches are read whole."""
        file, block = self._files[part.file], self._sizes[part.file]
        end = start + len(view)
        step = max(STEP // block, 1) * block
        for low in range(start // block * block, end, step):
            high = min(low + step, part.length, -(-end // block) * block)
            head = bytearray(max(start - low, 0))
            tail = bytearray(max(high - end, 0))
            piece = view[low + len(head) - start : high - len(tail) - start]
            if head or tail:
                file.read_into_each((head, piece, tail), part.offset + low, high - low)
            else:
                file.read_into(piece, part.offset + low)
            self.check(tensor, part, low, piece, head, tail)

    def read_chunk(self, tensor: Tensor, part: Part, number: int, item: int) -> bytes:
        """A chunk, verified and without its filters. Raises DataLossError, UnimplementedError for filters that are not here."""
        assert part.chunks is not None
        stored = self._files[part.file].read(
            part.chunks.offsets[number], part.chunks.lengths[number]
        )
        if crc32c(stored) != part.crcs[number]:
            where = part.chunks.offsets[number], len(stored)
            raise self.mismatch(tensor.name, part.file, *where, part.crcs[number])
        try:
            return hdf5_filters.decode(stored, part.chunks.pipeline, part.chunks.shape, item)
        except ValueError as error:
            raise self.damage(f"tensor {tensor.name!r}: chunk {number}: {error}") from error
        except UnimplementedError as error:
            told = f"{self.path}: tensor {tensor.name!r}: {error}"
            raise UnimplementedError(None, None, told) from error

    def read_raw(self, file: int, offset: int, length: int, buffers: Sequence[Any]) -> None:
        """Fill at most 1,024 buffers, one after the other, from one of the files, unverified: the caller checks."""
        self._files[file].read_into_each(buffers, offset, length)

    def check(
        self,
        tensor: Tensor,
        part: Part,
        low: int,
        view: memoryview,
        head: bytes | bytearray = b"",
        tail: bytes | bytearray = b"",
    ) -> None:
        """Raise DataLossError unless `head`, `view` and `tail` are the bytes of `part` from `low`, a multiple of its block.

        Head and tail are what the first and the last block have besides: less than a block each.
        """
        block = self._sizes[part.file]
        number, at = low // block, -len(head)
        while at < len(view):
            crc = crc32c(head) if at < 0 else 0
            crc = crc32c(view[max(at, 0) : at + block], crc)
            if at + block > len(view):
                crc = crc32c(tail, crc)
            if crc != part.crcs[number]:
                where = part.offset + number * block, min(block, part.length - number * block)
                raise self.mismatch(tensor.name, part.file, *where, part.crcs[number])
            number, at = number + 1, at + block

    def mapped(self, tensor: Tensor, part: Part) -> memoryview | None:
        """The bytes of a raw part as a view of the file, unverified; None where files cannot be mapped."""
        if part.file not in self._maps:
            self._maps[part.file] = self._files[part.file].map()
        memory = self._maps[part.file]
        if memory is None:
            return None
        return memoryview(memory)[part.offset : part.offset + part.length]

    def verify(self, tensor: Tensor, part: Part) -> None:
        """Read all bytes of a part, in pieces. Raises DataLossError."""
        if part.chunks is None:
            scratch = memoryview(bytearray(min(max(STEP, self._sizes[part.file]), part.length)))
            step = max(STEP // self._sizes[part.file], 1) * self._sizes[part.file]
            for low in range(0, part.length, step):
                self.read(tensor, part, low, scratch[: min(step, part.length - low)])
            return
        for number, (offset, length) in enumerate(
            zip(part.chunks.offsets, part.chunks.lengths, strict=True)
        ):
            if crc32c(self._files[part.file].read(offset, length)) != part.crcs[number]:
                raise self.mismatch(tensor.name, part.file, offset, length, part.crcs[number])

    def damage(self, found: str) -> DataLossError:
        """The error that says what is damaged, and where."""
        return DataLossError(None, None, f"{self.path}: {found}{_ADVICE}")

    def told(self, error: DataLossError) -> str:
        """What `damage` was told when it made this error."""
        return error.message.removeprefix(f"{self.path}: ").removesuffix(_ADVICE)

    def mismatch(
        self, name: str, file: int, offset: int, length: int, expected: int
    ) -> DataLossError:
        """The error for bytes that do not have the checksum `expected`, with the one that they have."""
        where = "" if len(self._files) == 1 else f" of {self._files[file].path}"
        found = crc32c(self._files[file].read(offset, length))
        return self.damage(
            f"tensor {name!r}: bytes {offset} to {offset + length}{where} do not have the CRC32C "
            f"{expected:08x}, but {found:08x}"
        )
