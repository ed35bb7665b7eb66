"""The files behind one path: a single file, or the shards that an index names, as one checkpoint. Loads no numpy.

Must not know arrays: it opens, checks that the files belong together, and says in which file each part lies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ckpt.core.errors import DataLossError, NotFoundError
from ckpt.core.storage import Input, joined, open_input, resolved, split
from ckpt.formats.base import StrPath, TensorSpec
from ckpt.formats.hdf5_header import identity_of, read_index
from ckpt.formats.hdf5_index import Blob, Index, Tensor, damaged
from ckpt.formats.shard_index import SHARD_MAGIC, Shard, read_shard_index

MAX_EXPANSION = 200  # how much larger than its file compressed values may be ...
_ALWAYS_ALLOWED = 1 << 30  # ... or so many bytes
_ATTEMPTS = 5  # to open shards, while another process replaces the checkpoint by a newer one


@dataclass(frozen=True, slots=True)
class Volume:
    """One open file: its own index, and where in it that index lies."""

    file: Input
    index: Index
    own: tuple[int, int]


class Checkpoint:
    """What one path names: its files, and which tensors they hold."""

    def __init__(self, path: str, volumes: tuple[Volume, ...]) -> None:
        self.path = path
        self.volumes = volumes
        self.indexes = [
            replace(volume.index, file=n) if n else volume.index for n, volume in enumerate(volumes)
        ]
        self.metadata: dict[str, str] = {}
        self.aliases: dict[str, str] = {}
        self.metagraph: Blob | None = None
        for index in self.indexes:
            self.metadata.update(index.metadata)
            self.aliases.update(index.aliases)
            if self.metagraph is None and index.metagraph is not None:
                self.metagraph = index.metagraph._replace(file=index.file)
        self._shared: dict[str, Tensor] = {}  # those of which several files hold parts
        self._place: dict[str, int] = {}
        if len(volumes) > 1:
            self._place = self._placed()

    def names(self) -> list[str]:
        """All tensor names, in the order of the files."""
        return list(self._place or self.indexes[0].rows)

    def entries(self) -> Iterator[tuple[str, str, tuple[int, ...], int]]:
        """Name, dtype, shape and stored bytes of every tensor."""
        if not self._place:
            index = self.indexes[0]
            yield from zip(index.rows, index.dtypes, index.shapes, index.sizes(), strict=True)
            return
        for name in self._place:
            tensor = self.tensor(name)
            yield tensor.name, tensor.dtype, tensor.shape, tensor.nbytes

    def spec(self, name: str) -> TensorSpec:
        """What `tensor` says of it, sooner. Raises KeyError."""
        if name in self._shared:
            tensor = self._shared[name]
            return TensorSpec(name, tensor.dtype, tensor.shape, tensor.nbytes)
        index = self.indexes[self._place[name] if self._place else 0]
        row = index.rows[name]
        first = index.first[row]
        length = index.lengths[first]
        if index.splits[row]:
            length = sum(index.lengths[first : first + index.splits[row]])
        return TensorSpec(name, index.dtypes[row], index.shapes[row], length)

    def tensor(self, name: str) -> Tensor:
        """The tensor of that name, with all its parts. Raises KeyError."""
        if name in self._shared:
            return self._shared[name]
        return self.indexes[self._place[name] if self._place else 0].tensor(name)

    def _placed(self) -> dict[str, int]:
        place: dict[str, int] = {}
        for index in self.indexes:
            for name in index.rows:
                if place.setdefault(name, index.file) != index.file:
                    before = self._shared.get(name) or self.indexes[place[name]].tensor(name)
                    self._shared[name] = _joined(self.path, before, index.tensor(name))
        return place

    def close(self) -> None:
        """Close all files; closing twice is allowed."""
        _close(self.volumes)


def open_checkpoint(
    path: StrPath, *, max_expansion: int = MAX_EXPANSION, file: Input | None = None
) -> Checkpoint:
    """Open a file, or the shards that a `.index` file names. Raises members of the OpError family.

    `file` is that file, where it is open already; it is closed after an error. Compressed values may take `max_expansion`
    times the bytes of their file, or 1 GiB if that is more.
    """
    checkpoint = _opened_checkpoint(open_input(path) if file is None else file)
    try:
        for volume in checkpoint.volumes:
            _check_expansion(volume, max_expansion)
    except BaseException:
        checkpoint.close()
        raise
    return checkpoint


def _check_expansion(volume: Volume, most: int) -> None:
    expanded = volume.index.expanded()
    if expanded > max(_ALWAYS_ALLOWED, most * volume.file.size):
        raise damaged(
            volume.file.path,
            f"{volume.file.size} bytes claim to hold {expanded} compressed ones, more than {most} times as many",
            "a decompression bomb? If not, open it with a larger max_expansion",
        )


def _opened_checkpoint(file: Input) -> Checkpoint:
    try:
        if file.read(0, min(file.size, len(SHARD_MAGIC))) != SHARD_MAGIC:
            index, own = read_index(file)
            return Checkpoint(file.path, (Volume(file, index, own),))
        shards = read_shard_index(file)
    except BaseException:
        file.close()
        raise
    file.close()
    volumes = _opened_shards(file, shards)
    try:
        return Checkpoint(file.path, volumes)
    except BaseException:
        _close(volumes)
        raise


def _opened_shards(index: Input, shards: list[Shard]) -> tuple[Volume, ...]:
    for _ in range(_ATTEMPTS):
        try:
            return _opened(index, shards)
        except NotFoundError:
            with open_input(index.path) as file:
                newer = read_shard_index(file)
            if newer == shards:
                raise
            shards = newer
    raise NotFoundError(
        None, None, f"{index.path}: is replaced again and again while it is opened; try again"
    )


def _opened(index: Input, shards: list[Shard]) -> tuple[Volume, ...]:
    directory = split(resolved(index.path))[0]
    volumes: list[Volume] = []
    try:
        for shard in shards:
            file = _opened_shard(index.path, joined(directory, shard.name))
            try:
                _check(index.path, file, shard)
                volumes.append(Volume(file, *read_index(file)))
            except BaseException:
                file.close()
                raise
    except BaseException:
        _close(volumes)
        raise
    return tuple(volumes)


def _opened_shard(path: str, shard: str) -> Input:
    try:
        return open_input(shard, follow=False)
    except NotFoundError as error:
        raise NotFoundError(
            None,
            None,
            f"{path}: its shard {shard} is not there; restore it from a copy, or see what the others hold with `ckpt salvage`",
        ) from error


def _check(path: str, file: Input, shard: Shard) -> None:
    """Raise DataLossError unless `file` is the shard that the index means, not one of another save."""
    found = file.size, identity_of(file)
    if found != (shard.length, shard.crc):
        raise DataLossError(
            None,
            None,
            f"{path}: its shard {file.path} has {found[0]} bytes and header checksum {found[1]:08x}, expected "
            f"{shard.length} and {shard.crc:08x}; it is damaged or of another save",
        )


def _joined(path: str, before: Tensor, tensor: Tensor) -> Tensor:
    """`tensor` with the parts of it that earlier shards hold."""
    parts = (*before.parts, *tensor.parts)
    boxes = {(part.starts, part.shape) for part in parts}
    if (before.dtype, before.shape) != (tensor.dtype, tensor.shape) or len(boxes) < len(parts):
        raise DataLossError(
            None,
            None,
            f"{path}: two shards hold tensor {tensor.name!r}, as {before.dtype}{list(before.shape)} and "
            f"{tensor.dtype}{list(tensor.shape)}, and not as different parts of it; they do not belong together",
        )
    return tensor._replace(parts=parts)


def _close(volumes: Iterable[Volume]) -> None:
    for volume in volumes:
        volume.file.close()
