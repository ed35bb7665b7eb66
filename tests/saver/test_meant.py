"""What a path means that a user gives to the command line or to `load_models`."""

from __future__ import annotations

import os

import numpy as np
import pytest

import ckpt as tf
from ckpt.cli import main
from ckpt.compose.draft import open_draft
from ckpt.core.errors import DataLossError, InvalidArgumentError, NotFoundError, SelectionError
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
        with tf.open(path) as opened:
            assert opened.path == str(run / "m-4")
    update_checkpoint_state(str(run), str(run / "m-2"), latest_filename="best")
    assert checkpoint_meant(run / "best") == str(run / "m-2")
    assert directory_meant(run / "best", "other") == (str(run), "best")
    assert directory_meant(run, "other") == (str(run), "other")


def test_other_paths_mean_themselves(run):
    for name in ("m-1", "m-1.h5", "m-9", "x.meta"):
        path = str(run / name)
        assert checkpoint_meant(path) == path
        assert checkpoint_prefix(path) == str(run / name.partition(".")[0])
    write(run / "x.h5.h5", [TensorEntry("v", np.ones(3))], durable=False)
    assert (
        checkpoint_prefix(run / "x.h5") == checkpoint_prefix(run / "x.h5.h5") == str(run / "x.h5")
    )
    update_checkpoint_state(str(run), str(run / "x.h5"))
    assert checkpoint_prefix(run) == str(run / "x.h5")
    assert main.run(["verify", str(run / "x.h5")]) == 0
    assert not is_state_file(run / "m-1.h5")
    assert not is_state_file(run / "nothing")


def test_a_state_file_that_tensorflow_wrote_with_absolute_paths_of_another_place(run):
    text = 'model_checkpoint_path: "/gone/m-3"\nall_model_checkpoint_paths: "/gone/m-3"\n'
    (run / "checkpoint").write_text(text)
    for path in (run, run / "checkpoint"):
        assert checkpoint_meant(path) == str(run / "m-3")


@pytest.fixture
def all_ways(capsys):
    """The first value of `v` by every function that takes such a path, and by the command line."""

    def told(*words):
        capsys.readouterr()
        assert main.run([*words]) == 0
        return capsys.readouterr().out

    def read(path):
        path = str(path)
        with tf.open(path) as opened:
            found = {tf.load(path)["v"][0], opened["v"][0], tf.train.load_variable(path, "v")[0]}
        file = told("inspect", path).split()[1]
        shown = told("cat", path, "v").strip("[]\n").split()[0]
        return {*found, tf.load(file)["v"][0], float(shown)}

    return read


def test_a_directory_and_a_checkpoint_of_one_name(run, caplog, monkeypatch, all_ways):
    """As in TensorFlow the directory is meant, by every function alike, with a word about the other."""
    monkeypatch.chdir(run.parent)
    beside = f"{run.name}.h5"
    tf.save(run.name, {"v": [7.0]})
    assert all_ways(run.name) == {1.0}
    assert checkpoint_prefix(run.name) == f"{run.name}/m-4"
    told = f"{run.name}: taken for the directory, of which {run.name}/m-4 is the newest; the other checkpoint is {beside}"
    assert {record.message for record in caplog.records} == {told}
    caplog.clear()
    assert all_ways(beside) == {7.0}
    assert all_ways(f"{run.name}/") == {1.0}
    assert checkpoint_prefix(beside) == run.name
    os.remove(run / "checkpoint")  # what lies there is no less a checkpoint
    for ask in (tf.load, tf.open, checkpoint_meant):
        with pytest.raises(NotFoundError, match=r"no state file, but m-5"):
            ask(run.name)
    with pytest.raises(ValueError, match="no state file, but m-5"):
        tf.train.list_variables(run.name)
    assert not caplog.records


def test_a_directory_that_has_nothing_to_do_with_checkpoints(tmp_path, caplog, all_ways):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "layers.py").touch()
    path = tf.save(tmp_path / "model", {"v": [7.0]})
    assert all_ways(path) == {7.0}
    assert main.run(["verify", path]) == 0
    assert checkpoint_meant(path) == checkpoint_prefix(path) == path
    assert not caplog.records
    (tmp_path / "model" / "checkpoint").write_text('model_checkpoint_path: "m-7"\n')
    with pytest.raises(NotFoundError, match="lists only lost ones"):
        tf.load(path)


def test_the_graph_is_that_of_the_checkpoint_that_is_meant(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for prefix, trainable in (("run/m", True), ("run", False)):
        with tf.Graph().as_default(), tf.Session() as session:
            session.run(tf.get_variable("v", [2], trainable=trainable).initializer)
            tf.train.Saver().save(session, prefix, write_state=prefix != "run")
    assert list(tf.load("run", "@trainable")) == ["v"]
    with pytest.raises(SelectionError, match="trainable"):
        tf.load("run.h5", "@trainable")
    for path, trainable in (("run", True), ("run.h5", False)):
        assert ("trainable_variables" in open_draft(path).meta.collection_def) is trainable


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
    with pytest.raises(InvalidArgumentError, match=r"m-1\.h5: is a file, and no state file"):
        directory_meant(run / "m-1.h5")
    with pytest.raises(InvalidArgumentError, match="empty"):
        directory_meant("")
