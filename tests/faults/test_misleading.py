"""Checkpoints, indexes and state files of an attacker that name what is not theirs: nothing else is read or deleted. Gate G9."""

import os
import shutil

import numpy as np
import pytest

import ckpt as tf
from ckpt.core.storage import open_input
from ckpt.formats import shards
from ckpt.formats.base import TensorEntry
from ckpt.formats.shard_index import Shard, pack_shard_index, read_shard_index
from ckpt.saver import pruning, validity
from ckpt.saver.salvage import salvage
from tests.faults import hostile

ENTRIES = [TensorEntry("v", np.arange(4.0)), TensorEntry("w", np.ones(4))]


def write(prefix, **options):
    shards.write_checkpoint(prefix, ENTRIES, durable=False, **options)


def shards_of(index):
    with open_input(index) as file:
        return read_shard_index(file)


@pytest.fixture
def home(tmp_path):
    """A directory with two checkpoints, the older of which says that its MetaGraph lies above."""
    home = tmp_path / "home"
    (home / "m-1.x").mkdir(parents=True)
    (tmp_path / "victim").write_text("precious")
    write(home / "m-1", metadata={"meta_graph_suffix": "x/../../victim"})
    write(home / "m-2")
    tf.train.rebuild_checkpoint_state(home)
    return home


def test_the_suffix_of_a_metagraph_leads_nowhere_else(home):
    assert validity.problem_of(str(home / "m-1"), every_byte=True) is None
    tf.train.prune_checkpoints(home, [tf.train.LatestN(1)])
    assert (home.parent / "victim").read_text() == "precious"
    state = tf.train.get_checkpoint_state(home)  # and says nothing that nobody reads
    assert state.all_model_checkpoint_paths == [str(home / "m-2")]
    assert not (home / "m-1.h5").exists()


@pytest.mark.parametrize("delete", [pruning.remove_checkpoint, write], ids=["deleted", "replaced"])
def test_an_index_of_shards_deletes_no_other_files(tmp_path, delete):
    write(tmp_path / "other")
    (tmp_path / "notes.txt").write_text("precious")
    write(tmp_path / "m", shard_size=32)
    named = [*shards_of(tmp_path / "m.index"), Shard("other.h5", 1, 0), Shard("notes.txt", 1, 0)]
    (tmp_path / "m.index").write_bytes(pack_shard_index(named))
    delete(str(tmp_path / "m"))
    assert not (tmp_path / "m.index").exists()
    assert (tmp_path / "other.h5").exists()
    assert (tmp_path / "notes.txt").read_text() == "precious"


def test_deleting_a_copy_of_an_index_leaves_the_original_whole(tmp_path):
    write(tmp_path / "m", shard_size=32)
    shutil.copy(tmp_path / "m.index", tmp_path / "best.index")
    pruning.remove_checkpoint(str(tmp_path / "best"))
    assert not (tmp_path / "best.index").exists()
    assert validity.problem_of(str(tmp_path / "m"), every_byte=True) is None


def test_shards_whose_index_was_renamed_go_with_it(tmp_path):
    write(tmp_path / "m", shard_size=32)
    os.rename(tmp_path / "m.index", tmp_path / "best.index")
    pruning.remove_checkpoint(str(tmp_path / "best"))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("step", ["9" * 5000, "-1", "x", "", "1" * 21, "²"])
def test_a_step_that_is_none_is_the_one_of_the_name(tmp_path, step):
    write(tmp_path / "m-7", metadata={"step": step})
    assert tf.train.rebuild_checkpoint_state(tmp_path)
    assert tf.train.latest_checkpoint(tmp_path, valid_only=True) == str(tmp_path / "m-7")
    assert validity.step_of(str(tmp_path / "m-7")) == 7


def test_a_name_may_end_in_any_number_of_digits(tmp_path):
    """Python refuses to read thousands of digits, with an error of its own."""
    name = b"m-" + b"9" * 5000
    text = b'model_checkpoint_path: "%b"\nall_model_checkpoint_paths: "%b"\n' % (name, name)
    (tmp_path / "checkpoint").write_bytes(hostile.state(text))
    with tf.Graph().as_default(), tf.Session() as session:
        tf.get_variable("v", [2])
        session.run(tf.global_variables_initializer())
        path = tf.train.Saver().save(session, tmp_path / "m")
    assert tf.train.latest_checkpoint(tmp_path) == path
    assert tf.train.rebuild_checkpoint_state(tmp_path).all_model_checkpoint_paths == [path]


def test_a_salvage_follows_no_link_that_a_shard_is(tmp_path):
    write(tmp_path / "secret")
    (tmp_path / "home").mkdir()
    write(tmp_path / "home" / "m", shard_size=32)
    index = tmp_path / "home" / "m.index"
    _, second = shards_of(index)
    (tmp_path / "home" / second.name).unlink()
    (tmp_path / "home" / second.name).symlink_to(tmp_path / "secret.h5")
    report = salvage(tmp_path / "home" / "m", tmp_path / "out")
    assert set(report.recovered) == {"v"}
    assert "symbolic link" in report.lost_files[str(tmp_path / "home" / second.name)]


@pytest.mark.parametrize("column", ["offsets", "chunk_offsets"])
def test_a_salvage_of_what_claims_to_lie_behind_every_file_is_refused_typed(tmp_path, column):
    path = tmp_path / "m.h5"
    options = {"compression": "deflate"} if column == "chunk_offsets" else {}
    shards.write_checkpoint(
        tmp_path / "m", [TensorEntry("v", np.zeros(1 << 14))], durable=False, **options
    )
    path.write_bytes(hostile.resealed(path.read_bytes(), lambda i: i.update({column: b"\xff" * 8})))
    with pytest.raises(tf.errors.DataLossError, match=r"m\.h5"):
        salvage(path, tmp_path / "out")
    assert not (tmp_path / "out.h5").exists()
