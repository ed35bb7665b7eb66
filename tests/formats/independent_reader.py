"""A reader of ckpt's checkpoints made from docs/formats/ckpt-hdf5.md alone: h5py, msgpack and nothing of ckpt."""

from functools import reduce
from io import BytesIO
from itertools import count, islice, pairwise
from math import prod
from re import sub
from struct import iter_unpack, pack, unpack_from

import h5py
import msgpack
import numpy as np

TABLE = [reduce(lambda c, _: c >> 1 ^ (c & 1) * 0x82F63B78, range(8), n) for n in range(256)]


def crc32c(data):
    return reduce(lambda c, byte: c >> 8 ^ TABLE[c & 255 ^ byte], data, 0xFFFFFFFF) ^ 0xFFFFFFFF


def read(path):
    """({name: (dtype, values)}, metadata, MetaGraph) of an `.h5` file, or of all that an `.index` file names."""
    files, found = [path.read_bytes()], {}
    if files[0].startswith(b"\x89CKPT-IX\r\n\x1a\n\0\0\0\0"):
        head, body = files[0][:36], files[0][40:]
        assert unpack_from("<I4xQII", files[0], 16) == (1, len(body), crc32c(body), crc32c(head))
        names, *seals = zip(*msgpack.unpackb(body)["files"])
        files = [(path.parent / name).read_bytes() for name in names]
        assert [*zip(*seals)] == [(len(data), crc32c(data[:508])) for data in files]
    about = [take_in(data, found) for data in files]
    return found, *about[0]


def take_in(data, found):
    """Check every byte of a file, enter its tensors in `found`, and return its metadata and its MetaGraph."""
    at, size = unpack_from("<QQ", data, 24)
    crc = crc32c(data[at : at + size])
    head = pack("<16sI4xQQQI456x", b"\x89CKPT-H5\r\n\x1a\n", 1, at, size, len(data), crc)
    assert data[:512] == head + pack("<I", crc32c(head))
    index, rest = msgpack.unpackb(data[at : at + size]), bytearray(data)
    graph = [*iter_unpack("<QQI", index["metagraph"] or b"")]
    pieces = [piece for *_, pieces in parts(index) for piece in pieces]
    for start, n, seal in sorted([(at, size, crc), *graph, *pieces], reverse=True):
        assert crc32c(rest[start : start + n]) == seal, start
        del rest[start : start + n]
    assert pack("<I", crc32c(rest[512:])) == index["structure_crc"]
    hdf5 = h5py.File(BytesIO(data))
    for name, dtype, shape, box, place, _ in parts(index):
        raw = data[place] if isinstance(place, slice) else hdf5[place][...].tobytes()
        values = decoded(raw, dtype, box[len(shape) :])
        whole = found.setdefault(name, (dtype, np.ma.masked_all(shape, values.dtype)))[1]
        whole[tuple(slice(a, a + n) for a, n in zip(box, values.shape))] = values
    found |= {alias: found[name] for alias, name in index["aliases"].items()}
    return index["metadata"], b"".join(data[start : start + n] for start, n, _ in graph)


def parts(index):
    """(name, dtype, shape, first indices and sizes, place of the bytes, pieces under a checksum) of every part."""
    names = pairwise([0, *column(index, "name_ends")])
    splits, crcs = column(index, "splits", "<u4"), column(index, "crcs", "<u4")
    dims, boxes, number = column(index, "dims"), column(index, "boxes"), count()
    places = zip(column(index, "offsets"), column(index, "lengths"), index["layouts"])
    chunks = zip(column(index, "chunk_offsets"), column(index, "chunk_lengths"))
    for (a, b), code, rank, split in zip(names, index["dtypes"], index["ranks"], splits):
        name, shape = index["names"][a:b].decode(), [*islice(dims, rank)]
        for _, (at, left, layout) in zip(range(split or 1), places):
            box = [*islice(boxes, 2 * rank)] if split else [0] * rank + shape
            path = f".ckpt/parts/{next(number)}" if split else index["paths"].get(name, name)
            place, pieces = path if layout else slice(at, at + left), []
            while left:
                at, n = next(chunks) if layout else (at, min(index["block"], left))
                pieces.append((at, n, next(crcs)))
                at, left = at + n, left - n
            yield name, index["dtype_names"][code], shape, box, place, pieces


def column(index, key, kind="<u8"):
    return iter(np.frombuffer(index.get(key, b""), kind).tolist())


def decoded(raw, dtype, shape):
    """The values in the bytes of a part; those of types that numpy has not, as their bits."""
    if dtype == "string":
        ends = np.frombuffer(raw, "<u8", prod(shape)).tolist()
        text = raw[8 * len(ends) :]
        return np.array([text[a:b] for a, b in pairwise([0, *ends])], object).reshape(shape)
    kind = dtype.removeprefix("q").replace("bfloat", "uint")
    kind = sub("u?int[24]$|float[48]_.*", "uint8", kind)
    return np.frombuffer(raw, np.dtype(kind).newbyteorder("<")).reshape(shape)
