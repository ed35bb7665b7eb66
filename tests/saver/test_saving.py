"""Where a save goes, what it is called there, what it keeps, and what is refused before anything is written."""

import gc
import os

import numpy as np
import pytest

import ckpt as tf
from tests.saver.models import restored, saved, two_variables


def test_only_the_newest_checkpoints_are_kept(tmp_path):
    two_variables()
    saver = tf.train.Saver(max_to_keep=2)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for step in range(4):
            saver.save(sess, tmp_path / "m", global_step=step)
    assert saver.last_checkpoints == [str(tmp_path / "m-2"), str(tmp_path / "m-3")]
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checkpoint", "m-2.h5", "m-2.meta", "m-3.h5", "m-3.meta",
    ]  # fmt: skip
    state = tf.train.get_checkpoint_state(tmp_path)
    assert state.all_model_checkpoint_paths == saver.last_checkpoints
    assert tf.train.latest_checkpoint(tmp_path) == str(tmp_path / "m-3")


def test_max_to_keep_none_keeps_all(tmp_path):
    two_variables()
    saver = tf.train.Saver(max_to_keep=None)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for step in range(7):
            saver.save(sess, tmp_path / "m", global_step=step, write_meta_graph=False)
    assert len(list(tmp_path.glob("*.h5"))) == 7


def test_write_meta_graph_false_writes_values_only(tmp_path):
    prefix, _ = saved(tmp_path, write_meta_graph=False)
    assert not os.path.exists(prefix + ".meta")
    with (
        tf.Graph().as_default(),
        pytest.raises(tf.errors.InvalidArgumentError, match="no MetaGraph"),
    ):
        tf.train.import_meta_graph(prefix + ".h5")


def test_global_step_may_be_a_variable(tmp_path):
    two_variables()
    step = tf.train.get_or_create_global_step()
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        sess.run(step.assign(12))
        saver = tf.train.Saver(pad_step_number=True)
        assert saver.save(sess, tmp_path / "m", global_step=step).endswith("m-00000012")


def test_a_step_by_name_is_that_of_a_tensor(tmp_path):
    tf.Variable(7, name="step")
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        saver = tf.train.Saver()
        assert saver.save(sess, tmp_path / "m", "step:0") == str(tmp_path / "m-7")
        for name in ("nothing", "nothing:0"):
            with pytest.raises(ValueError, match=f"global_step '{name}' names no tensor"):
                saver.save(sess, tmp_path / "m", name)
        with pytest.raises(TypeError, match="'step' is an operation; give its output"):
            saver.save(sess, tmp_path / "m", "step")


def test_a_prefix_may_end_as_the_files_do(tmp_path):
    first, values = saved(tmp_path, "m")
    for name in ("m.meta", "m.h5", "m.index"):
        prefix, others = saved(tmp_path, name)
        with tf.Graph().as_default():
            np.testing.assert_array_equal(restored(prefix, *two_variables())[0], others[0])
        assert tf.train.latest_checkpoint(tmp_path) == prefix
    for name in ("m.meta.h5", "m.h5.h5", "m.index.h5"):
        (tmp_path / name).unlink()
    (tmp_path / "m").write_text("an older checkpoint of another program, or anything")
    for path in (first, first + ".meta", first + ".h5"):
        with tf.Graph().as_default():
            np.testing.assert_array_equal(restored(path, *two_variables())[0], values[0])


def test_a_file_where_the_directory_should_be_is_named(tmp_path):
    two_variables()
    (tmp_path / "file").write_text("")
    with (
        tf.Session() as sess,
        pytest.raises(ValueError, match=f"Parent directory .* {tmp_path}/file is a file"),
    ):
        tf.train.Saver().save(sess, tmp_path / "file" / "m")


@pytest.mark.parametrize("is_relative", [False, True])
def test_the_state_file_holds_base_names_whatever_is_asked_for(tmp_path, is_relative):
    two_variables()
    here, there = tmp_path / "here", tmp_path / "there"
    saver = tf.train.Saver(save_relative_paths=is_relative)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for step in (1, 2):
            saver.save(session, str(here / "m"), global_step=step)  # an absolute path
        assert str(tmp_path) not in (here / "checkpoint").read_text()
        here.rename(there)
        found = tf.train.latest_checkpoint(str(there))
        assert found == str(there / "m-2")
        saver.restore(session, found)
        state = tf.train.get_checkpoint_state(str(there))
        assert state.all_model_checkpoint_paths == [str(there / "m-1"), str(there / "m-2")]
    here.mkdir()
    (there / "checkpoint").rename(here / "checkpoint")
    # nothing leads back to where it was written
    assert tf.train.latest_checkpoint(str(here)) is None


