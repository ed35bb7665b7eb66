"""Compressed checkpoints: any HDF5 tool reads them, slices touch the chunks they need, hostile ones are refused."""

import zlib

import h5py
import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ckpt
from ckpt.core.errors import DataLossError, InvalidArgumentError, UnimplementedError
from ckpt.formats import hdf5_filters, shards
from ckpt.formats.base import SliceSpec, TensorEntry
from ckpt.formats.hdf5_chunks import chunk_shape
from ckpt.formats.hdf5_reader import Hdf5Reader, verify
from ckpt.formats.hdf5_writer import write

from .test_hdf5_round_trip import entries

COMPRESSIONS = ["deflate", "deflate:9", "zstd", "zstd:7", "lz4", "blosc2", "bitshuffle"]
RNG = np.random.default_rng(0)


def model():
    smooth = RNG.normal(size=(700, 1000)).astype("f").round(1)
    return {
        "w": smooth,
        "half": smooth[:400].astype(ml_dtypes.bfloat16),
        "turned": smooth.T[:, ::2].astype(">f8"),
        "flags": smooth > 0,
        "complex": (smooth[:100] + 1j).astype("c8"),
        "text": np.array([b"a" * 100_000], object),
        "small": np.arange(5),
        "long": np.arange(300_000),
    }


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_values_come_back_and_any_hdf5_tool_reads_them(tmp_path, compression):
    if compression.partition(":")[0] in hdf5_filters.PLUGINS:
        pytest.importorskip("hdf5plugin", reason="needs the extra `compression`")
    path = tmp_path / "m.h5"
    tensors = model()
    write(path, entries(tensors), compression=compression, durable=False)
    assert path.stat().st_size < sum(array.nbytes for array in tensors.values())
    verify(path)
    with Hdf5Reader(path) as reader, h5py.File(path) as h5:
        for name, array in tensors.items():
            assert np.array_equal(reader.read(name), array)
        for name in ("w", "turned", "flags", "complex", "long"):
            assert np.array_equal(h5[name][:], tensors[name])
            assert h5[name].chunks is not None
        assert np.array_equal(h5["half"][:], tensors["half"].view("u2"))
        assert h5["small"].chunks is None
        cut = (slice(100, 333), slice(50, 52))
        assert np.array_equal(reader.read("w", cut), tensors["w"][cut])


def test_a_slice_reads_its_chunks_only(tmp_path, reads):
    tensors = {"w": RNG.normal(size=(4000, 1000)).astype("f")}
    write(tmp_path / "m.h5", entries(tensors), compression="deflate", durable=False)
    with Hdf5Reader(tmp_path / "m.h5") as reader:
        reads.clear()
        assert np.array_equal(reader.read("w", (slice(10, 20),)), tensors["w"][10:20])
        assert len(reads) == 1
        assert sum(reads) <= 600_000


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_shape_and_any_slice(tmp_path, data, monkeypatch):
    monkeypatch.setattr("ckpt.formats.hdf5_plan.ALIGNED_FROM", 1)
    monkeypatch.setattr(
        "ckpt.formats.hdf5_chunks._CHUNK", data.draw(st.sampled_from([8, 64, 4096]))
    )
    shape = tuple(data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=4)))
    values = np.arange(
        np.prod(shape), dtype=data.draw(st.sampled_from(["u1", "i2", "f8"]))
    ).reshape(shape)
    write(tmp_path / "m.h5", entries({"v": values}), compression="deflate", durable=False)
    cut = tuple(
        slice(*sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n))))) for n in shape
    )
    with Hdf5Reader(tmp_path / "m.h5") as reader, h5py.File(tmp_path / "m.h5") as h5:
        assert h5["v"].chunks == chunk_shape(shape, values.itemsize)
        assert np.array_equal(h5["v"][()], values)
        assert np.array_equal(reader.read("v"), values)
        assert np.array_equal(reader.read("v", cut), values[cut])


def test_parts_and_shards_are_compressed_too(tmp_path):
    whole = np.arange(600_000).reshape(600, 1000)
    rows = [
        TensorEntry("v", whole[a:b], SliceSpec(whole.shape, (a, 0)))
        for a, b in ((0, 250), (250, 600))
    ]
    write(tmp_path / "joined.h5", rows, compression="deflate", durable=False)
    write(tmp_path / "part.h5", rows[:1], compression="deflate", durable=False)
    shards.write_checkpoint(
        tmp_path / "s",
        entries({"a": whole, "b": whole + 1}),
        shard_size=1,
        compression="deflate",
        durable=False,
    )
    with Hdf5Reader(tmp_path / "joined.h5") as reader, Hdf5Reader(tmp_path / "part.h5") as part:
        assert np.array_equal(reader.read("v"), whole)
        assert np.array_equal(part.read("v", (slice(100, 200),)), whole[100:200])
        assert part.spec("v").nbytes < whole[:250].nbytes / 2
    with ckpt.open(tmp_path / "s") as f:
        assert np.array_equal(f["b"].view(), whole + 1)


def test_the_saver_compresses_what_it_is_told_to(tmp_path):
    with ckpt.Graph().as_default(), ckpt.Session() as sess:
        variable = ckpt.get_variable("v", [400, 400], initializer=ckpt.zeros_initializer())
        sess.run(variable.initializer)
        saver = ckpt.train.Saver()
        prefix = saver.save(sess, tmp_path / "m", compression="deflate", durable=False)
        variable.load(np.ones((400, 400), "f"), sess)
        saver.restore(sess, prefix)
        assert not sess.run(variable).any()
    with ckpt.open(prefix) as f:
        assert f["v"].nbytes < 10_000


