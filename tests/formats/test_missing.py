"""A checkpoint that is not there: what is called alike is found, and only looked for when the error is shown."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

from ckpt.core.errors import NotFoundError
from ckpt.formats import detect, missing
from ckpt.formats.base import TensorEntry
from ckpt.formats.hdf5_writer import write
from ckpt.formats.shards import write_checkpoint


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir("run_a")
    os.mkdir("run_b")
    write("run_a/model-10.h5", [TensorEntry("v", np.ones(3))], durable=False)
    write_checkpoint(
        "run_a/model-20",
        [TensorEntry(f"v{n}", np.ones(900)) for n in range(4)],
        shard_size=8000,
        durable=False,
    )
    (tmp_path / "run_a" / "model-11").write_text("no checkpoint, as its name has no suffix")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "first"),
    [
        ("run_a/model-100", "run_a/model-10"),
        ("run_a/model-20x", "run_a/model-20"),
        ("run_a/modle-20", "run_a/model-20"),
        ("rum_a", "run_a"),
        ("rum_a/", "run_a"),
        ("rum_a/model-20", "run_a/model-20"),
        ("rum_a/other", "run_a"),
        ("run_a/model-10.h5/x", "run_a/model-10"),
    ],
)
def test_what_is_called_alike(folder, path, first):
    assert missing.similar(path)[0] == first
    assert missing.similar(str(folder / path.rstrip("/")))[0] == str(folder / first)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "zzz",
        "zzz/zzz/zzz",
        "run_a/zzzzzz",
        "a\0b",
        "s3://bucket/model",
    ],
)
def test_nothing_is_called_alike(folder, path):
    assert missing.similar(path) == []


def test_other_files_and_shards_are_not_offered(folder):
    found = missing.similar("run_a/model-1x")
    assert found
    assert set(found) <= {"run_a/model-10", "run_a/model-20"}


def test_the_error_names_them_when_it_is_shown(folder, monkeypatch):
    with pytest.raises(
        NotFoundError, match=r"no such checkpoint.*; similar: run_a/model-10"
    ) as caught:
        detect.open_reader("run_a/model-101")
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert "similar" not in caught.value.message

    def never(path):
        raise AssertionError

    monkeypatch.setattr(missing, "similar", never)
    # who only waits for a checkpoint does not pay for the search
    with pytest.raises(NotFoundError):
        detect.resolve("run_a/model-101")
