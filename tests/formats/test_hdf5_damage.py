"""Damaged, cut, foreign and hostile files: always a typed error that names the file, never a wrong value."""

import os
import struct
import time
from contextlib import suppress

import h5py
import msgpack
import numpy as np
import pytest
from crc32c import crc32c

from ckpt.core.errors import (
    DataLossError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    OpError,
    UnimplementedError,
)
from ckpt.formats import detect, hdf5_layout
from ckpt.formats.base import FreshArrays, TensorEntry
from ckpt.formats.hdf5_reader import Hdf5Reader, verify
from ckpt.formats.hdf5_writer import write

TENSORS = {
    "w": np.arange(12, dtype=np.float32).reshape(3, 4),
    "w/b": np.array([True, False]),
    "text": np.array([b"hello", b"", b"x"], object),
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "m.h5"
    entries = [TensorEntry(name, array) for name, array in TENSORS.items()]
    write(path, entries, metagraph=b"graph", metadata={"step": "3"}, durable=False)
    return path


def overwrite(path, data):
    path.write_bytes(data)


def values_of(path):
    with Hdf5Reader(path) as reader:
        return {name: reader.read(name).tolist() for name in reader.names()}, reader.metagraph()


GOOD = {name: array.tolist() for name, array in TENSORS.items()}, b"graph"


def test_truncation_at_every_byte_is_data_loss(file):
    data = file.read_bytes()
    for length in range(len(data)):
        os.truncate(file, length)
        with pytest.raises(DataLossError, match=r"m\.h5"):
            detect.open_reader(file)
        if length % 512 == 0:
            with pytest.raises(DataLossError):
                verify(file)
        os.truncate(file, 0)
        with file.open("r+b") as f:
            f.write(data)


def test_appended_bytes_are_data_loss(file):
    with file.open("ab") as f:
        f.write(b"\0")
    with pytest.raises(DataLossError, match="expected"):
        Hdf5Reader(file)


def test_a_flip_in_any_byte_is_found_by_verify_and_never_changes_a_value(file):
    data = file.read_bytes()
    with file.open("r+b") as f:
        for at in range(len(data)):
            os.pwrite(f.fileno(), bytes([data[at] ^ (1 << at % 8)]), at)
            with pytest.raises(OpError, match=r"m\.h5"):
                verify(file)
            with suppress(DataLossError, UnimplementedError):
                assert values_of(file) == GOOD
            os.pwrite(f.fileno(), data[at : at + 1], at)
    verify(file)


def test_damage_in_one_tensor_names_it_and_leaves_the_others_readable(file):
    data = file.read_bytes()
    at = data.index(TENSORS["w"].tobytes())
    overwrite(file, data[:at] + b"\xff" + data[at + 1 :])
    with Hdf5Reader(file) as reader:
        with pytest.raises(DataLossError, match=r"m\.h5: tensor 'w'"):
            reader.read("w")
        with pytest.raises(DataLossError, match="'w'"):
            reader.read("w", (slice(2, 3),))
        with pytest.raises(DataLossError, match="'w'"):
            reader.read_into({"w": np.zeros((3, 4), "f")})
        assert reader.read("text").tolist() == GOOD[0]["text"]
        told = (
            rf"1 pieces.*tensor 'w': bytes {at} to {at + 48} do not have the CRC32C "
            rf"{crc32c(data[at : at + 48]):08x}, but {crc32c(file.read_bytes()[at : at + 48]):08x}; restore"
        )
        with pytest.raises(DataLossError, match=told):
            reader.verify()


def test_damage_in_one_of_thousands_names_it(tmp_path):
    tensors = {f"v{n}": np.full(n % 50 + 1, n, np.int32) for n in range(2500)}
    file = tmp_path / "m.h5"
    write(file, [TensorEntry(*pair) for pair in tensors.items()], durable=False)
    data = file.read_bytes()
    at = data.index(tensors["v1777"].tobytes()) + 5
    overwrite(file, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with Hdf5Reader(file) as reader:
        with pytest.raises(DataLossError, match=r"m\.h5: tensor 'v1777': bytes \d+ to \d+ do not"):
            reader.read_all(list(tensors), FreshArrays(len(tensors)))
        reader.read_all([name for name in tensors if name != "v1777"], FreshArrays(2499))


def test_a_file_cut_short_while_it_is_open_is_data_loss(file):
    with Hdf5Reader(file) as reader:
        os.truncate(file, 600)
        with pytest.raises(DataLossError, match="shorter"):
            reader.read("w")


def reseal(path, change):
    """Change the index as an attacker would: all checksums are right afterwards."""
    data = bytearray(path.read_bytes())
    at, size = struct.unpack_from("<QQ", data, 24)
    index = msgpack.unpackb(bytes(data[at : at + size]))
    packed = change(index)
    if packed is None:
        packed = msgpack.packb(index)
    data[at:] = packed
    head = data[:16] + struct.pack("<IIQQQI", 1, 0, at, len(packed), len(data), crc32c(packed))
    head = head.ljust(508, b"\0")
    data[:512] = head + struct.pack("<I", crc32c(head))
    path.write_bytes(data)


def column(index, key, kind, position, value):
    values = np.frombuffer(index[key], kind).copy()
    values[position] = value
    index[key] = values.tobytes()


HOSTILE = {
    "shape larger than the bytes": lambda i: column(i, "dims", "<u8", 0, 1 << 40),
    "shape whose size wraps": lambda i: column(i, "dims", "<u8", slice(0, 2), 1 << 32),
    "length beyond the file": lambda i: column(i, "lengths", "<u8", 0, 1 << 62),
    "offset beyond the file": lambda i: column(i, "offsets", "<u8", 0, 1 << 40),
    "offset in the header": lambda i: column(i, "offsets", "<u8", 0, 64),
    "overlapping tensors": lambda i: column(
        i, "offsets", "<u8", 1, np.frombuffer(i["offsets"], "<u8")[0]
    ),
    "unknown layout": lambda i: column(i, "layouts", "u1", 0, 7),
    "dtype out of range": lambda i: column(i, "dtypes", "u1", 0, 99),
    "unknown dtype": lambda i: i.update(dtype_names=["resource"] * 3),
    "two tensors of one name": lambda i: i.update(
        names=b"ww", name_ends=struct.pack("<3Q", 1, 2, 2)
    ),
    "names not UTF-8": lambda i: i.update(names=b"\xff" * len(i["names"])),
    "names out of order": lambda i: column(i, "name_ends", "<u8", 0, 1 << 30),
    "too few columns": lambda i: i.update(ranks=b"\1"),
    "field missing": lambda i: i.pop("offsets") and None,
    "fields of wrong types": lambda i: i.update(names=3, aliases=[1]),
    "block of zero": lambda i: i.update(block=0),
    "huge number of parts": lambda i: column(i, "splits", "<u4", 0, 0xFFFFFFFF),
    "dangling alias": lambda i: i.update(aliases={"x": "nothing"}),
    "metagraph outside": lambda i: i.update(metagraph=struct.pack("<QQI", 1 << 50, 9, 0)),
    "metadata no strings": lambda i: i.update(metadata={"a": {"b": 1}}),
    "an extension type": lambda i: i.update(metadata=msgpack.ExtType(4, b"abc")),
    "not a map": lambda i: b"\x93\1\2\3",
    "not msgpack": lambda i: b"\xc1",
    "trailing bytes": lambda i: msgpack.packb(i) + b"\0",
    "deep nesting": lambda i: b"\x91" * 100_000,
    "long lists announced": lambda i: b"\xdd\x7f\xff\xff\xff" * 1000,
    "nested long lists": lambda i: b"\xdc\x0f\xff" * 900,
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_resealed_hostile_index_is_refused_quickly(file, change):
    reseal(file, change)
    start = time.monotonic()
    with pytest.raises(DataLossError, match=r"m\.h5"):
        Hdf5Reader(file)
    assert time.monotonic() - start < 2


def test_string_ends_that_do_not_fit_are_data_loss(file):
    data = file.read_bytes()
    ends = struct.pack("<3Q", 5, 5, 6)
    at = data.index(ends)
    payload = struct.pack("<3Q", 5, 1 << 60, 6) + b"hellox"
    overwrite(file, data[:at] + payload + data[at + len(payload) :])
    reseal(file, lambda i: column(i, "crcs", "<u4", 2, crc32c(payload)))
    with Hdf5Reader(file) as reader, pytest.raises(DataLossError, match=r"'text'.*ends"):
        reader.read("text")


def test_the_full_shape_of_a_part_is_no_reason_to_allocate(file):
    def change(index):
        column(index, "splits", "<u4", 0, 1)
        column(index, "dims", "<u8", slice(0, 2), (1 << 25, 1 << 25))
        index["boxes"] = struct.pack("<4Q", 0, 0, 3, 4)

    reseal(file, change)
    with Hdf5Reader(file) as reader:
        with pytest.raises(NotFoundError, match="only the parts"):
            reader.read("w")
        assert np.array_equal(reader.read("w", (slice(0, 3), slice(0, 4))), TENSORS["w"])


def test_a_newer_layout_version_says_so(file):
    data = bytearray(file.read_bytes())
    data[16] = 2
    data[508:512] = struct.pack("<I", crc32c(bytes(data[:508])))
    overwrite(file, data)
    with pytest.raises(UnimplementedError, match="version 2"):
        Hdf5Reader(file)


FOUND = {
    b"": (DataLossError, "empty"),
    hdf5_layout.MAGIC[:7]: (DataLossError, "only 7 bytes"),
    b"\0" * 5000: (DataLossError, "zeros"),
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n": (
        InvalidArgumentError,
        "git lfs pull",
    ),
    b"\n<!DOCTYPE html><html>": (InvalidArgumentError, "HTML"),
    b'model_checkpoint_path: "a"\n': (InvalidArgumentError, "latest_checkpoint"),
    b"hello there\n": (InvalidArgumentError, "text that begins with 'hello"),
    b"\x81\x02\xff\xfe\0\1": (InvalidArgumentError, "81 02 ff fe"),
    b"\x80\x02}q\0": (InvalidArgumentError, "Python pickle, as old .pt files"),
    b"PK\3\4\x14\0": (
        InvalidArgumentError,
        r"ZIP archive, as \.npz.* give the arrays to ckpt\.save",
    ),
    b"\x1f\x8b\x08": (InvalidArgumentError, "compressed with gzip; unpack it"),
    b"\x93NUMPY\1\0": (InvalidArgumentError, "one numpy array"),
    struct.pack("<Q", 70) + b'{"w":{"dtype":"F32"': (InvalidArgumentError, "safetensors"),
    bytes.fromhex("000006 08011a020801 00010f61"): (
        InvalidArgumentError,
        "TensorFlow, whose values",
    ),
}


@pytest.mark.parametrize("content", FOUND, ids=repr)
def test_an_unknown_file_is_described(tmp_path, content):
    path = tmp_path / "thing"
    path.write_bytes(content)
    kind, text = FOUND[content]
    with pytest.raises(kind, match=text):
        detect.open_reader(path)


def test_the_values_of_a_checkpoint_of_tensorflow_are_told_by_their_name(tmp_path):
    path = tmp_path / "m.data-00000-of-00001"
    path.write_bytes(b"\x12\x34")
    with pytest.raises(InvalidArgumentError, match="part of a checkpoint of TensorFlow"):
        detect.open_reader(path)


def test_a_plain_hdf5_file_is_told_apart(tmp_path):
    for block in (0, 512):
        with h5py.File(tmp_path / "k.h5", "w", userblock_size=block) as h5:
            h5["a"] = [1]
        with pytest.raises(UnimplementedError, match=r"HDF5 file without.* ckpt\.save\(prefix"):
            detect.open_reader(tmp_path / "k.h5")


def test_special_files_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "to_fifo").symlink_to("fifo")
    start = time.monotonic()
    for name in ("fifo", "loop", "to_fifo"):
        with pytest.raises((FailedPreconditionError, OpError), match=name):
            detect.open_reader(tmp_path / name)
    with pytest.raises(FailedPreconditionError, match="device"):
        Hdf5Reader("/dev/zero")
    with pytest.raises(FailedPreconditionError, match="directory"):
        Hdf5Reader(tmp_path)
    with pytest.raises(InvalidArgumentError, match="directory"):
        detect.open_reader(tmp_path)
    with pytest.raises(NotFoundError, match=r"absent\.h5"):
        detect.open_reader(tmp_path / "absent")
    with pytest.raises(OpError):
        detect.open_reader("nul\0")
    assert time.monotonic() - start < 0.5


def test_a_huge_sparse_file_is_refused_at_once(tmp_path):
    with (tmp_path / "sparse").open("wb") as f:
        f.truncate(64 << 30)
    start = time.monotonic()
    with pytest.raises(DataLossError, match="zeros"):
        detect.open_reader(tmp_path / "sparse")
    assert time.monotonic() - start < 0.1


def test_a_link_to_a_checkpoint_is_followed(file, tmp_path):
    (tmp_path / "link.h5").symlink_to(file)
    assert values_of(tmp_path / "link.h5") == GOOD
