"""A checkpoint by its prefix: one `.h5` file, or shards of at most so many bytes under one `.index`.

Renaming `<prefix>.index` (of shards) or `<prefix>.h5` (of one file) commits a save, so that whoever opens the prefix
finds the old checkpoint or the new one, never a mixture. A reader prefers the `.index`. Must not know graphs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ckpt.core import storage
from ckpt.core.errors import DataLossError, InvalidArgumentError, OpError, UnimplementedError
from ckpt.core.temporaries import new_token
from ckpt.formats.base import StrPath, TensorEntry
from ckpt.formats.hdf5_header import identity_of
from ckpt.formats.shard_index import (
    MOST_SHARDS,
    SHARD_MAGIC,
    SHARD_NAME,
    Shard,
    pack_shard_index,
    read_shard_index,
    shard_name,
)

if TYPE_CHECKING:
    from ckpt.formats.hdf5_plan import Layout

INDEX_SUFFIX = ".index"
FILE_SUFFIX = ".h5"

_UNITS = {"": 1, "B": 1}
_UNITS |= {f"{unit}B": 1000**n for n, unit in enumerate("KMGT", 1)}
_UNITS |= {f"{unit}IB": 1024**n for n, unit in enumerate("KMGT", 1)}


def size_in_bytes(size: int | str) -> int:
    """A size as a number of bytes: `5GB` is 5 * 10^9, `5GiB` is 5 * 2^30. Raises ValueError."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) *([KMGT]?I?B?)", str(size).strip().upper())
    number = 0
    if match and match[2] in _UNITS:
        number = int(float(match[1]) * _UNITS[match[2]])
    if number < 1:
        raise ValueError(f"{size!r} is no size; write bytes, or such as 500MB or 5GiB")
    return number


def check_options(shard_size: int | str | None, compression: str | None) -> None:
    """Raise what `write_checkpoint` would raise for these, before anything is prepared for it."""
    if shard_size is not None:
        _checked_size(shard_size)
    if compression is not None:
        from ckpt.formats.hdf5_filters import check_compression

        check_compression(compression)


def write_checkpoint(
    prefix: StrPath,
    tensors: Iterable[TensorEntry],
    *,
    shard_size: int | str | None = None,
    metadata: Mapping[str, str] | None = None,
    aliases: Mapping[str, str] | None = None,
    metagraph: bytes | None = None,
    layout: Layout = "auto",
    compression: str | None = None,
    durable: bool = True,
    threads: int | None = None,
) -> None:
    """Write the checkpoint `prefix`: one file, or shards of about `shard_size` bytes where it does not fit in one.

    Shards are filled in the order of the tensors; a tensor is never cut, so that one larger than `shard_size` makes a
    larger shard. What the prefix held before is replaced, whole. Raises what `hdf5_writer.write` raises, and
    InvalidArgumentError for a size that is none; then the prefix is as it was.
    """
    from ckpt.formats.hdf5_writer import write

    path = os.fspath(prefix)
    groups = [list(tensors)]
    if shard_size is not None:
        groups = _split(groups.pop(), _checked_size(shard_size))
    first: dict[str, Any] = {"metadata": metadata, "metagraph": metagraph}
    options: dict[str, Any] = {"layout": layout, "compression": compression, "durable": durable}
    if len(groups) == 1:
        own = taken(groups[0])
        write(path + FILE_SUFFIX, own, aliases=aliases, threads=threads, **first, **options)
        _remove_shards(path, durable=durable)
        return
    if compression is None:
        storage.check_room(path, sum(_nbytes(entry) for group in groups for entry in group))
    held = _aliases_by_group(aliases or {}, groups)

    def writer(number: int) -> Callable[[str], None]:
        extras = {} if number else first
        return lambda file: write(
            file, taken(groups[number]), aliases=held[number], threads=1, **options, **extras
        )

    write_shards(path, [writer(number) for number in range(len(groups))], durable=durable)


def taken(entries: list[TensorEntry]) -> Iterator[TensorEntry]:
    """The entries, each taken out of the list: a writer lets go of values that it has written."""
    entries.reverse()
    while entries:
        yield entries.pop()


def write_shards(
    prefix: StrPath, writers: Sequence[Callable[[str], None]], *, durable: bool = True
) -> None:
    """Make the files that `writers` write (each to the path it is given) the shards of the checkpoint `prefix`.

    As many write at once as there are processors. Each must write a whole checkpoint file, atomically. When one
    fails, its error is raised and the prefix is as it was.
    """
    path = os.fspath(prefix)
    if not 0 < len(writers) <= MOST_SHARDS:
        raise InvalidArgumentError(
            None,
            None,
            f"{path}: {len(writers)} shards, expected 1 to {MOST_SHARDS}; a larger shard_size makes fewer",
        )
    save = new_token()
    # The temporary name of the index holds the tag of its shards: should this process die, the sweep that removes
    # the temporary removes them too.
    with storage.create(path + INDEX_SUFFIX, durable=durable, token=save) as index:
        names = [shard_name(path, save, n, len(writers)) for n in range(len(writers))]
        try:
            with ThreadPoolExecutor(min(len(writers), os.cpu_count() or 1)) as pool:
                shards = list(pool.map(_written, writers, names))
            index.write(pack_shard_index(shards), 0)
        except BaseException:
            _remove_quietly(names)
            raise
    storage.remove_file(path + FILE_SUFFIX)
    _remove_superseded(path, save)


