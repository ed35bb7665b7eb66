"""The newest whole checkpoint of a directory, why newer ones are not taken, and state files made anew."""

import logging
import os
import shutil

import numpy as np
import pytest

import ckpt as tf
from ckpt.core.errors import DataLossError, NotFoundError, OpError, PermissionDeniedError
from ckpt.saver import state_file
from ckpt.saver.latest import (
    checkpoints_in,
    find_latest,
    latest_checkpoint,
    rebuild_checkpoint_state,
)


@pytest.fixture
def run(tmp_path):
    """A directory with the checkpoints m-1, m-2, m-3, each with its MetaGraph file."""
    v = tf.get_variable("v", [40_000], initializer=tf.zeros_initializer())
    saver = tf.train.Saver()
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for step in (1, 2, 3):
            sess.run(v.assign_add(np.ones(40_000)))
            saver.save(sess, tmp_path / "run" / "m", global_step=step, durable=False)
    return tmp_path / "run"


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def cut(path, by=1):
    os.truncate(path, path.stat().st_size - by)


DAMAGE = {
    "removed": lambda path: path.unlink(),
    "cut": cut,
    "emptied": lambda path: path.write_bytes(b""),
    "flipped in the header": lambda path: flip(path, 5),
    "flipped in the middle": lambda path: flip(path, path.stat().st_size // 2),
    "flipped at the end": lambda path: flip(path, -1),
    "swapped": lambda path: shutil.copy(path.parent / "checkpoint", path),
}


@pytest.mark.parametrize("file", ["m-3.h5", "m-3.meta"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_newest_checkpoint_is_passed_over_with_the_reason(run, caplog, file, damage):
    DAMAGE[damage](run / file)
    found = find_latest(run)
    assert found.path == str(run / "m-2")
    assert found.step == 2
    assert [skipped.path for skipped in found.skipped] == [str(run / "m-3")]
    assert file in found.skipped[0].reason
    assert latest_checkpoint(run, valid_only=True) == found.path
    with pytest.raises(ValueError, match="valid_only must be False, True or 'quick', not 'fast'"):
        latest_checkpoint(run, valid_only="fast")
    assert f"passing over checkpoint {run / 'm-3'}" in caplog.text


def test_a_whole_newest_checkpoint_is_the_answer(run):
    found = find_latest(run)
    assert (found.path, found.step, found.skipped, found.notes) == (str(run / "m-3"), 3, (), ())


def test_quick_sees_what_header_index_and_lengths_tell_and_reads_no_values(run):
    flip(run / "m-3.h5", 50_000)  # a value
    assert latest_checkpoint(run, valid_only="quick") == str(run / "m-3")
    assert latest_checkpoint(run, valid_only=True) == str(run / "m-2")
    cut(run / "m-3.h5")
    assert latest_checkpoint(run, valid_only="quick") == str(run / "m-2")


def test_several_damaged_ones_are_all_told(run):
    cut(run / "m-3.h5")
    (run / "m-2.h5").unlink()
    found = find_latest(run)
    assert found.path == str(run / "m-1")
    assert "m-3.h5" in found.skipped[0].reason
    assert "its files are gone" in found.skipped[1].reason


def test_when_only_values_are_left_they_are_taken_with_a_note(run):
    for step in (1, 2, 3):
        (run / f"m-{step}.meta").unlink()
    found = find_latest(run)
    assert found.path == str(run / "m-3")
    assert "m-3.meta is missing; its values are whole" in found.notes[0]


def test_without_meta_graphs_none_is_expected(tmp_path):
    v = tf.get_variable("v", [2])
    with tf.Session() as sess:
        sess.run(v.initializer)
        prefix = tf.train.Saver().save(sess, tmp_path / "m", write_meta_graph=False)
    assert find_latest(tmp_path).path == prefix


def test_another_meta_graph_file_that_is_whole_is_no_damage(run):
    shutil.copy(run / "m-1.meta", run / "m-3.meta")
    assert find_latest(run).path == str(run / "m-3")


def test_when_nothing_listed_is_whole_the_rest_of_the_directory_is_looked_at(run):
    state_file.update_checkpoint_state(run, "m-3", ["m-3"])
    cut(run / "m-3.h5")
    found = find_latest(run)
    assert found.path == str(run / "m-2")
    assert "see the rest" in found.notes[0]


@pytest.mark.parametrize(
    "damage", [lambda p: cut(p), lambda p: p.write_bytes(b""), lambda p: flip(p, 30)]
)
def test_an_unreadable_state_file_is_an_error_or_the_directory_is_asked(run, caplog, damage):
    damage(run / "checkpoint")
    with pytest.raises(DataLossError, match="ckpt latest --rebuild"):
        latest_checkpoint(run)
    assert latest_checkpoint(run, valid_only=True) == str(run / "m-3")
    assert "The order is taken from the directory" in caplog.text


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_state_file_that_may_not_be_read_is_not_an_empty_directory(run):
    (run / "checkpoint").chmod(0)
    with pytest.raises(PermissionDeniedError):
        latest_checkpoint(run)


def test_an_empty_or_missing_directory_has_no_checkpoint(tmp_path, caplog):
    for directory in (tmp_path, tmp_path / "absent"):
        assert latest_checkpoint(directory) is None
        assert latest_checkpoint(directory, valid_only=True) is None
        assert caplog.text == ""
        assert find_latest(directory).path is None
        assert rebuild_checkpoint_state(directory) is None
    assert os.listdir(tmp_path) == []


def test_checkpoints_that_no_state_file_lists_are_not_passed_over_in_silence(run, caplog):
    (run / "checkpoint").unlink()
    assert latest_checkpoint(run) is None  # as TensorFlow has it
    assert "it has no state file, but m-3, m-2, m-1 lie there" in caplog.text
    assert f"ckpt latest --rebuild {run}" in caplog.text
    for ask, error in ((tf.load, NotFoundError), (tf.train.load_checkpoint, ValueError)):
        with pytest.raises(error, match=r"it has no state file, but m-3, m-2, m-1 lie there"):
            ask(run)
    assert latest_checkpoint(run, valid_only=True) == f"{run}/m-3"
    caplog.clear()
    assert list(tf.train.checkpoints_iterator(run, timeout=0)) == []
    assert caplog.text == ""  # who waits is told nothing, again and again


def test_the_state_file_is_rebuilt_from_the_directory(run):
    before = state_file.get_checkpoint_state(run)
    (run / "checkpoint").write_bytes(b"\0" * 100)
    cut(run / "m-2.h5")
    (run / "notes.txt").write_text("not a checkpoint")
    state = rebuild_checkpoint_state(run, dry_run=True)
    assert (run / "checkpoint").read_bytes() == b"\0" * 100
    assert state == rebuild_checkpoint_state(run) == state_file.get_checkpoint_state(run)
    assert state.model_checkpoint_path == before.model_checkpoint_path
    assert state.all_model_checkpoint_paths == [str(run / "m-1"), str(run / "m-3")]
    assert latest_checkpoint(run) == str(run / "m-3")


def test_steps_decide_the_order_where_a_copy_lost_the_times(run, caplog):
    for age, step in enumerate((3, 1, 2)):
        os.utime(run / f"m-{step}.h5", (1000 + age, 1000 + age))
    (run / "checkpoint").unlink()
    # as in TensorFlow; `rebuild` and `valid_only` look further
    assert latest_checkpoint(run) is None
    assert latest_checkpoint(run, valid_only=True) == str(run / "m-3")
    assert rebuild_checkpoint_state(run).model_checkpoint_path == str(run / "m-3")
    assert "another order than their steps" in caplog.text


def test_times_decide_the_order_of_checkpoints_without_steps(tmp_path):
    v = tf.get_variable("v", [2])
    saver = tf.train.Saver()
    with tf.Session() as sess:
        sess.run(v.initializer)
        for age, name in enumerate("cab"):
            saver.save(sess, tmp_path / name)
            os.utime(tmp_path / f"{name}.h5", (1000 + age, 1000 + age))
    assert [os.path.basename(saved.name) for saved in checkpoints_in(tmp_path)] == ["c", "a", "b"]


def test_a_pin_survives_a_rebuild(run):
    tf.train.pin_checkpoint(run / "m-1")
    state = rebuild_checkpoint_state(run)
    assert state.records[str(run / "m-1")].pinned


def test_shards_are_one_checkpoint(tmp_path):
    a, b = (tf.get_variable(name, [1000]) for name in "ab")
    with tf.Session() as sess:
        sess.run([a.initializer, b.initializer])
        prefix = tf.train.Saver().save(sess, tmp_path / "m", global_step=4, shard_size=4096)
    assert len([name for name in os.listdir(tmp_path) if name.endswith(".h5")]) == 2
    assert [saved.name for saved in checkpoints_in(tmp_path)] == [prefix]
    assert find_latest(tmp_path).path == prefix
    shard = next(path for path in tmp_path.iterdir() if path.name.endswith("00001-of-00002.h5"))
    flip(shard, -1)
    assert find_latest(tmp_path).path is None


def test_a_directory_moved_from_another_machine_restores(run, tmp_path, caplog):
    """tf#9146: TensorFlow's state file names absolute paths of the machine that wrote it."""
    (run / "checkpoint").write_text(
        'model_checkpoint_path: "/nfs/gone/run/m-3"\n'
        'all_model_checkpoint_paths: "/nfs/gone/run/m-2"\n'
        'all_model_checkpoint_paths: "/nfs/gone/run/m-3"\n'
    )
    shutil.move(run, tmp_path / "elsewhere")
    caplog.set_level(logging.INFO, "ckpt")
    latest = latest_checkpoint(tmp_path / "elsewhere")
    assert latest == str(tmp_path / "elsewhere" / "m-3")
    assert "/nfs/gone/run/m-3, which is not there; taking" in caplog.text
    with tf.Graph().as_default(), tf.Session() as sess:
        v = tf.get_variable("v", [40_000])
        saver = tf.train.Saver()
        saver.restore(sess, latest)
        assert sess.run(v)[0] == 3
        saver.save(sess, tmp_path / "elsewhere" / "m", global_step=4)
    assert "/nfs" not in (tmp_path / "elsewhere" / "checkpoint").read_text()


def test_a_copy_of_the_values_alone_is_restorable_and_never_deleted(run, tmp_path):
    """ob#394, openpi#566: a copied checkpoint was deemed incomplete, and deleted."""
    (tmp_path / "copy").mkdir()
    shutil.copy(run / "m-3.h5", tmp_path / "copy")
    assert find_latest(tmp_path / "copy").path == str(tmp_path / "copy" / "m-3")
    assert os.listdir(tmp_path / "copy") == ["m-3.h5"]


def test_every_failure_of_the_operating_system_is_typed(run, monkeypatch):
    from ckpt.core import system

    class Broken:
        def __getattr__(self, name):
            def fail(*args):
                raise OSError(5, "Input/output error")

            return fail if name in ("open", "listdir") else getattr(os, name)

    monkeypatch.setattr(system, "files", Broken())
    with pytest.raises(OpError, match="Input/output error"):
        latest_checkpoint(run)
    with pytest.raises(OpError, match="Input/output error"):
        find_latest(run)


@pytest.mark.parametrize("shard_size", [None, 400])
def test_checkpoints_without_a_name_of_their_own_are_found_pinned_and_pruned(tmp_path, shard_size):
    """`save(sess, "dir/")` writes `dir/.h5`, with a step `dir/-3.h5`."""
    run = tmp_path / "run"
    v, w = tf.get_variable("v", [100]), tf.get_variable("w", [100])
    saver = tf.train.Saver()
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        assert saver.save(sess, f"{run}/", shard_size=shard_size) == f"{run}/"
        assert tf.train.latest_checkpoint(run) == f"{run}/"
        tf.train.pin_checkpoint(f"{run}/")
        assert saver.save(sess, f"{run}/", 3, shard_size=shard_size) == f"{run}/-3"
        values = sess.run([v, w])
    (run / "checkpoint").unlink()
    (run / "._m.h5").write_bytes(b"what macOS leaves")
    assert [saved.name for saved in checkpoints_in(run)] == [f"{run}/", f"{run}/-3"]
    state = rebuild_checkpoint_state(run)
    assert state.all_model_checkpoint_paths == [f"{run}/", f"{run}/-3"]
    assert latest_checkpoint(run, valid_only=True) == f"{run}/-3"
    choice = tf.train.prune_checkpoints(run, [tf.train.LatestN(1)])
    assert list(choice.delete) == [f"{run}/"]
    assert not (run / ".meta").exists()
    with tf.Session() as sess:
        saver.restore(sess, latest_checkpoint(run))
        np.testing.assert_array_equal(sess.run([v, w]), values)


def test_a_checkpoint_without_a_name_in_the_current_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    v = tf.get_variable("v", [3])
    saver = tf.train.Saver()
    with tf.Session() as sess:
        sess.run(v.initializer)
        saver.save(sess, "./")
        (tmp_path / "checkpoint").unlink()
        assert rebuild_checkpoint_state(".").model_checkpoint_path == "./"
        for directory in (".", ""):
            saver.restore(sess, latest_checkpoint(directory))


def test_the_name_that_tensorflow_gives_it_is_understood(tmp_path):
    (tmp_path / "checkpoint").write_text(
        'model_checkpoint_path: "."\nall_model_checkpoint_paths: "."\n'
    )
    found = tf.train.get_checkpoint_state(tmp_path)
    assert found.model_checkpoint_path == f"{tmp_path}/"


def test_what_the_metadata_of_a_checkpoint_may_not_say_is_passed_over(tmp_path):
    for step, suffix in enumerate(["a/b", "../x", "x\0y", "meta"], 1):
        about = {"step": str(step), "meta_graph_suffix": suffix}
        tf.save(tmp_path / f"m-{step}", {"a": [1]}, metadata=about)
    tf.save(tmp_path / "m-9", {"a": [1]}, metadata={"step": "9" * 5000})
    assert find_latest(tmp_path).step == 9
    rebuild_checkpoint_state(tmp_path)
    choice = tf.train.prune_checkpoints(tmp_path, [tf.train.LatestN(1)])
    assert [os.path.basename(name) for name in choice.delete] == ["m-1", "m-2", "m-3", "m-4"]
    assert latest_checkpoint(tmp_path) == str(tmp_path / "m-9")
    assert sorted(os.listdir(tmp_path)) == ["checkpoint", "m-9.h5"]
