"""Tensors beyond what 32 bits count: single ones of five gigabytes, in files that hold their zeros as holes."""

import os

import numpy as np
import pytest

from ckpt.core import system
from ckpt.formats.base import TensorEntry
from ckpt.formats.hdf5_reader import Hdf5Reader
from ckpt.formats.hdf5_writer import write


class WithHoles:
    """`os` that leaves out what is zero: the file is the same, and takes no room."""

    def __getattr__(self, name):
        return getattr(os, name)

    def pwrite(self, fd, data, offset):
        return len(data) if not np.frombuffer(data, np.uint8).any() else os.pwrite(fd, data, offset)

    def fsync(self, fd):
        pass


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="holes and memory that is not touched are POSIX's")
def test_a_tensor_of_five_gigabytes_is_written_and_read_in_pieces(tmp_path, monkeypatch):
    values = np.zeros((5 << 18, 1 << 10), np.float32)  # pages that are only read take no memory
    marks = {(0, 0): 1.0, (1 << 19, 3): 2.0, (1 << 20, 5): 4.0, ((5 << 18) - 1, (1 << 10) - 1): 8.0}
    for place, mark in marks.items():  # at 0, beyond 2 GiB, beyond 4 GiB, at the end
        values[place] = mark
    monkeypatch.setattr(system, "files", WithHoles())
    path = tmp_path / "m.h5"
    write(path, [TensorEntry("small", np.arange(3)), TensorEntry("v", values)], durable=False)
    del values
    assert path.stat().st_size > 5 << 30
    assert path.stat().st_blocks * 512 < 64 << 20
    with Hdf5Reader(path) as reader:
        assert reader.spec("v").nbytes == 5 << 30
        for (row, column), mark in marks.items():
            piece = reader.read("v", (slice(row, row + 1), slice(None)))
            assert (piece[0, column], np.count_nonzero(piece)) == (mark, 1)
        assert reader.read("small").tolist() == [0, 1, 2]
