"""A reader of ckpt's checkpoints made from docs/formats/ckpt-hdf5.md alone, with h5py and msgpack; nothing of ckpt."""

import struct
from itertools import count, islice
from math import prod
from pathlib import Path

import h5py
import ml_dtypes
import msgpack
import numpy as np
from crc32c import crc32c


def read(path):
    """(name -> array, metadata, MetaGraph) of an `.h5` file, or of the shards of an `.index` file."""
    path = Path(path)
    files, found, missing = [path], {}, {}
    if path.read_bytes().startswith(b"\x89CKPT-IX\r\n\x1a\n\0\0\0\0"):
        files = list(shards(path))
    about = [sealed_index(file) for file in files]
    for file, index in zip(files, about, strict=True):
        for name, shape, starts, values in parts(file, index):
            whole = found.setdefault(name, np.empty(shape, values.dtype))
            whole[tuple(slice(a, a + n) for a, n in zip(starts, values.shape, strict=True))] = (
                values
            )
            missing[name] = missing.get(name, whole.size) - values.size
        found |= {alias: found[name] for alias, name in index["aliases"].items()}
    assert not any(missing.values()), missing
    return found, about[0]["metadata"], about[0]["metagraph"]


def shards(path):
    """The files that an `.index` file names, each the one that was meant."""
    data = path.read_bytes()
    version, _, length, body_crc, head_crc = struct.unpack_from("<IIQII", data, 16)
    assert (version, length, head_crc) == (1, len(data) - 40, crc32c(data[:36]))
    assert body_crc == crc32c(data[40:])
    for name, size, crc in msgpack.unpackb(data[40:])["files"]:
        shard = (path.parent / name).read_bytes()
        assert (len(shard), crc32c(shard[:508])) == (size, crc)
        yield path.parent / name


def sealed_index(file):
    """The index of one file, its bytes checked, the MetaGraph in the place of where it lies."""
    data = file.read_bytes()
    version, _, at, size, length, crc = struct.unpack_from("<IIQQQI", data, 16)
    assert data[:16] == b"\x89CKPT-H5\r\n\x1a\n\0\0\0\0"
    assert (version, length) == (1, len(data))
    assert struct.unpack_from("<I", data, 508)[0] == crc32c(data[:508])
    assert crc32c(data[at : at + size]) == crc
    index = msgpack.unpackb(data[at : at + size])
    taken = list(zip(column(index, "offsets"), column(index, "lengths"), strict=True))
    taken = [t for t, k in zip(taken, index["layouts"], strict=True) if not k] + [(at, size)]
    taken += zip(column(index, "chunk_offsets"), column(index, "chunk_lengths"), strict=True)
    if index["metagraph"]:
        start, size, crc = struct.unpack("<QQI", index["metagraph"])
        taken.append((start, size))
        index["metagraph"] = data[start : start + size]
        assert crc32c(index["metagraph"]) == crc
    rest, end = b"", 512
    for start, size in [*sorted(t for t in taken if t[1]), (length, 0)]:
        rest, end = rest + data[end:start], start + size
    assert crc32c(rest) == struct.unpack("<I", index["structure_crc"])[0]
    return index


def column(index, key, kind="<u8"):
    """The numbers of one column, one after the other."""
    return iter(np.frombuffer(index.get(key, b""), kind).tolist())


def parts(file, index):
    """(name, shape, where it begins, values) of every part of every tensor."""
    data, start, number = file.read_bytes(), 0, count()
    dims, boxes, sides = (column(index, k) for k in ("dims", "boxes", "chunk_shapes"))
    crcs, splits = column(index, "crcs", "<u4"), column(index, "splits", "<u4")
    places = zip(column(index, "offsets"), column(index, "lengths"), index["layouts"], strict=True)
    chunks = zip(column(index, "chunk_offsets"), column(index, "chunk_lengths"), strict=True)
    columns = (index["dtypes"], index["ranks"], column(index, "name_ends"), splits)
    for code, rank, end, split in zip(*columns, strict=True):
        name, dtype = index["names"][start:end].decode(), index["dtype_names"][code]
        shape, start = list(islice(dims, rank)), end
        for _ in range(split or 1):
            box = list(islice(boxes, 2 * rank)) if split else [0] * rank + shape
            inside = f".ckpt/parts/{next(number)}" if split else index["paths"].get(name, name)
            offset, size, layout = next(places)
            pieces = [(at, min(index["block"], size - at)) for at in range(0, size, index["block"])]
            if layout:
                grid = [-(-n // c) for n, c in zip(box[rank:], islice(sides, rank), strict=True)]
                offset, pieces = 0, list(islice(chunks, prod(grid)))
            for at, length in pieces:
                assert crc32c(data[offset + at : offset + at + length]) == next(crcs), name
            raw = data[offset : offset + size]
            if layout:  # undoing the filters is HDF5's business
                with h5py.File(file) as h5:
                    raw = h5[inside][...].tobytes()
            yield name, shape, box[:rank], decoded(raw, dtype, box[rank:])


def decoded(raw, dtype, shape):
    """The values of a part in its bytes."""
    if dtype == "string":
        ends = np.frombuffer(raw, "<u8", prod(shape)).tolist()
        text = raw[8 * len(ends) :]
        values = np.empty(len(ends), object)
        values[:] = [text[a:b] for a, b in zip([0, *ends], ends, strict=False)]
        return values.reshape(shape)
    kind = getattr(ml_dtypes, dtype, None) or dtype.replace("qu", "u").replace("qi", "i")
    return np.frombuffer(raw, np.dtype(kind)).reshape(shape)