def merge_files(
    parts: Sequence[StrPath],
    prefix: StrPath,
    *,
    metadata: Mapping[str, str] | None = None,
    metagraph: bytes | None = None,
    durable: bool = True,
) -> None:
    """Make complete checkpoint files the shards of the checkpoint `prefix`, in this order; they move to their new names.

    Where `metadata` or `metagraph` are given, a shard of its own before them holds these. Raises members of the OpError
    family; files moved so far have then moved, and the prefix is as it was.
    """
    from ckpt.formats.hdf5_writer import write

    def mover(part: StrPath) -> Callable[[str], None]:
        return lambda target: storage.move_file(part, target, durable=durable)

    def head(target: str) -> None:
        write(target, [], metadata=metadata, metagraph=metagraph, durable=durable)

    first = [head] if metadata or metagraph is not None else []
    write_shards(prefix, [*first, *map(mover, parts)], durable=durable)


def remove_checkpoint_files(prefix: StrPath, *, durable: bool = True) -> None:
    """Delete the values of the checkpoint `prefix`: what makes it a checkpoint first. Missing files are no error."""
    path = os.fspath(prefix)
    storage.remove_file(path + FILE_SUFFIX)
    _remove_shards(path, durable=durable)


def _written(write: Callable[[str], None], path: str) -> Shard:
    write(path)
    with storage.open_input(path, follow=False) as file:
        return Shard(os.path.basename(path), file.size, identity_of(file))


def _remove_shards(path: str, *, durable: bool) -> None:
    """Remove the index of this prefix, if it has one, then the shards that it names. Raises OpError where that fails."""
    index = path + INDEX_SUFFIX
    if not _is_own(index):
        return
    names: list[str] = []
    with suppress(DataLossError, UnimplementedError), storage.open_input(index) as file:
        names = [shard.name for shard in read_shard_index(file)]
    save = _save_of(path, names)
    if save is None:
        storage.remove_file(index)  # one that nobody understands goes alone
        return
    with storage.set_aside(index, save, durable=durable):
        for name in names:
            storage.remove_file(storage.joined(storage.split(path)[0], name))


def _save_of(path: str, names: Sequence[str]) -> str | None:
    """The tag of the save that made these shards for this prefix; None when they are none, or not its own.

    Who wrote the index may have named any file in the directory, and of a copy the shards are the original's.
    """
    found = [SHARD_NAME.fullmatch(name) for name in names]
    saves = {(match["stem"], match["save"]) if match else None for match in found}
    one = saves.pop() if len(saves) == 1 else None
    if one is None:
        return None
    stem, save = one
    directory, base = storage.split(path)
    if stem != base and storage.exists(storage.joined(directory, stem + INDEX_SUFFIX)):
        return None
    return save


def _remove_superseded(path: str, save: str) -> None:
    """Remove the shards of earlier saves of this prefix. What fails is left to the next save; the commit is done."""
    directory, stem = storage.split(path)
    with suppress(OpError):
        found = [match for n in storage.names_in(directory) if (match := SHARD_NAME.fullmatch(n))]
        earlier = [match for match in found if match["stem"] == stem and match["save"] != save]
        under_way = storage.tokens_in(directory) if earlier else set()
        for match in earlier:
            if match["save"] not in under_way:
                storage.remove_file(storage.joined(directory, match[0]))


def _is_own(index: str) -> bool:
    """True when the file is there and ours; TensorFlow's checkpoints have files of that suffix too."""
    if not storage.exists(index):
        return False
    with storage.open_input(index) as file:
        return file.read(0, min(file.size, len(SHARD_MAGIC))) == SHARD_MAGIC


def _remove_quietly(paths: Iterable[str]) -> None:
    """Remove what is of no use; what fails is left to the sweep of the next save."""
    for path in paths:
        with suppress(OpError):
            storage.remove_file(path)


def _checked_size(size: int | str) -> int:
    try:
        return size_in_bytes(size)
    except ValueError as error:
        raise InvalidArgumentError(None, None, f"shard_size: {error}") from error


def _split(entries: list[TensorEntry], limit: int) -> list[list[TensorEntry]]:
    """The tensors in order, in groups of at most `limit` bytes; parts of one tensor stay together."""
    together: dict[str, list[TensorEntry]] = {}
    for entry in entries:
        together.setdefault(entry.name, []).append(entry)
    groups: list[list[TensorEntry]] = [[]]
    size = 0
    for parts in together.values():
        length = sum(map(_nbytes, parts))
        if groups[-1] and size + length > limit:
            groups.append([])
            size = 0
        groups[-1] += parts
        size += length
    return groups


def _nbytes(entry: TensorEntry) -> int:
    return int(getattr(entry.array, "nbytes", 0))


def _aliases_by_group(
    aliases: Mapping[str, str], groups: list[list[TensorEntry]]
) -> list[dict[str, str]]:
    """Each alias with the group of its tensor; dangling ones with the first, whose writer refuses them."""
    place = {entry.name: number for number, group in enumerate(groups) for entry in group}
    found: list[dict[str, str]] = [{} for _ in groups]
    for alias, name in aliases.items():
        found[place.get(name, 0)][alias] = name
    return found
