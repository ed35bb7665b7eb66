"""Any name and any value comes back as it was, or is refused typed: RELIABILITY gates G14 and G15."""

import os
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ckpt as tf
from ckpt.core import dtypes
from ckpt.core.errors import OpError
from ckpt.formats import hdf5_reader
from ckpt.formats.base import TensorEntry
from ckpt.formats.hdf5_layout import ITEM_SIZE
from ckpt.formats.hdf5_reader import Hdf5Reader
from ckpt.formats.hdf5_writer import write
from ckpt.formats.shards import write_checkpoint
from tests.faults.scenes import outcome_of

PIECES = st.sampled_from(
    ["a", "A", "b", "/", "//", ".", "..", "../", "\0", "é", "é", "Å", ".ckpt", ".value", ".%", "%2f", "#", " ", "\n",
     "~", "*", "C:\\", "con", "-", "ß", "ﬁ", "\U0001f600", "x" * 300]
)  # fmt: skip
NAMES = st.one_of(st.text(max_size=40), st.lists(PIECES, max_size=12).map("".join))


@given(st.lists(NAMES, unique=True, max_size=12), st.sampled_from([None, 20]))
def test_any_set_of_names_comes_back_and_nothing_lies_elsewhere(
    tmp_path_factory, names, shard_size
):
    directory = tmp_path_factory.mktemp("names")
    entries = [TensorEntry(name, np.array([n])) for n, name in enumerate(names)]
    outcome = outcome_of(
        lambda: write_checkpoint(directory / "m", entries, shard_size=shard_size, durable=False)
    )
    made = set(os.listdir(directory))
    assert all(name.startswith("m.") for name in made)
    if outcome != "ok":
        assert not made
        assert "m" in str(outcome)
        assert any("\ud800" <= char <= "\udfff" for name in names for char in name), outcome
        return
    path = directory / ("m.index" if "m.index" in made else "m.h5")
    hdf5_reader.verify(path)
    with Hdf5Reader(path) as reader:
        assert reader.names() == names
        for n, name in enumerate(names):
            assert reader.read(name).tolist() == [n]


def test_spellings_never_collide(tmp_path):
    composed, parted = unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")
    assert composed != parted
    names = [
        "a",
        "a/b",
        "a//b",
        "a/",
        "/a",
        "A",
        "a/.value",
        composed,
        parted,
        "",
        ".",
        "./a",
        ".%",
        "a\0",
        "a\0b",
    ]
    write(tmp_path / "m.h5", [TensorEntry(name, np.array(n)) for n, name in enumerate(names)])
    with Hdf5Reader(tmp_path / "m.h5") as reader:
        assert reader.names() == names
        assert [int(reader.read(name)) for name in names] == list(range(len(names)))


@pytest.mark.parametrize("name", ["../m", "sub/../../m", "/abs"])
def test_a_prefix_is_taken_as_it_is_written(tmp_path, name):
    """The user's own path may lead anywhere; names of variables in it may not."""
    home = tmp_path / "home" / "sub"
    home.mkdir(parents=True)
    write(home / "m.h5", [TensorEntry(name, np.zeros(1))])
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["home", "m.h5", "sub"]


BITS = {1: "u1", 2: "u2", 4: "u4", 8: "u8", 16: "u8"}
NUMERIC = sorted(name for name in ITEM_SIZE if name not in ("string", "bool"))


@pytest.mark.parametrize("name", NUMERIC)
@settings(max_examples=12)
@given(data=st.data())
def test_any_bits_of_any_dtype_come_back(tmp_path_factory, name, data):
    kind = np.dtype(dtypes.as_dtype(name).as_numpy_dtype)
    shape = tuple(data.draw(st.lists(st.integers(0, 4), max_size=4)))
    seed = data.draw(st.integers(0, 1 << 32))
    raw = np.random.default_rng(seed).integers(
        0, 256, int(np.prod(shape)) * kind.itemsize, np.uint8
    )
    special = bytes(kind.itemsize), b"\xff" * kind.itemsize, b"\0" * (kind.itemsize - 1) + b"\x80"
    # 0, a NaN or -1, -0 or the least
    for n, value in enumerate(special[: raw.size // kind.itemsize]):
        raw[n * kind.itemsize : (n + 1) * kind.itemsize] = np.frombuffer(value, np.uint8)
    array = raw.view(kind).reshape(shape) if raw.size else np.zeros(shape, kind)
    path = tmp_path_factory.mktemp("values") / "m.h5"
    write(path, [TensorEntry("x", array)], durable=False)
    with Hdf5Reader(path) as reader:
        found = reader.read("x")
    assert found.dtype == kind
    assert found.shape == shape
    assert found.tobytes() == array.tobytes()


FLOATS = {
    "float16": [0x7C01, 0x7E01, 0xFE42, 0x8000, 0x0001, 0x7C00, 0xFC00],
    "float32": [0x7F800001, 0x7FC00001, 0xFFC12345, 0x80000000, 1, 0x7F800000, 0xFF800000],
    "float64": [
        0x7FF0000000000001,
        0x7FF8000000000001,
        0xFFF8000000012345,
        1 << 63,
        1,
        0x7FF << 52,
    ],
    "bfloat16": [0x7F81, 0x7FC1, 0xFFC3, 0x8000, 1, 0x7F80, 0xFF80],
}


@pytest.mark.parametrize("name", FLOATS)
def test_payloads_of_nan_and_signs_of_zero_survive_a_session(tmp_path, name):
    """Not only the file: assignment, save and restore as a program does them."""
    kind = dtypes.as_dtype(name).as_numpy_dtype
    bits = np.array(FLOATS[name], BITS[np.dtype(kind).itemsize])
    with tf.Graph().as_default(), tf.Session() as session:
        v = tf.Variable(tf.zeros([bits.size], dtypes.as_dtype(name)), name="v")
        value = tf.placeholder(dtypes.as_dtype(name), [bits.size])
        session.run(v.assign(value), {value: bits.view(kind)})
        saver = tf.train.Saver()
        saver.save(session, str(tmp_path / "m"))
        session.run(v.assign(tf.zeros_like(value)), {value: bits.view(kind)})
        saver.restore(session, str(tmp_path / "m"))
        assert session.run(v).view(bits.dtype).tolist() == bits.tolist()


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("code", ["i2", "u4", "i8", "f2", "f4", "f8", "c8", "c16"])
def test_both_byte_orders_go_in_and_little_endian_lies_in_the_file(tmp_path, order, code):
    array = np.arange(1, 7).astype(order + code).reshape(2, 3)
    for view in (array, array.T, array[:, ::-1], array[:0], array[1, 1]):
        write(tmp_path / "m.h5", [TensorEntry("x", view)], durable=False)
        with Hdf5Reader(tmp_path / "m.h5") as reader:
            found = reader.read("x")
        assert np.array_equal(found, view)
        assert found.dtype == view.dtype.newbyteorder("=")
        assert view.astype("<" + code).tobytes() in (tmp_path / "m.h5").read_bytes()


def test_what_no_checkpoint_holds_is_refused_typed(tmp_path):
    for value in (
        np.array(object()),
        np.array(["1"], "M8[D]"),
        np.zeros(1, [("a", "f4"), ("b", "f4")]),
    ):
        outcome = outcome_of(
            lambda value=value: write(tmp_path / "m.h5", [TensorEntry("x", value)])
        )
        assert isinstance(outcome, OpError)
        assert "'x'" in str(outcome)
        assert not os.listdir(tmp_path)
