"""What is written comes back bit for bit, through our reader, through h5py, and by the layout document alone."""

import struct
import subprocess
import sys
from pathlib import Path

import h5py
import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckpt.core import dtypes, errors
from ckpt.formats import detect, hdf5_layout
from ckpt.formats.base import FreshArrays, SliceSpec, TensorEntry
from ckpt.formats.hdf5_paths import dataset_paths
from ckpt.formats.hdf5_reader import Hdf5Reader, verify
from ckpt.formats.hdf5_writer import write

STORED = [d for d in dtypes.BY_NAME.values() if d._number < 100 and d.is_numpy_compatible]
NASTY = [
    "", "/", "a", "a/b", "a//b", "a/", "/a", ".", "..", "a/./b", "a/../b", ".ckpt", ".ckpt/index", ".value",
    "a/.value", "a/b/.value", ".%", ".%%00", "\0", "a\0b", "%", "#", "é", "e\u0301", "Å", "A\u030a", "\U0001f600",
    "x" * 255, "x" * 256, "x" * 70000, "d/" * 200, "d/" * 63 + "d", "A", "w:0", "w;1", "a b", "\n", "w'\"",
]  # fmt: skip


def entries(tensors):
    return [TensorEntry(name, array) for name, array in tensors.items()]


def bits(array):
    array = np.asarray(array)
    if array.dtype == object:
        return array.tolist()
    little = array.astype(array.dtype.newbyteorder("<"))
    return little.shape, np.ascontiguousarray(little).tobytes()


def sample(dtype, shape, rng, count=None):
    count = int(np.prod(shape)) if count is None else count
    if dtype.name == "string":
        return np.array([rng.bytes(int(rng.integers(0, 9))) for _ in range(count)] + [b""], object)[
            :count
        ].reshape(shape)
    if dtype.name == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    kind = np.dtype(dtype.as_numpy_dtype)
    # any bits: NaNs too
    return np.frombuffer(rng.bytes(count * kind.itemsize), kind).reshape(shape)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_names_dtypes_and_shapes_come_back_bit_for_bit(tmp_path, data):
    characters = st.characters(exclude_categories=["Cs"])
    names = data.draw(
        st.lists(st.sampled_from(NASTY) | st.text(characters, max_size=8), unique=True, max_size=8)
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    tensors = {}
    for name in names:
        dtype = data.draw(st.sampled_from(STORED))
        shape = tuple(data.draw(st.lists(st.integers(0, 4), max_size=4)))
        tensors[name] = sample(dtype, shape, rng)
    path = tmp_path / "m.h5"
    layout = data.draw(st.sampled_from(["auto", "named"]))
    write(path, entries(tensors), layout=layout, durable=False)
    verify(path)
    with Hdf5Reader(path) as reader:
        assert reader.names() == names
        for name, array in tensors.items():
            assert bits(reader.read(name)) == bits(array)
            assert reader.spec(name).shape == array.shape
            assert dtypes.as_dtype(reader.spec(name).dtype) == dtypes.as_dtype(array.dtype)


def test_all_nasty_names_fit_in_one_file(tmp_path):
    tensors = {name: np.array([number]) for number, name in enumerate(NASTY)}
    write(tmp_path / "m.h5", entries(tensors))
    paths = dataset_paths(NASTY)
    assert len(set(paths.values())) == len(NASTY)
    with Hdf5Reader(tmp_path / "m.h5") as reader, h5py.File(tmp_path / "m.h5") as h5:
        for number, name in enumerate(NASTY):
            assert reader.read(name).item() == number
            assert h5[paths[name]][0] == number


def test_item_sizes_agree_with_the_dtype_table():
    expected = {d.name: 0 if d.name == "string" else d.size for d in STORED}
    assert expected == hdf5_layout.ITEM_SIZE


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["i2", "u8", "f2", "f4", "f8", "c8", "c16"])
def test_both_byte_orders_and_any_strides_are_stored_little_endian(tmp_path, order, kind):
    values = (np.arange(2000 * 130) % 30011).reshape(2000, 130).astype(order + kind)
    tensors = {"whole": values, "transposed": values.T, "strided": values[::-3, 1::2]}
    write(tmp_path / "m.h5", entries(tensors), durable=False)
    with Hdf5Reader(tmp_path / "m.h5") as reader:
        for name, array in tensors.items():
            found = reader.read(name)
            assert found.dtype == np.dtype(kind)
            assert np.array_equal(found, array)


