"""What can still be had of a damaged checkpoint: every tensor whose bytes match their checksums, in a new one.

Nothing is guessed: a value whose checksum is lost or wrong is lost. The damaged files stay as they are.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

from ckpt.core import storage
from ckpt.core.checksum import crc32c
from ckpt.core.errors import DataLossError, OpError
from ckpt.core.limits import MAX_META_BYTES
from ckpt.core.storage import Input
from ckpt.core.system import StrPath
from ckpt.formats import detect, hdf5
from ckpt.formats.base import SliceSpec, TensorEntry
from ckpt.formats.hdf5_columns import parse_index
from ckpt.formats.hdf5_header import pack_header
from ckpt.formats.hdf5_layout import HEADER
from ckpt.formats.hdf5_reader import Hdf5Reader
from ckpt.formats.hdf5_volumes import MAX_EXPANSION
from ckpt.formats.hdf5_writer import write
from ckpt.formats.shard_index import SHARD_MAGIC, SHARD_NAME, read_shard_index
from ckpt.saver.meant import checkpoint_meant
from ckpt.saver.output import check_free, make_home
from ckpt.wire import metagraph_file

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_FIELDS = struct.Struct("<24xQQQI")
"""Of a header: offset and length of the index, length of the file, CRC of the index."""
_BEGINNING = b"\xa5block"  # the first key of an index
_SEARCHED = 64 << 20  # bytes at the end of a file among which an index is looked for
_LONGEST = 1 << 63  # bytes of a file


@dataclass(frozen=True, slots=True)
class SalvageReport:
    """What `salvage` recovered and what is lost: names with the reason, and files that nobody can read.

    `has_graph` is False where the MetaGraph is lost too, or was never there. `output` are the files written.
    """

    recovered: tuple[str, ...]
    lost: Mapping[str, str]
    lost_files: Mapping[str, str]
    has_graph: bool
    output: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is lost."""
        return not self.lost and not self.lost_files


@dataclass(slots=True)
class _Found:
    entries: list[TensorEntry] = field(default_factory=list)
    held: dict[str, int] = field(default_factory=dict)  # elements found so far
    sizes: dict[str, int] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    lost_files: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    metagraph: bytes | None = None


def salvage(
    path: StrPath, output: StrPath, *, force: bool = False, dry_run: bool = False
) -> SalvageReport:
    """Write every tensor of a damaged checkpoint whose bytes are right to a new checkpoint `<output>.h5`.

    `path` is a prefix, a file of one, or a directory or its state file (the newest checkpoint): header, index, values, graph
    or whole shards may be damaged or gone. Of a file whose index is cut off nothing can be told apart from damage; of one
    that is cut behind it, all is recovered that is there. Restoring the result into the whole model takes
    `on_missing="init"` or `"keep"`. Raises NotFoundError when there is no such checkpoint, AlreadyExistsError when
    the output is there (unless `force`), DataLossError when nothing at all can be recovered; nothing is written then.
    """
    prefix = os.fspath(output).removesuffix(".h5")
    targets = [f"{prefix}.h5", f"{prefix}.meta"]
    check_free(targets, force=force or dry_run)
    source = detect.resolve(checkpoint_meant(path))
    found = _Found()
    for file in _files(source, found):
        _take(file, found, follow=file == source)
    _take_graph_beside(source, found)
    _settle(found)
    if not found.entries:
        reasons = [*found.lost_files.values(), *found.lost.values()]
        raise DataLossError(None, None, f"{source}: nothing can be recovered: {'; '.join(reasons)}")
    recovered = tuple(dict.fromkeys(entry.name for entry in found.entries))
    written = targets if found.metagraph is not None else targets[:1]
    if not dry_run:
        make_home(prefix)
        aliases = {alias: name for alias, name in found.aliases.items() if name in recovered}
        write(
            targets[0],
            found.entries,
            metadata=found.metadata,
            aliases=aliases,
            metagraph=found.metagraph,
        )
        if found.metagraph is None:
            storage.remove_file(targets[1])  # what was there belongs to other values
        else:
            storage.write_file(targets[1], found.metagraph)
    return SalvageReport(
        recovered,
        found.lost,
        found.lost_files,
        found.metagraph is not None,
        () if dry_run else tuple(written),
    )


def _files(source: str, found: _Found) -> Iterator[str]:
    """The files that hold the tensors: this one, or the shards that it names, or names that look like its shards."""
    with storage.open_input(source) as file:
        is_index = file.read(0, min(file.size, len(SHARD_MAGIC))) == SHARD_MAGIC
        if not is_index and not source.endswith(".index"):
            yield source
            return
        directory, stem = storage.split(source.removesuffix(".index"))
        try:
            names = [shard.name for shard in read_shard_index(file)]
        except OpError as error:
            found.lost_files[source] = error.message
            matches = map(SHARD_NAME.fullmatch, storage.names_in(directory))
            own = [match for match in matches if match and match["stem"] == stem]
            if len({match["save"] for match in own}) > 1:
                return  # of two saves nobody can tell which is meant
            names = [match[0] for match in own]
    for name in names:
        yield storage.joined(directory, name)


