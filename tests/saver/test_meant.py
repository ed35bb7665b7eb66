"""What a path means that a user gives to the command line or to `load_models`."""

from __future__ import annotations

import os

import numpy as np
import pytest

from ckpt.core.errors import DataLossError, InvalidArgumentError, NotFoundError
from ckpt.formats.base import TensorEntry
from ckpt.formats.hdf5_writer import write
from ckpt.saver.meant import checkpoint_meant, checkpoint_prefix, directory_meant, is_state_file
from ckpt.saver.state_file import update_checkpoint_state


@pytest.fixture
def run(tmp_path):
    """A directory with m-1 ... m-5, of which the state file says that m-4 is the latest."""
    for step in (1, 2, 3, 4, 5):
        write(tmp_path / f"m-{step}.h5", [TensorEntry("v", np.ones(3))], durable=False)
    names = [str(tmp_path / f"m-{step}") for step in (3, 4)]
    update_checkpoint_state(str(tmp_path), names[-1], names)
    return tmp_path


def test_a_directory_and_its_state_file_mean_the_latest(run):
    for path in (run, run / "checkpoint", str(run)):
        assert checkpoint_meant(path) == checkpoint_prefix(path) == str(run / "m-4")
    update_checkpoint_state(str(run), str(run / "m-2"), latest_filename="best")
    assert checkpoint_meant(run / "best") == str(run / "m-2")
    assert directory_meant(run / "best", "other") == (str(run), "best")
    assert directory_meant(run, "other") == (str(run), "other")


def test_other_paths_mean_themselves(run):
    for name in ("m-1", "m-1.h5", "m-9", "x.meta"):
        path = str(run / name)
        assert checkpoint_meant(path) == path
        assert checkpoint_prefix(path) == str(run / name.partition(".")[0])
    assert not is_state_file(run / "m-1.h5")
    assert not is_state_file(run / "nothing")


def test_a_state_file_that_tensorflow_wrote_with_absolute_paths_of_another_place(run):
    text = 'model_checkpoint_path: "/gone/m-3"\nall_model_checkpoint_paths: "/gone/m-3"\n'
    (run / "checkpoint").write_text(text)
    for path in (run, run / "checkpoint"):
        assert checkpoint_meant(path) == str(run / "m-3")


def test_why_there_is_no_latest(run, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(
        NotFoundError, match="no checkpoint in this directory: it has no state file"
    ):
        checkpoint_meant(empty)
    os.remove(run / "checkpoint")
    with pytest.raises(
        NotFoundError, match=r"no state file, but m-5, m-4, m-3 and 2 older lie there; .*--rebuild"
    ):
        checkpoint_meant(run)
    (run / "checkpoint").write_text('model_checkpoint_path: "m-7"\n')
    with pytest.raises(NotFoundError, match="lists only lost ones, but m-5"):
        checkpoint_meant(run)
    (run / "checkpoint").write_text('model_checkpoint_path: "m-7\n')
    with pytest.raises(DataLossError):
        checkpoint_meant(run)
    with pytest.raises(InvalidArgumentError, match="empty"):
        checkpoint_meant("")


def test_a_directory_that_is_not_there(run):
    with pytest.raises(NotFoundError, match=r"no such directory; similar: "):
        directory_meant(str(run) + "x")
    with pytest.raises(NotFoundError, match=r"no such directory$"):
        directory_meant(run / "m-1")