def test_bfloat16_and_quantized_views_need_not_be_contiguous(tmp_path):
    brain = np.arange(600).astype(ml_dtypes.bfloat16).reshape(20, 30).T
    quantized = np.arange(10).astype(">i2").view([("qint16", ">i2")])[::2]
    write(tmp_path / "m.h5", entries({"b": brain, "q": quantized}))
    with Hdf5Reader(tmp_path / "m.h5") as reader:
        assert bits(reader.read("b")) == bits(brain)
        assert reader.read("q")["qint16"].tolist() == [0, 2, 4, 6, 8]


def test_h5py_shows_every_variable_at_its_own_path(tmp_path):
    rng = np.random.default_rng(0)
    tensors = {
        "layer/w": rng.normal(size=(200, 100)).astype("f"),
        "layer/w/Adam": rng.normal(size=3),
        "layer/flags": np.array([True, False]),
        "z": np.array([1 + 2j], np.complex64),
        "step": np.array(7),
        "none": np.zeros((0, 3), np.int8),
        "half": np.array([1.5, -2], ml_dtypes.bfloat16),
        "text": np.array([b"ab", b""], object),
    }
    write(tmp_path / "m.h5", entries(tensors))
    with h5py.File(tmp_path / "m.h5") as h5:
        assert h5.userblock_size == 4096
        for name in ("layer/w/.value", "layer/w/Adam", "layer/flags", "z", "step", "none"):
            expected = tensors[name.removesuffix("/.value")]
            assert h5[name].dtype == expected.dtype
            assert h5[name].shape == expected.shape
            assert np.array_equal(h5[name][()], expected)
        assert h5["layer/w/.value"].id.get_offset() % 4096 == 0
        assert h5["half"].attrs["ckpt.dtype"] == b"bfloat16"
        assert bits(h5["half"][:].view(ml_dtypes.bfloat16)) == bits(tensors["half"])
        assert bytes(h5["text"][:]) == struct.pack("<QQ", 2, 2) + b"ab"


def test_thousands_of_small_variables_are_packed_beside_a_table(tmp_path):
    tensors = {f"v/{n}": np.full((2, n % 3), n, np.int32) for n in range(1200)}
    tensors["big"] = np.zeros(100_000)
    write(tmp_path / "m.h5", entries(tensors), durable=False)
    with h5py.File(tmp_path / "m.h5") as h5:
        assert set(h5) == {".ckpt", "big"}
        table, arena = h5[".ckpt/table"][:], h5[".ckpt/arena"]
        assert arena.id.get_offset() % 4096 == 0
        row = table[table["name"] == b"v/500"][0]
        stored = arena[row["offset"] : row["offset"] + row["length"]].view(row["dtype"].decode())
        shape = [int(n) for n in row["shape"].decode().split(",")]
        assert np.array_equal(stored.reshape(shape), tensors["v/500"])
        assert row["offset"] % 64 == 0
    with Hdf5Reader(tmp_path / "m.h5") as reader:
        assert all(np.array_equal(reader.read(name), array) for name, array in tensors.items())
    verify(tmp_path / "m.h5")
    write(tmp_path / "n.h5", entries(tensors), layout="named", durable=False)
    with h5py.File(tmp_path / "n.h5") as h5:
        assert h5["v/500"].shape == (2, 500 % 3)


@pytest.mark.parametrize("layout", ["auto", pytest.param("named", marks=pytest.mark.slow)])
def test_twenty_thousand_long_names_need_no_attribute(tmp_path, layout):
    """Lists of names in attributes end at 64 KiB; here they are datasets."""
    tensors = {f"{'scope/' * 32}layer_{n:05d}/w": np.int32([n]) for n in range(20_000)}
    assert len(next(iter(tensors))) > 200
    write(tmp_path / "m.h5", entries(tensors), layout=layout, durable=False)
    with Hdf5Reader(tmp_path / "m.h5") as reader:
        assert reader.names() == list(tensors)
        target = FreshArrays(len(tensors))
        reader.read_all(list(tensors), target)
        assert np.array_equal(np.concatenate(target.found), np.arange(20_000))
    with h5py.File(tmp_path / "m.h5") as h5:
        sizes = [sum(h5[place].attrs.get_id(key).get_storage_size() for key in h5[place].attrs) for place in ("/", ".ckpt")]  # fmt: skip
    assert max(sizes) < 4096


