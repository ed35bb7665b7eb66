"""The variables of one checkpoint file, listed by its index alone: what `ckpt inspect` mostly does. Imports next to nothing.

A file that is not simply ours and undamaged has no listing here: `report.inspect` then reads it, or says what is wrong.
"""

from __future__ import annotations

import os
from stat import S_ISREG

from ckpt.core.checksum import crc32c
from ckpt.formats.hdf5_layout import (
    FORMAT,
    HEADER,
    Columns,
    extent,
    flat_fields,
    in_order,
    parse_header,
    product,
    step_from,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt.wire.metagraph_summary import MetaGraphSummary

    Kind = tuple[str, tuple[int, ...], int]

_LARGEST_GRAPH = 1 << 28  # bytes


class Listing:
    """What there is to be shown of a checkpoint file; `report.CheckpointReport` says the same of any checkpoint.

    Variable n is called `names[n]`; its dtype, shape and stored bytes are `kinds[kind_of[n]]`.
    """

    format = FORMAT

    def __init__(
        self,
        path: str,
        columns: Columns,
        kinds: tuple[list[Kind], list[int]],
        graph: MetaGraphSummary | None,
    ) -> None:
        self.path, self.names, self.graph = path, columns.names, graph
        self.kinds, self.kind_of = kinds
        self.step = step_of(columns.metadata, path)
        self.total = columns.count
        sizes = [product(shape) for _, shape, _ in self.kinds]
        self.elements = sum([sizes[kind] for kind in self.kind_of])
        self.nbytes = sum(columns.column("lengths", "Q", self.total))

    @property
    def variables(self) -> Sequence[tuple[str, str, tuple[int, ...], int]]:
        """Name, dtype, shape and stored bytes of each variable."""
        kinds = self.kinds
        return [(name, *kinds[kind]) for name, kind in zip(self.names, self.kind_of, strict=True)]


def listing(path: str) -> Listing | None:
    """The listing of the file or prefix `path`; None when that needs more, or is not as it should be."""
    try:
        fd, path = _opened(path)
        try:
            return _read(fd, path)
        finally:
            os.close(fd)
    except (OSError, ValueError, LookupError, TypeError, OverflowError):
        return None


def _opened(path: str) -> tuple[int, str]:
    """The file of that name, else the one whose prefix it is. Raises OSError also when that takes a closer look."""
    if path.endswith(".meta"):
        raise FileNotFoundError(path)
    if not os.path.lexists(path):
        if os.path.lexists(f"{path}.index"):
            raise FileNotFoundError(path)
        path += ".h5"
    return _open(path), path


def _open(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def _read(fd: int, path: str) -> Listing | None:
    found = os.fstat(fd)
    if not S_ISREG(found.st_mode):
        return None
    own, crc = parse_header(os.pread(fd, HEADER, 0), found.st_size)
    data = os.pread(fd, own[1], own[0])
    fields = flat_fields(data) if crc32c(data) == crc else None
    if fields is None:
        return None
    columns = Columns(fields)
    kinds = columns.whole()
    if kinds is None or not _lie_apart(columns, own, found.st_size):
        return None
    return Listing(path, columns, kinds, _graph(fd, path, columns.metagraph))


def _lie_apart(columns: Columns, own: tuple[int, int], file_length: int) -> bool:
    """True when nothing overlaps, nor lies outside the file. False may also mean that it takes a closer look."""
    offsets = columns.column("offsets", "Q", columns.count)
    lengths = columns.column("lengths", "Q", columns.count)
    pieces = [own]
    if columns.metagraph is not None:
        pieces.append(columns.metagraph[:2])
    if columns.count and in_order(offsets, lengths):
        pieces.append((offsets[0], offsets[-1] + lengths[-1] - offsets[0]))
    else:
        pieces += zip(offsets, lengths, strict=True)
    end = extent(pieces)
    return end is not None and end <= file_length


def _graph(fd: int, path: str, place: tuple[int, int, int] | None) -> MetaGraphSummary | None:
    """What is in the graph of the file open at `fd`, or beside it. Raises OSError or ValueError when it is not ours."""
    if place is not None and place[1]:
        return _counted(_read_graph(fd, place[1], place[0]))
    meta = meta_beside(path)
    if not os.path.lexists(meta):
        return None
    fd = _open(meta)
    try:
        found = os.fstat(fd)
        if not S_ISREG(found.st_mode):
            raise ValueError("no file")
        return _counted(_read_graph(fd, found.st_size, 0))
    finally:
        os.close(fd)


def _read_graph(fd: int, length: int, offset: int) -> bytes:
    if length > _LARGEST_GRAPH:  # memory is taken before anything is read
        raise ValueError("a large graph")
    return os.pread(fd, length, offset)


def _counted(data: bytes) -> MetaGraphSummary:
    from ckpt.wire.metagraph_body import Damage
    from ckpt.wire.metagraph_summary import summarised

    try:
        return summarised(data)
    except Damage as error:
        raise ValueError("not ours") from error


def meta_beside(file: str) -> str:
    """Where the graph of a checkpoint file lies that holds none."""
    return os.path.splitext(file)[0] + ".meta"


def step_of(metadata: Mapping[str, str], file: str) -> int | None:
    """The global step: what the writer noted, else the number at the end of the file's name."""
    step = step_from(metadata.get("step", ""))
    if step is None:
        _, dash, tail = os.path.splitext(os.path.basename(file))[0].rpartition("-")
        step = step_from(tail) if dash else None
    return step
