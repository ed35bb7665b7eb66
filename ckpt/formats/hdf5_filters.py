"""HDF5's filters as functions of bytes: shuffle and deflate are ours, others come from the hdf5plugin package.

Source: HDF5 file format specification, "Filter Pipeline" message; numbers as registered with The HDF Group.
"""

from __future__ import annotations

import re
import zlib
from itertools import count
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ckpt.core.errors import InvalidArgumentError, UnimplementedError
from ckpt.formats.hdf5_index import Pipeline

if TYPE_CHECKING:
    from h5py.h5p import PropDCID

DEFLATE, SHUFFLE = 1, 2
PLUGINS = {"zstd": "Zstd", "lz4": "LZ4", "blosc2": "Blosc2", "bitshuffle": "Bitshuffle"}
"""Compressions of the hdf5plugin package, by the names that users give."""

_PLUGIN_FILTERS = frozenset({32004, 32008, 32015, 32026})
_scratches = count()
_DEFLATE_LEVEL = 1  # higher ones take several times as long for one or two percent of float weights


def add_filters(creation: PropDCID, compression: str) -> None:
    """Set the filters that `compression` means (`deflate`, `deflate:9`, `zstd`, …) for a dataset to be.

    Raises InvalidArgumentError for an unknown name, UnimplementedError when hdf5plugin is not installed.
    """
    name, level = _parsed(compression)
    if name == "deflate":
        creation.set_shuffle()
        creation.set_deflate(_DEFLATE_LEVEL if level is None else level)
        return
    plugin = getattr(_hdf5plugin(f"compression={compression!r}"), PLUGINS[name])
    if name == "zstd":
        creation.set_shuffle()
    options = plugin() if level is None else plugin(clevel=level)
    creation.set_filter(options.filter_id, 0, tuple(options.filter_options))


def check_compression(compression: str | None) -> None:
    """Raise what `add_filters` raises, before anything is written."""
    if compression is not None:
        name, _ = _parsed(compression)
        if name in PLUGINS:
            _hdf5plugin(f"compression={compression!r}")


def pipeline_of(creation: PropDCID) -> Pipeline:
    """The filters of a dataset to be, with the parameters that a writer gives HDF5; some filters add their own."""
    found = []
    for position in range(creation.get_nfilters()):
        number, _, parameters, _ = creation.get_filter(position)
        found.append((int(number), tuple(int(value) for value in parameters)))
    return tuple(found)


def encode(data: bytes, pipeline: Pipeline, shape: tuple[int, ...], item: int) -> bytes:
    """The stored form of a chunk of `shape`, whose elements take `item` bytes."""
    if not _is_own(pipeline):
        return _encoded_by_library(data, pipeline, shape, item)
    for number, parameters in pipeline:
        data = _shuffled(data, item) if number == SHUFFLE else zlib.compress(data, parameters[0])
    return data


def decode(stored: bytes, pipeline: Pipeline, shape: tuple[int, ...], item: int) -> bytes:
    """The bytes of a chunk. Raises ValueError when `stored` is not their stored form."""
    length = prod(shape) * item
    if not _is_own(pipeline):
        return _decoded_by_library(stored, pipeline, shape, item)
    data = stored
    for number, _ in reversed(pipeline):
        data = _unshuffled(data, item) if number == SHUFFLE else _inflated(data, length)
    if len(data) != length:
        raise ValueError(f"holds {len(data)} bytes, expected {length}")
    return data


def _parsed(compression: str) -> tuple[str, int | None]:
    match = re.fullmatch(r"([a-z0-9]+)(?::([0-9]{1,2}))?", str(compression))
    name = match[1] if match else ""
    level = int(match[2]) if match and match[2] else None
    is_level = (
        level is None
        or (name == "deflate" and 0 <= level <= 9)
        or (name in ("zstd", "blosc2") and level <= 22)
    )
    if name not in ("deflate", *PLUGINS) or not is_level:
        raise InvalidArgumentError(
            None,
            None,
            f"compression={compression!r} is unknown; expected deflate, deflate:0 to deflate:9, or with hdf5plugin "
            f"{', '.join(PLUGINS)}",
        )
    return name, level


def _is_own(pipeline: Pipeline) -> bool:
    return all(number in (SHUFFLE, DEFLATE) for number, _ in pipeline)


def _inflated(data: bytes, length: int) -> bytes:
    """At most one byte more than `length`, whatever the stream would give."""
    try:
        return zlib.decompressobj().decompress(data, length + 1)
    except zlib.error as error:
        raise ValueError(f"is no deflate stream: {error}") from error


def _shuffled(data: bytes, item: int) -> bytes:
    """First bytes of all elements, then all second bytes, and so on."""
    return np.frombuffer(data, np.uint8).reshape(-1, item).T.tobytes()


def _unshuffled(data: bytes, item: int) -> bytes:
    if len(data) % item:
        raise ValueError(f"holds {len(data)} bytes, expected a multiple of {item}")
    return np.frombuffer(data, np.uint8).reshape(item, -1).T.tobytes()


def _hdf5plugin(what: str) -> Any:
    try:
        import hdf5plugin
    except ImportError:
        raise UnimplementedError(
            None, None, f"{what} needs the package hdf5plugin: pip install 'ckpt[compression]'"
        ) from None
    return hdf5plugin


def _encoded_by_library(
    data: bytes, pipeline: Pipeline, shape: tuple[int, ...], item: int
) -> bytes:
    from h5py import h5s

    dataset = _scratch(pipeline, shape, item)
    dataset.write(h5s.ALL, h5s.ALL, np.frombuffer(data, f"V{item}").reshape(shape))
    dataset.flush()
    _, stored = dataset.read_direct_chunk((0,) * len(shape))
    return bytes(stored)


def _decoded_by_library(
    stored: bytes, pipeline: Pipeline, shape: tuple[int, ...], item: int
) -> bytes:
    from h5py import h5s

    dataset = _scratch(pipeline, shape, item)
    dataset.write_direct_chunk((0,) * len(shape), stored)
    values = np.empty(shape, f"V{item}")
    try:
        dataset.read(h5s.ALL, h5s.ALL, values)
    except OSError as error:
        raise ValueError(f"its filters refuse it: {error}") from error
    return values.tobytes()


def _scratch(pipeline: Pipeline, shape: tuple[int, ...], item: int) -> Any:
    """A dataset of one chunk in memory, through which HDF5 applies filters."""
    from h5py import h5d, h5f, h5p, h5s, h5t

    unknown = [
        number for number, _ in pipeline if number not in {SHUFFLE, DEFLATE, *_PLUGIN_FILTERS}
    ]
    if unknown:
        raise UnimplementedError(
            None, None, f"HDF5 filter {unknown[0]} is none of those that a checkpoint may use"
        )
    _hdf5plugin(f"HDF5 filter {pipeline[-1][0]}")
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_fapl_core(1 << 20, False)
    name = b"scratch %d" % next(_scratches)  # HDF5 tells files by their names, also those in memory
    file = h5f.create(name, h5f.ACC_TRUNC, fapl=access)
    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_chunk(shape)
    for number, parameters in pipeline:
        creation.set_filter(number, 0, parameters)
    return h5d.create(
        file, b"chunk", h5t.py_create(np.dtype(f"V{item}")), h5s.create_simple(shape), creation
    )