def test_locks_of_others_hinder_neither_reading_nor_writing(tmp_path):
    """HDF5's own locks fail on network file systems: none is asked for, and none is heeded."""
    fcntl = pytest.importorskip("fcntl", reason="locks of files are POSIX's")
    path = tmp_path / "m.h5"
    write(path, entries({"a": np.arange(3)}), durable=False)
    with open(path, "rb+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        fcntl.lockf(held, fcntl.LOCK_EX)
        program = (
            "import sys, numpy as np, ckpt\n"
            "assert ckpt.load(sys.argv[1])['a'].tolist() == [0, 1, 2]\n"
            "ckpt.save(sys.argv[1], {'a': np.ones(2)}, force=True)\n"
        )
        command = [sys.executable, "-c", program, str(path)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert (ended.returncode, ended.stderr) == (0, "")
    with Hdf5Reader(path) as reader:
        assert reader.read("a").tolist() == [1, 1]


def test_thousands_of_any_dtype_are_read_at_once_in_any_order_and_more_than_once(tmp_path):
    rng = np.random.default_rng(0)
    shapes = [(), (3,), (0, 2), (70, 5), (1, 1, 9)]
    tensors = {
        f"v{n}": sample(STORED[n % len(STORED)], shapes[n % len(shapes)], rng) for n in range(1300)
    }
    tensors |= {f"text{n}": np.array([b"x" * n, b""], object) for n in range(3)}
    write(tmp_path / "m.h5", entries(tensors), durable=False)
    names = [*reversed(tensors), *list(tensors)[::7], *list(tensors)[:3]]
    with Hdf5Reader(tmp_path / "m.h5") as reader:
        target = FreshArrays(len(names))
        reader.read_all(names, target)
    for name, found in zip(names, target.found, strict=True):
        assert found.dtype == tensors[name].dtype
        assert bits(found) == bits(tensors[name])
        assert found.flags.owndata
    assert len({array.ctypes.data for array in target.found if array.size}) == sum(
        tensors[name].size > 0 for name in names
    )


def test_the_same_content_gives_the_same_bytes(tmp_path):
    tensors = {"a": np.arange(10), "b": np.ones((300, 300))}
    for name in ("1.h5", "2.h5"):
        write(tmp_path / name, entries(tensors), metadata={"step": "1"})
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "2.h5").read_bytes()


def test_metadata_aliases_and_metagraph_come_back(tmp_path):
    write(
        tmp_path / "m.h5",
        entries({"a": np.arange(3)}),
        metadata={"step": "1000", "é": ""},
        aliases={"tied": "a"},
        metagraph=b"\x81graph",
    )
    with Hdf5Reader(tmp_path / "m.h5") as reader:
        assert reader.metadata() == {"step": "1000", "é": ""}
        assert reader.metagraph() == b"\x81graph"
        assert reader.names() == ["a"]
        assert reader.read("tied").tolist() == [0, 1, 2]


@pytest.mark.parametrize("axis", [0, 1])
def test_parts_that_complete_a_tensor_become_one_dataset(tmp_path, axis):
    whole = np.arange(600_000).reshape(600, 1000)
    parts, at = [], 0
    for piece in np.split(whole, [100, 350], axis=axis):
        starts = (at, 0) if axis == 0 else (0, at)
        parts.append(TensorEntry("v", piece, SliceSpec(whole.shape, starts)))
        at += piece.shape[axis]
    write(tmp_path / "m.h5", reversed(parts))
    with Hdf5Reader(tmp_path / "m.h5") as reader, h5py.File(tmp_path / "m.h5") as h5:
        assert np.array_equal(h5["v"][:], whole)
        assert np.array_equal(reader.read("v"), whole)
        cut = (slice(50, 400), slice(90, 360))
        assert np.array_equal(reader.read("v", cut), whole[cut])


@pytest.mark.parametrize("kind", ["i4", "S2"])
def test_missing_parts_are_kept_apart_and_reading_them_is_refused(tmp_path, kind):
    whole = np.arange(60).reshape(6, 10).astype(kind)
    expected = whole.astype(object) if kind == "S2" else whole
    parts = [
        TensorEntry("v", whole[:2, :], SliceSpec((6, 10), (0, 0))),
        TensorEntry("v", whole[2:4, :5], SliceSpec((6, 10), (2, 0))),
    ]
    write(tmp_path / "m.h5", parts)
    with Hdf5Reader(tmp_path / "m.h5") as reader:
        assert reader.parts("v") == [((0, 0), (2, 10)), ((2, 0), (2, 5))]
        cut = (slice(1, 4), slice(2, 5))
        assert np.array_equal(reader.read("v", cut), expected[cut])
        with pytest.raises(errors.NotFoundError, match=r"'v'.*only the parts"):
            reader.read("v")
        with pytest.raises(errors.NotFoundError, match="only the parts"):
            reader.read("v", (slice(2, 4), slice(4, 7)))
    verify(tmp_path / "m.h5")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_slice_is_what_numpy_takes(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "slices.h5"
    values = np.arange(3 * 400 * 7 * 50, dtype=np.int64).reshape(3, 400, 7, 50)
    if not path.exists():
        write(path, entries({"v": values}), durable=False)
    cut = tuple(
        slice(*sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n)))))
        for n in values.shape
    )[: data.draw(st.integers(0, 4))]
    with Hdf5Reader(path) as reader:
        assert np.array_equal(reader.read("v", cut), values[cut])
        out = np.zeros_like(values[cut])
        assert reader.read("v", cut, out=out) is out
        assert np.array_equal(out, values[cut])


