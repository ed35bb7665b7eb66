"""More than a file may describe: a writer refuses it, as each reader would, and the file that was there stays."""

import os

import numpy as np
import pytest

from ckpt.core.errors import InvalidArgumentError
from ckpt.formats.base import SliceSpec, TensorEntry
from ckpt.formats.hdf5_reader import Hdf5Reader
from ckpt.formats.hdf5_writer import write


def many(count):
    return [TensorEntry(f"v{n}", np.zeros((1, 0), np.float32)) for n in range(count)]


def parts(count):
    return [TensorEntry("v", np.ones(1), SliceSpec((2 * count,), (2 * n,))) for n in range(count)]


@pytest.mark.parametrize(
    ("entries", "options", "where", "limit", "said"),
    [
        (many(9), {}, "hdf5_layout.MOST_SIZES", 17, "shapes of 18 sizes"),
        (parts(9), {}, "hdf5_layout.MOST_SIZES", 17, "parts of tensors of 18 sizes"),
        (parts(9), {}, "hdf5_plan.MOST_PARTS", 8, "9 parts of tensors"),
        (many(9), {}, "hdf5_plan.MOST_INDEX", 200, "an index of"),
        (many(3), {"aliases": {f"a{n}": "v0" for n in range(9)}}, "hdf5_layout.MOST_ENTRIES", 8, "of 9 entries"),
        ([TensorEntry("größe", np.ones(1))], {}, "hdf5_layout.MOST_TEXT", 6, "names of 7 bytes"),
    ],
)  # fmt: skip
def test_what_no_reader_would_take_is_not_written(
    tmp_path, monkeypatch, entries, options, where, limit, said
):
    write(tmp_path / "m.h5", many(1), durable=False)
    before = (tmp_path / "m.h5").read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(f"ckpt.formats.{where}", limit)
        with pytest.raises(
            InvalidArgumentError, match=f"m.h5 cannot hold so much: .*{said}.*shard_size"
        ):
            write(tmp_path / "m.h5", entries, durable=False, **options)
    assert os.listdir(tmp_path) == ["m.h5"]
    assert (tmp_path / "m.h5").read_bytes() == before
    write(tmp_path / "m.h5", entries, durable=False, **options)
    with Hdf5Reader(tmp_path / "m.h5") as reader:
        assert reader.names() == list(dict.fromkeys(entry.name for entry in entries))