@pytest.mark.parametrize("text", ["gzip", "deflate:10", "deflate:", "lz4:3", "", "DEFLATE"])
def test_unknown_compressions_are_refused_before_anything_is_written(tmp_path, text):
    with pytest.raises(InvalidArgumentError, match="expected deflate"):
        write(tmp_path / "m.h5", entries({"a": np.zeros(3)}), compression=text)
    assert list(tmp_path.iterdir()) == []


def test_without_the_package_its_filters_are_refused(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "hdf5plugin", None)
    with pytest.raises(UnimplementedError, match=r"ckpt\[compression\]"):
        write(tmp_path / "m.h5", entries(model()), compression="zstd")
    with pytest.raises(UnimplementedError, match=r"ckpt\[compression\]"):
        hdf5_filters.decode(b"", ((32015, ()),), (4,), 4)


def test_a_file_whose_filters_are_not_here_is_told_with_the_tensor(monkeypatch, tmp_path):
    pytest.importorskip("hdf5plugin", reason="needs the extra `compression`")
    write(tmp_path / "m.h5", entries(model()), compression="zstd")
    monkeypatch.setitem(__import__("sys").modules, "hdf5plugin", None)
    with (
        Hdf5Reader(tmp_path / "m.h5") as reader,
        pytest.raises(
            UnimplementedError,
            match=r"m\.h5: tensor 'w': .*32015 needs .*ckpt\[compression\]",
        ),
    ):
        reader.read("w")


def test_filters_that_no_checkpoint_may_use_are_refused():
    with pytest.raises(UnimplementedError, match="filter 305"):
        hdf5_filters.decode(b"", ((305, ()),), (4,), 4)


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"no stream",
        zlib.compress(bytes(15)),
        zlib.compress(bytes(17)),
        zlib.compress(bytes(1 << 24)),
    ],
)
def test_a_chunk_of_another_length_is_refused_and_no_more_than_it_is_inflated(stored):
    with pytest.raises(ValueError, match=r"expected 16|no deflate stream"):
        hdf5_filters.decode(stored, ((1, (1,)),), (4,), 4)


def test_a_bomb_is_refused_before_memory_is_taken(tmp_path, monkeypatch):
    path = tmp_path / "m.h5"
    write(path, entries({"v": np.zeros((300, 10_000))}), compression="deflate:9", durable=False)
    with ckpt.open(path) as f:
        assert not f["v"][5, 7:9].any()
    monkeypatch.setattr("ckpt.formats.hdf5_volumes._ALWAYS_ALLOWED", 1 << 20)
    with pytest.raises(DataLossError, match="max_expansion"):
        ckpt.open(path)
    with ckpt.open(path, max_expansion=2000) as f:
        assert not f["v"][5, 7:9].any()


def test_a_saver_restores_what_it_saved_however_well_it_deflates(tmp_path, monkeypatch):
    """It would be a bomb, were it not as large as the variables that are there."""
    monkeypatch.setattr("ckpt.formats.hdf5_volumes._ALWAYS_ALLOWED", 1 << 20)
    with ckpt.Graph().as_default(), ckpt.Session() as session:
        v = ckpt.get_variable("v", initializer=ckpt.zeros([300, 10_000]))
        session.run(v.initializer)
        saver = ckpt.train.Saver()
        prefix = saver.save(session, str(tmp_path / "m"), compression="deflate:9", durable=False)
        with pytest.raises(DataLossError, match="max_expansion"):
            ckpt.open(prefix)
        session.run(v.assign(ckpt.ones([300, 10_000])))
        saver.restore(session, prefix)
        assert not session.run(v).any()
    with ckpt.Graph().as_default(), ckpt.Session() as session:
        ckpt.get_variable("v", [3])
        with pytest.raises(ckpt.errors.InvalidArgumentError, match="shape"):
            ckpt.train.Saver().restore(session, prefix)


def test_a_flip_in_a_chunk_is_found(tmp_path):
    path = tmp_path / "m.h5"
    write(path, entries({"v": np.arange(100_000)}), compression="deflate", durable=False)
    with Hdf5Reader(path) as reader:
        offset = reader._tensor("v").parts[0].chunks.offsets[1]
    data = bytearray(path.read_bytes())
    data[offset + 100] ^= 1
    path.write_bytes(data)
    with Hdf5Reader(path) as reader:
        with pytest.raises(DataLossError, match="'v'"):
            reader.read("v")
        with pytest.raises(DataLossError, match="'v'"):
            reader.verify()
        assert reader.read("v", (slice(10),)).tolist() == list(range(10))


def test_a_chunk_that_is_another_stream_is_found(tmp_path):
    """Its own checksum is right: only ours tells."""
    path = tmp_path / "m.h5"
    write(path, entries({"v": np.arange(100_000)}), compression="deflate:0", durable=False)
    with Hdf5Reader(path) as reader:
        chunks = reader._tensor("v").parts[0].chunks
    place = slice(chunks.offsets[1], chunks.offsets[1] + chunks.lengths[1])
    data = bytearray(path.read_bytes())
    values = bytearray(zlib.decompress(data[place]))
    values[7] ^= 1
    other = zlib.compress(values, 0)
    assert len(other) == chunks.lengths[1]
    data[place] = other
    path.write_bytes(data)
    with Hdf5Reader(path) as reader, pytest.raises(DataLossError, match="'v'"):
        reader.read("v")
