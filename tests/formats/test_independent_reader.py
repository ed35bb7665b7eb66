"""The layout document is enough: a reader made from it alone reads whatever is written."""

import ast
import sys
from pathlib import Path

import h5py
import ml_dtypes
import numpy as np
import pytest

from ckpt.core import dtypes
from ckpt.formats import hdf5_filters, shards
from ckpt.formats.base import SliceSpec, TensorEntry
from ckpt.formats.hdf5_arena import NAMED_UP_TO
from ckpt.formats.hdf5_writer import write

from . import independent_reader
from .test_hdf5_round_trip import NASTY, STORED, bits, entries, sample


def plain(array):
    """Values of quantized numbers as the integers that they are."""
    array = np.asarray(array)
    return array.view(array.dtype[0]) if array.dtype.names else array


def same(found, tensors):
    """What was read has these names, dtypes and bits, and nothing of it is missing."""
    assert list(found) == list(tensors)
    for name, array in tensors.items():
        dtype, values = found[name]
        assert dtype == dtypes.as_dtype(array.dtype).name
        assert not np.ma.is_masked(values), name
        assert bits(values.data) == bits(plain(array)), name


def of_every_dtype(shape):
    rng = np.random.default_rng(3)
    return {f"{dtype.name}/{'x'.join(map(str, shape))}": sample(dtype, shape, rng) for dtype in STORED}  # fmt: skip


def test_every_dtype_whole_empty_and_scalar(tmp_path):
    tensors = of_every_dtype((3, 5)) | of_every_dtype((0, 2)) | of_every_dtype(())
    assert {dtypes.as_dtype(t.dtype).name for t in tensors.values()} >= {
        "string", "bfloat16", "float8_e5m2", "float8_e4m3fn", "complex64", "complex128", "bool", "int4",
    }  # fmt: skip
    write(tmp_path / "m.h5", entries(tensors))
    same(independent_reader.read(tmp_path / "m.h5")[0], tensors)


@pytest.mark.parametrize("count", [3, NAMED_UP_TO + 500])
def test_small_and_large_with_everything_beside_them(tmp_path, count):
    tensors = {f"scope{n % 7}/v{n}": np.full((n % 5, 3), n, np.float32) for n in range(count)}
    tensors |= {"big": np.arange(300_000), "many axes": np.ones((1,) * 40)}
    tensors["text"] = np.array([[b"x", b""], [b"yz", b"\0"]], object)
    about = {"step": "7", "é": ""}
    write(tmp_path / "m.h5", entries(tensors), metagraph=b"graph", metadata=about, aliases={"tied": "big"})  # fmt: skip
    found, metadata, metagraph = independent_reader.read(tmp_path / "m.h5")
    assert (metadata, metagraph) == (about, b"graph")
    assert found.pop("tied") is found["big"]
    same(found, tensors)


def test_any_name(tmp_path):
    tensors = {name: np.array([number]) for number, name in enumerate(NASTY)}
    write(tmp_path / "m.h5", entries(tensors))
    same(independent_reader.read(tmp_path / "m.h5")[0], tensors)


@pytest.mark.parametrize("compression", ["deflate", "zstd", "lz4", "blosc2", "bitshuffle"])
def test_compressed(tmp_path, compression):
    if compression in hdf5_filters.PLUGINS:
        pytest.importorskip("hdf5plugin", reason="needs the extra `compression`")
    ramp = (np.arange(700_000) % 1000).reshape(700, 1000)
    tensors = {
        "w": ramp.astype("f"),
        "w/Adam": ramp[:300].astype(ml_dtypes.bfloat16),
        "eight": ramp[:100].astype(ml_dtypes.float8_e5m2),
        "flags": ramp > 500,
        "complex": (ramp[:100] + 1j).astype("c8"),
        "text": np.array([b"a" * 100_000], object),
        "small": np.arange(5),
    }
    write(tmp_path / "m.h5", entries(tensors), compression=compression)
    with h5py.File(tmp_path / "m.h5") as hdf5:
        assert all(
            hdf5[name].chunks for name in ("w/.value", "w/Adam", "eight", "flags", "complex")
        )
    same(independent_reader.read(tmp_path / "m.h5")[0], tensors)


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_shards_with_parts_of_one_tensor_in_several(tmp_path, compression):
    whole = np.arange(240_000.0).reshape(600, 400)
    words = np.array([b"a", b"bc", b"", b"d"], object)
    tensors = {"v": whole, "words": words, "a": np.arange(9), "none": np.zeros((0, 2))}
    cut = [
        [TensorEntry("v", whole[:, n : n + 100], SliceSpec(whole.shape, (0, n)))]
        for n in range(0, 400, 100)
    ]
    cut[0] += [TensorEntry("words", words[:2], SliceSpec((4,), (0,)))]
    cut[1] += entries({"a": tensors["a"], "none": tensors["none"]})
    cut[2] += [TensorEntry("words", words[2:], SliceSpec((4,), (2,)))]

    def writer(number):
        graph = None if number else b"graph"
        return lambda file: write(file, cut[number], compression=compression, metagraph=graph)

    shards.write_shards(tmp_path / "m", [writer(number) for number in range(4)])
    found, _, metagraph = independent_reader.read(tmp_path / "m.index")
    assert metagraph == b"graph"
    same({name: found[name] for name in tensors}, tensors)
    first = independent_reader.read(next(tmp_path.glob("m.*-00001-of-00004.h5")))[0]["v"][1]
    assert np.array_equal(first[:, :100], whole[:, :100])
    assert first[:, 100:].mask.all()  # alone it is a quarter of the tensor


def test_shards_of_two_saves_are_no_checkpoint(tmp_path):
    for prefix in ("m", "other"):
        tensors = entries({prefix: np.arange(3)})
        shards.write_shards(tmp_path / prefix, [lambda file, held=tensors: write(file, held)] * 2)
    mine, others = (next(tmp_path.glob(f"{prefix}.*-00002-*")) for prefix in ("m", "other"))
    mine.write_bytes(others.read_bytes())
    with pytest.raises(AssertionError):
        independent_reader.read(tmp_path / "m.index")


def test_whatever_is_damaged_is_noticed(tmp_path):
    """Every byte is under a checksum that the document names."""
    shards.write_shards(
        tmp_path / "m", [lambda file: write(file, entries({"a": np.arange(3)}), metagraph=b"g")]
    )
    (shard,), index = tmp_path.glob("m.*.h5"), tmp_path / "m.index"
    assert len(independent_reader.read(index)[0]) == 1
    for file, step in ((shard, 37), (index, 1)):
        data = file.read_bytes()
        for at in range(0, len(data), step):
            file.write_bytes(data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :])
            with pytest.raises(AssertionError):
                independent_reader.read(file)
        file.write_bytes(data[:-1])
        with pytest.raises(AssertionError):
            independent_reader.read(file)
        file.write_bytes(data)


def test_it_is_independent_and_short():
    source = Path(independent_reader.__file__).read_text()
    nodes = list(ast.walk(ast.parse(source)))
    names = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    names |= {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    assert names - sys.stdlib_module_names == {"h5py", "msgpack", "numpy"}
    aside = ("import ", "from ", '"""')
    lines = [line.strip() for line in source.splitlines() if line.strip()]
    assert len([line for line in lines if not line.startswith(aside)]) <= 60