def test_the_graph_has_the_suffix_and_the_state_file_the_name_that_were_asked_for(tmp_path):
    two_variables()
    saver = tf.train.Saver(max_to_keep=1, pad_step_number=True)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for step in (7, 8):
            saver.save(
                session,
                str(tmp_path / "m"),
                step,
                meta_graph_suffix="graph",
                latest_filename="newest",
            )
    assert sorted(os.listdir(tmp_path)) == ["m-00000008.graph", "m-00000008.h5", "newest"]
    assert tf.train.latest_checkpoint(str(tmp_path)) is None
    found = tf.train.latest_checkpoint(str(tmp_path), "newest")
    assert found == str(tmp_path / "m-00000008")
    with tf.Graph().as_default(), tf.Session() as session:
        tf.train.import_meta_graph(found + ".graph").restore(session, found)
        assert session.run("b:0").tolist() == [1, 2, 3]


@pytest.mark.parametrize("options", [{"latest_filename": "m"}, {"latest_filename": "a/b"}])
def test_names_of_state_files_that_collide_or_lead_elsewhere_are_refused(tmp_path, options):
    two_variables()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        with pytest.raises(ValueError, match="latest_filename"):
            tf.train.Saver().save(session, str(tmp_path / "m"), **options)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("path", ["", ".", "..", "d/.", "d/.."])
def test_a_path_that_names_no_file_is_refused_and_writes_nothing(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    two_variables()
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        with pytest.raises(ValueError, match="names no file"):
            tf.train.Saver().save(sess, path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"meta_graph_suffix": None}, TypeError),
        ({"meta_graph_suffix": "a/b"}, ValueError),
        ({"latest_filename": ""}, ValueError),
        ({"latest_filename": "m-1", "global_step": 1}, RuntimeError),
        ({"latest_filename": "m-1", "global_step": 1}, ValueError),
        ({"global_step": 1.5}, TypeError),
        ({"global_step": object()}, TypeError),
    ],
)
def test_what_cannot_be_saved_so_is_refused_before_anything_is_written(tmp_path, options, error):
    two_variables()
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        with pytest.raises(error):
            tf.train.Saver().save(sess, tmp_path / "m", **options)
    assert list(tmp_path.iterdir()) == []


def test_the_collector_does_not_walk_what_a_save_makes(tmp_path):
    """It took a quarter of the time of a save of 20,000 variables."""
    for n in range(2000):
        tf.get_variable(f"v{n}", initializer=0.0)
    saver = tf.train.Saver(max_to_keep=None)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        saver.save(sess, tmp_path / "first", write_meta_graph=False)
        gc.collect()
        walks = []
        gc.callbacks.append(lambda phase, info: walks.append(info["generation"]))
        try:
            saver.save(sess, tmp_path / "second", write_meta_graph=False)
        finally:
            gc.callbacks.pop()
    assert not walks
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"latest_filename": "m.h5"}, "'latest_filename' collides"),
        ({"latest_filename": "m.index"}, "'latest_filename' collides"),
        ({"latest_filename": "m.meta"}, "'latest_filename' collides"),
        ({"latest_filename": ".."}, "must be a name"),
        ({"latest_filename": "a\0b"}, "must be a name"),
        ({"latest_filename": "x" * 256}, "256 bytes"),
        ({"meta_graph_suffix": "h5"}, "the name of another of its files"),
        ({"meta_graph_suffix": "index"}, "the name of another of its files"),
        (
            {"meta_graph_suffix": "debug", "save_debug_info": True},
            "the name of another of its files",
        ),
        ({"meta_graph_suffix": "a\0b"}, "nor a NUL"),
        ({"meta_graph_suffix": "x" * 254}, "256 bytes"),
    ],
)
def test_no_file_of_a_save_replaces_another(tmp_path, options, said):
    prefix, values = saved(tmp_path, "m")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with tf.Graph().as_default(), pytest.raises(ValueError, match=said):
        saved(tmp_path, "m", **options)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    with tf.Graph().as_default():
        for found, value in zip(restored(prefix, *two_variables()), values, strict=True):
            np.testing.assert_array_equal(found, value)


def test_a_name_as_long_as_may_be_is_saved_and_deleted(tmp_path, caplog):
    two_variables()
    saver = tf.train.Saver(max_to_keep=1)
    # with its step and `.meta` it has 255 characters, and with `.debug` one too many
    name = "x" * 248
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for step in range(2):
            path = saver.save(sess, tmp_path / name, global_step=step)
        with pytest.raises(ValueError, match="256 bytes"):
            saver.save(sess, tmp_path / (name + "x"), global_step=2)
    assert "cannot delete" not in caplog.text
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checkpoint", f"{name}-1.h5", f"{name}-1.meta",
    ]  # fmt: skip
    assert tf.train.latest_checkpoint(tmp_path) == path


def test_a_name_that_is_no_text_is_saved_and_found(tmp_path):
    """Names of files may be any bytes; Python writes those that are no UTF-8 as lone surrogates."""
    prefix, values = saved(tmp_path, os.fsdecode(b"m\xff"))
    tf.train.pin_checkpoint(prefix)
    assert tf.train.latest_checkpoint(tmp_path) == prefix
    assert tf.train.get_checkpoint_state(tmp_path).records[prefix].pinned
    with tf.Graph().as_default():
        np.testing.assert_array_equal(restored(prefix, *two_variables())[0], values[0])
