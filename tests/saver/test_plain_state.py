"""The short reader of state files says what the long one says, or nothing."""

from __future__ import annotations

import os

import numpy as np
import pytest
from crc32c import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt.core.errors import OpError
from ckpt.formats.base import TensorEntry
from ckpt.formats.hdf5_writer import write
from ckpt.saver.meant import checkpoint_meant
from ckpt.saver.plain_state import latest_in
from ckpt.saver.pruning import pin_checkpoint
from ckpt.saver.state_file import update_checkpoint_state


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir("run")
    for name in ("m-1", "m-2", "it's"):
        write(f"run/{name}.h5", [TensorEntry("v", np.ones(3))], durable=False)
    update_checkpoint_state("run", "run/m-2", ["run/m-1", "run/m-2"], None, [1.5, 2e9], 3.5)
    return tmp_path / "run"


def meant(path):
    try:
        return checkpoint_meant(path)
    except OpError:
        return None


def test_the_latest_of_a_directory(run):
    for path in ("run", "run/", "./run", str(run)):
        assert latest_in(path) == checkpoint_meant(path)
        assert latest_in(path).endswith("run/m-2")


def sealed(body):
    return body + b"# crc32c: %08x\n" % crc32c(body)


def test_what_is_unusual_is_left_to_the_long_reader(run):
    good = (run / "checkpoint").read_bytes()
    body = good[: good.rindex(b"# crc32c")]
    for data in (
        b"",
        good[:-1],
        body,
        good.replace(b"m-2", b"m-1"),
        b'model_checkpoint_path: "m-2"\n',
        sealed(body + b"x: 1\n"),
        sealed(body + b'all_model_checkpoint_paths: "a\n'),
        sealed(body + b'all_model_checkpoint_paths: "../m"\n'),
        sealed(body + b'model_checkpoint_path: "m-1"\n'),
        sealed(body + b"last_preserved_timestamp: x\n"),
        sealed(body[:-1]),
        sealed(body.replace(b'"m-2"', b'"/gone/m-2"')),
        sealed(body.replace(b'"m-2"', b'""')),
        sealed(body.replace(b'"m-2"', b'".."')),
        sealed(body.replace(b'"m-2"', b'"m-3"')),
    ):
        (run / "checkpoint").write_bytes(data)
        assert latest_in("run") is None
    (run / "checkpoint").unlink()
    assert latest_in("run") is None
    assert latest_in("nothing") is None


def test_pins_quotes_and_other_files_are_left_to_it_too(run):
    update_checkpoint_state("run", "run/it's")
    assert latest_in("run") is None
    assert checkpoint_meant("run") == "run/it's"
    update_checkpoint_state("run", "run/m-2")
    assert latest_in("run") == "run/m-2"
    (run / "m-2.index").write_bytes(b"")
    assert latest_in("run") is None
    (run / "m-2.index").unlink()
    pin_checkpoint("run/m-1")
    assert latest_in("run") is None


@settings(deadline=None)
@given(data=st.data())
def test_any_sealed_change_of_a_line(data, tmp_path_factory):
    run = tmp_path_factory.getbasetemp() / "plain"
    if not run.exists():
        run.mkdir()
        write(run / "m-1.h5", [TensorEntry("v", np.ones(3))], durable=False)
    update_checkpoint_state(str(run), str(run / "m-1"), [str(run / "m-1")], None, [1.5])
    good = (run / "checkpoint").read_bytes()
    body = bytearray(good[: good.rindex(b"# crc32c")])
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    (run / "checkpoint").write_bytes(sealed(bytes(body)))
    found = latest_in(str(run))
    assert found is None or found == meant(str(run))


def test_what_is_no_file_is_left_to_the_long_reader_without_waiting(run):
    (run / "checkpoint").unlink()
    os.mkfifo(run / "checkpoint")
    assert latest_in("run") is None
    (run / "checkpoint").unlink()
    (run / "checkpoint").mkdir()
    assert latest_in("run") is None