@pytest.mark.parametrize("threads", [1, 3])
def test_reading_into_given_arrays_fills_them_all(tmp_path, threads):
    rng = np.random.default_rng(0)
    tensors = {f"v{n}": rng.normal(size=(n * 300, 700)).astype("f") for n in range(12)}
    tensors["text"] = np.array([b"a", b"b"], object)
    write(tmp_path / "m.h5", entries(tensors), durable=False)
    outs = {name: np.zeros_like(array) for name, array in tensors.items()}
    outs["v3"] = np.zeros((700, 900), "f").T
    with Hdf5Reader(tmp_path / "m.h5") as reader:
        reader.read_into(outs, threads=threads)
        with pytest.raises(errors.InvalidArgumentError, match="'v1'"):
            reader.read_into({"v1": np.zeros((300, 700))})
    assert all(np.array_equal(outs[name], array) for name, array in tensors.items())


def test_everything_that_cannot_be_written_is_reported_at_once(tmp_path):
    bad = [
        TensorEntry("\ud800", np.zeros(1)),
        TensorEntry("when", np.array(["2020-01-01"], "datetime64[D]")),
        TensorEntry("object", np.array([1, 2], object)),
        TensorEntry("twice", np.zeros(1)),
        TensorEntry("twice", np.zeros(1)),
        TensorEntry("overlap", np.zeros(2), SliceSpec((3,), (0,))),
        TensorEntry("overlap", np.zeros(2), SliceSpec((3,), (1,))),
        TensorEntry("outside", np.zeros(2), SliceSpec((3,), (2,))),
    ]
    with pytest.raises(errors.InvalidArgumentError) as caught:
        write(tmp_path / "m.h5", bad)
    for name in ("ud800", "when", "object", "twice", "overlap", "outside"):
        assert name in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_listing_loads_neither_numpy_nor_h5py(tmp_path):
    write(tmp_path / "m.h5", entries({"a": np.arange(3)}))
    root = str(Path(hdf5_layout.__file__).parents[1])
    # a bare package in place of ckpt/__init__.py, which is the facade of everything
    script = (
        "import sys, types; package = types.ModuleType('ckpt'); package.__path__ = [sys.argv[1]];"
        "sys.modules['ckpt'] = package; import ckpt.formats.base, ckpt.formats.detect, ckpt.formats.hdf5_header;"
        "from ckpt.core.input_file import InputFile; f = InputFile(sys.argv[2]);"
        "index, _ = ckpt.formats.hdf5_header.read_index(f); assert list(index.rows) == ['a'];"
        "assert ckpt.formats.detect.recognise(sys.argv[2]).name == 'hdf5';"
        "loaded = {'numpy', 'h5py', 'ml_dtypes'} & set(sys.modules); assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", script, root, str(tmp_path / "m.h5")], check=True)


def test_a_prefix_its_meta_file_and_the_file_itself_name_the_checkpoint(tmp_path):
    prefix = str(tmp_path / "model.ckpt-1000")
    write(prefix + ".h5", entries({"a": np.arange(3)}))
    for path in (prefix, prefix + ".meta", prefix + ".h5"):
        with detect.open_reader(path) as reader:
            assert reader.names() == ["a"]
