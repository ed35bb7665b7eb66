"""`ckpt.open`: values are read when they are asked for, and no more of the file than they need."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ckpt
from ckpt.core.errors import DataLossError, InvalidArgumentError, NotFoundError, SelectionError
from ckpt.formats.base import TensorEntry
from ckpt.formats.hdf5_layout import BLOCK
from ckpt.formats.hdf5_writer import write

BIG = np.arange(3_000_000, dtype=np.float32).reshape(3000, 1000)
TENSORS = {
    "big": BIG,
    "wide": np.arange(1_500_000, dtype=np.int32).reshape(3, 500_000),
    "net/small": np.arange(6.0).reshape(2, 3),
    "net/flags": np.array([True, False]),
    "scalar": np.array(5),
    "text": np.array([b"ab", b""], object),
    "empty": np.zeros((0, 3), np.int8),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    file = tmp_path_factory.mktemp("lazy") / "m.h5"
    entries = [TensorEntry(name, array) for name, array in TENSORS.items()]
    write(file, entries, metadata={"step": "3"}, durable=False)
    return str(file)


def test_a_checkpoint_is_a_mapping_of_tensors(path):
    with ckpt.open(path) as f:
        assert list(f) == list(TENSORS)
        assert len(f) == len(TENSORS)
        assert "big" in f
        assert "nothing" not in f
        assert f.metadata == {"step": "3"}
        for name, tensor in f.items():
            expected = TENSORS[name]
            assert (tensor.name, tensor.shape, tensor.dtype) == (
                name,
                expected.shape,
                expected.dtype,
            )
            assert (tensor.ndim, tensor.size) == (expected.ndim, expected.size)
            assert np.array_equal(tensor.read(), expected)
            assert np.array_equal(tensor.view(), expected)
            assert np.array_equal(np.asarray(tensor), expected)
        assert f["big"].nbytes == BIG.nbytes
        assert repr(f["big"]) == "<LazyTensor 'big' float32[3000, 1000]>"
        assert len(f["big"]) == 3000
        with pytest.raises(TypeError, match="no axes"):
            len(f["scalar"])
        with pytest.raises(KeyError, match=r"net/smal.*net/small"):
            f["net/smal"]
    with pytest.raises(ValueError, match="is closed"):
        f["big"]


@pytest.mark.parametrize("key", [0, -1, np.int64(1), (0,), ...])
def test_one_text_of_many_is_read_as_numpy_gives_it(path, key):
    with ckpt.open(path) as f:
        found, expected = f["text"][key], TENSORS["text"][key]
        assert type(found) is type(expected)
        assert np.array_equal(found, expected)
        assert f["scalar"][()] == 5
        for tensor, at in (("scalar", ...), ("text", (0, ...)), ("net/small", (1, 2, ...))):
            assert f[tensor][at].shape == TENSORS[tensor][at].shape == ()
            assert type(f[tensor][at]) is type(TENSORS[tensor][at]) is np.ndarray


@pytest.mark.parametrize("key", [2, -3, (0, 0)])
def test_an_index_that_does_not_fit_names_file_and_tensor(path, key):
    with ckpt.open(path) as f, pytest.raises(IndexError, match=rf"{path}: text: .*(out of|too)"):
        f["text"][key]


def test_opening_reads_the_header_and_the_index_only(path, reads):
    with ckpt.open(path) as f:
        assert f["big"].shape == (3000, 1000)
    assert sum(reads) < 8192 + 2000


def test_one_tensor_reads_its_own_bytes(path, reads):
    with ckpt.open(path) as f:
        reads.clear()
        f["net/small"].read()
        assert sum(reads) == 48
        reads.clear()
        f["big"].read()
        assert sum(reads) == BIG.nbytes


@pytest.mark.parametrize(
    ("cut", "needed"),
    [
        (np.s_[10:74], 64 * 4000),
        (np.s_[2999], 4000),
        (np.s_[5:6, 10:20], 40),
        (np.s_[::1000], None),
    ],
)
def test_a_slice_reads_its_bytes_and_the_blocks_that_verify_them(path, reads, cut, needed):
    with ckpt.open(path) as f:
        reads.clear()
        assert np.array_equal(f["big"][cut], BIG[cut])
        limit = BIG.nbytes if needed is None else needed + 2 * BLOCK
        assert 0 < sum(reads) <= limit


def test_columns_of_long_rows_read_blocks_of_each_row_only(path, reads):
    with ckpt.open(path) as f:
        reads.clear()
        assert np.array_equal(f["wide"][:, 7:9], TENSORS["wide"][:, 7:9])
        assert sum(reads) <= 3 * BLOCK


def test_a_selection_reads_no_more_than_its_tensors(path, reads):
    with ckpt.open(path, include="net/**", exclude="**/flags") as f:
        assert list(f) == ["net/small"]
        reads.clear()
        for tensor in f.values():
            tensor.read()
        assert sum(reads) == 48
        with pytest.raises(KeyError, match="big"):
            f["big"]
    with pytest.raises(SelectionError):
        ckpt.open(path, include="nothing/*")


INDEX = st.one_of(
    st.integers(-4, 4),
    st.slices(4),
    st.just(Ellipsis),
    st.sampled_from([np.int64(1), [0, 1], None, np.array([True, False, True, False])]),
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(key=st.one_of(INDEX, st.lists(INDEX, max_size=4).map(tuple)))
def test_indexing_means_what_numpy_means(tmp_path_factory, key):
    file = tmp_path_factory.getbasetemp() / "indexing.h5"
    values = np.arange(64).reshape(4, 4, 4)
    if not file.exists():
        write(file, [TensorEntry("v", values)], durable=False)
    with ckpt.open(file) as f:
        try:
            expected = values[key]
        except IndexError:
            with pytest.raises(IndexError):
                f["v"][key]
            return
        found = f["v"][key]
        assert found.shape == np.shape(expected)
        assert np.array_equal(found, expected)


def test_views_are_the_file_itself_read_only_and_outlive_it(path):
    with ckpt.open(path) as f:
        view = np.asarray(f["big"])
        assert view.base is not None
        assert not view.flags.writeable
        copy = np.array(f["big"], copy=True)
        copy[0, 0] = 9
        assert f["big"].view()[0, 0] == 0
        assert np.asarray(f["big"], np.float64).dtype == np.float64
        with pytest.raises(ValueError, match="copied"):
            np.asarray(f["big"], np.float64, copy=False)
    assert view[2999, 999] == 2_999_999
    with ckpt.open(path, mmap=False) as f:
        assert f["big"].view().base is None


def test_the_first_view_verifies_unless_told_not_to(path, tmp_path):
    damaged = tmp_path / "m.h5"
    data = bytearray(Path(path).read_bytes())
    at = data.index(np.float32(1_234_567).tobytes())
    data[at] ^= 1
    damaged.write_bytes(data)
    with ckpt.open(damaged) as f:
        with pytest.raises(DataLossError, match="'big'"):
            f["big"].view()
        with pytest.raises(DataLossError, match="'big'"):
            np.asarray(f["big"])
        with pytest.raises(DataLossError, match="'big'"):
            f["big"].read()
        assert np.array_equal(f["big"][:10], BIG[:10])  # other blocks are whole
    with ckpt.open(damaged, verify=False) as f:
        assert (f["big"].view() != BIG).sum() == 1


def test_values_may_be_read_into_an_array(path):
    out = np.zeros((3000, 1000), "f")
    with ckpt.open(path) as f:
        assert f["big"].read(out=out) is out
        with pytest.raises(InvalidArgumentError, match="expected a writable array"):
            f["big"].read(out=out[:3])
    assert np.array_equal(out, BIG)


def test_prefixes_and_missing_files(path):
    with ckpt.open(path.removesuffix(".h5")) as f:
        assert "big" in f
    with pytest.raises(NotFoundError):
        ckpt.open(path + ".none")
    assert os.listdir(os.path.dirname(path)) == ["m.h5"]