def _take(file: str, found: _Found, *, follow: bool) -> None:
    """Everything in one file that can be read; a shard is no link."""
    try:
        reader, size = _opened(file, follow=follow)
    except OpError as error:
        found.lost_files[file] = error.message
        return
    with reader:
        if not found.metadata:
            found.metadata = dict(reader.metadata())
        found.aliases |= reader.aliases
        for name in reader.names():
            shape = reader.spec(name).shape
            found.sizes[name] = prod(shape)
            if (end := reader.end_of(name)) > size:
                found.lost[name] = f"{file}: is cut off at byte {size}; the tensor ends at {end}"
                continue
            for starts, sizes in reader.parts(name):
                cut = tuple(slice(a, a + n) for a, n in zip(starts, sizes, strict=True))
                try:
                    values = reader.read(name, cut)
                except OpError as error:
                    found.lost[name] = error.message
                    continue
                piece = None if tuple(sizes) == tuple(shape) else SliceSpec(shape, starts)
                found.entries.append(TensorEntry(name, values, piece))
                found.held[name] = found.held.get(name, 0) + prod(sizes)
        if found.metagraph is None:
            with suppress(OpError):
                found.metagraph = _checked_graph(reader.metagraph(), file)


def _opened(file: str, *, follow: bool) -> tuple[Hdf5Reader, int]:
    """A reader of the file, and its length; where the header is wrong and the index is not, under one that is right."""
    opened = storage.open_input(file, follow=follow)
    try:
        return hdf5.open_reader(file, file=storage.open_input(file, follow=follow)), opened.size
    except DataLossError:
        place = _index_in(opened)
        if place is None:
            raise
        data = opened.read(*place)
        whole = max(opened.size, parse_index(data, file).extent(place) or 0)  # before it was cut
        if whole > _LONGEST:
            raise
        most = MAX_EXPANSION * opened.size // whole  # of what is there, not of what was
        again = _Reheaded(
            storage.open_input(file, follow=follow), pack_header(place[0], data, whole), whole
        )
        try:
            return hdf5.open_reader(file, max_expansion=most, file=again), opened.size
        except BaseException:
            again.close()
            raise
    finally:
        opened.close()


def _index_in(file: Input) -> tuple[int, int] | None:
    """Offset and length of the index: where the header says, should its checksum agree, or at the end of the file."""
    if file.size < HEADER:
        return None
    at, length, _, crc = _FIELDS.unpack_from(file.read(0, HEADER))
    is_inside = 0 < length < _SEARCHED and at + length <= file.size
    if is_inside and crc32c(file.read(at, length)) == crc:
        return at, length
    begin = max(0, file.size - _SEARCHED)
    tail = file.read(begin, file.size - begin)
    key = tail.rfind(_BEGINNING)
    for before in (1, 3, 5):  # a map's own header
        if key >= before:
            with suppress(OpError):
                parse_index(tail[key - before :], file.path)
                return begin + key - before, len(tail) - key + before
    return None


class _Reheaded:
    """An open file with another header, which may be of a longer file: what is not there cannot be read."""

    def __init__(self, file: Input, header: bytes, size: int) -> None:
        self.path, self.size = file.path, size
        self._file, self._header = file, header

    def read(self, offset: int, length: int) -> bytes:
        data = self._file.read(offset, length)
        return self._header[offset : offset + length] + data[max(0, HEADER - offset) :]

    def read_into(self, view: memoryview, offset: int) -> None:
        self._file.read_into(view, offset)  # values lie behind the header

    def read_into_each(self, buffers: Sequence[Any], offset: int, length: int) -> None:
        self._file.read_into_each(buffers, offset, length)

    def map(self) -> None:
        return None

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        self.close()


def _take_graph_beside(source: str, found: _Found) -> None:
    if found.metagraph is None:
        beside = source.removesuffix(".h5").removesuffix(".index") + ".meta"
        with suppress(OpError):
            data = storage.read_file(beside, limit=MAX_META_BYTES)
            found.metagraph = _checked_graph(data, beside)


def _checked_graph(data: bytes | None, where: str) -> bytes | None:
    """The bytes of a MetaGraph that can be read. Raises OpError for others."""
    if data is not None:
        metagraph_file.load(data, where)
    return data


def _settle(found: _Found) -> None:
    """Take back the parts of tensors that are not whole, and say what is missing."""
    for name, size in found.sizes.items():
        if found.held.get(name, 0) != size and name not in found.lost:
            found.lost[name] = f"{found.held.get(name, 0)} of {size} elements are there"
    found.entries = [entry for entry in found.entries if entry.name not in found.lost]
