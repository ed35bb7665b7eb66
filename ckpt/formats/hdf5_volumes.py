"""The files behind one path: a single file, or the shards that an index names, as one index. Loads no numpy.

Must not know arrays: it opens, checks that the files belong together, and says in which file each part lies.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ckpt.core.errors import DataLossError, NotFoundError
from ckpt.core.storage import Input, joined, open_input, resolved, split
from ckpt.formats.base import StrPath
from ckpt.formats.hdf5_index import Index, Tensor, identity_of, read_index
from ckpt.formats.shard_index import SHARD_MAGIC, Shard, read_shard_index

_ATTEMPTS = 5  # to open shards, while another process replaces the checkpoint by a newer one


@dataclass(frozen=True, slots=True)
class Volume:
    """One open file: its own index, and where in it that index lies."""

    file: Input
    index: Index
    own: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What one path names: its files, and all that they hold; each part says by number in which file it lies."""

    path: str
    volumes: tuple[Volume, ...]
    index: Index

    def close(self) -> None:
        """Close all files; closing twice is allowed."""
        for volume in self.volumes:
            volume.file.close()


def open_checkpoint(path: StrPath) -> Checkpoint:
    """Open a file, or the shards that a `.index` file names. Raises members of the OpError family."""
    file = open_input(path)
    try:
        if file.read(0, min(file.size, len(SHARD_MAGIC))) != SHARD_MAGIC:
            index, own = read_index(file)
            return Checkpoint(file.path, (Volume(file, index, own),), index)
        shards = read_shard_index(file)
    except BaseException:
        file.close()
        raise
    file.close()
    volumes = _opened_shards(file, shards)
    try:
        return Checkpoint(file.path, volumes, _merged(file.path, volumes))
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
            file = open_input(joined(directory, shard.name), follow=False)
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


def _merged(path: str, volumes: tuple[Volume, ...]) -> Index:
    tensors: dict[str, Tensor] = {}
    metadata: dict[str, str] = {}
    aliases: dict[str, str] = {}
    metagraph = None
    for number, volume in enumerate(volumes):
        for name, tensor in volume.index.tensors.items():
            parts = tuple(replace(part, file=number) for part in tensor.parts)
            tensors[name] = _joined(path, replace(tensor, parts=parts), tensors.get(name))
        metadata.update(volume.index.metadata)
        aliases.update(volume.index.aliases)
        if metagraph is None and volume.index.metagraph is not None:
            metagraph = replace(volume.index.metagraph, file=number)
    return Index(tensors=tensors, metadata=metadata, aliases=aliases, metagraph=metagraph)


def _joined(path: str, tensor: Tensor, before: Tensor | None) -> Tensor:
    """`tensor` with the parts of it that earlier shards hold."""
    if before is None:
        return tensor
    parts = (*before.parts, *tensor.parts)
    boxes = {(part.starts, part.shape) for part in parts}
    if (before.dtype, before.shape) != (tensor.dtype, tensor.shape) or len(boxes) < len(parts):
        raise DataLossError(
            None,
            None,
            f"{path}: two shards hold tensor {tensor.name!r}, as {before.dtype}{list(before.shape)} and "
            f"{tensor.dtype}{list(tensor.shape)}, and not as different parts of it; they do not belong together",
        )
    return replace(tensor, parts=parts)


def _close(volumes: Iterable[Volume]) -> None:
    for volume in volumes:
        volume.file.close()
