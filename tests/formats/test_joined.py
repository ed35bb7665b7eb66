"""Whole tensors put together from parts that have names of their own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt.formats import hdf5_writer
from ckpt.formats.base import TensorEntry
from ckpt.formats.hdf5_reader import Hdf5Reader
from ckpt.formats.joined import JoinedReader, joints, used_parts


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    path = tmp_path_factory.mktemp("joined") / "m.h5"
    value = np.arange(60).reshape(10, 6)
    tensors = {
        "w/part_0": value[:3], "w/part_1": value[3:3], "w/part_2": value[3:],
        "c/part_0/Adam": value[:, :2], "c/part_1/Adam": value[:, 2:],
        "gap/part_0": value[:3], "gap/part_2": value[3:],
        "mixed/part_0": value[:3], "mixed/part_1": value[3:].astype(np.float32),
        "single": value,
    }  # fmt: skip
    hdf5_writer.write(path, [TensorEntry(n, np.ascontiguousarray(a)) for n, a in tensors.items()])
    with Hdf5Reader(path) as opened:
        yield opened


WANTED = {name: (10, 6) for name in ("w", "c/Adam", "gap", "mixed", "single", "absent")}


def test_only_what_is_complete_and_adds_up_is_joined(reader):
    found = joints(reader, WANTED)
    assert found.keys() == {"w", "c/Adam"}
    assert found["w"].axis == 0
    assert found["c/Adam"].parts == ("c/part_0/Adam", "c/part_1/Adam")
    assert joints(reader, {"w": (11, 6), "c/Adam": (6, 10)}) == {}
    assert used_parts(found, ["w", "single"]) == {"w/part_0", "w/part_1", "w/part_2", "single"}


@given(st.data())
def test_any_part_of_it_reads_as_that_part_of_the_whole(reader, data):
    joined = JoinedReader(reader, joints(reader, WANTED))
    name = data.draw(st.sampled_from(["w", "c/Adam", "single"]))
    count = data.draw(st.integers(0, 2))
    cuts = []
    for size in (10, 6)[:count]:
        low = data.draw(st.integers(0, size))
        cuts.append(slice(low, data.draw(st.integers(low, size))))
    expected = np.arange(60).reshape(10, 6)[tuple(cuts)]
    np.testing.assert_array_equal(joined.read(name, tuple(cuts)), expected)
    out = np.empty(expected.shape, np.int64)
    np.testing.assert_array_equal(joined.read(name, tuple(cuts), out), expected)
    assert joined.spec(name).shape == (10, 6)
