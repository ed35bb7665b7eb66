"""ckpt.load: a dict of arrays, of which only the bytes asked for are read."""

import numpy as np
import pytest

import ckpt as tf
from ckpt import surgery
from ckpt.core.errors import SelectionError
from ckpt.formats import hdf5_writer
from ckpt.formats.base import TensorEntry
from ckpt.inspect import report as inspect
from ckpt.saver.candidates import collections_in

BIG = np.arange(4_000_000, dtype=np.float32).reshape(1000, 4000)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("load") / "m.h5"
    tensors = {"a/emb": BIG, "a/emb/Adam": BIG, "b/w": np.ones(3), "s": np.array([b"x"], object)}
    hdf5_writer.write(
        path, [TensorEntry(name, array) for name, array in tensors.items()], durable=False
    )
    return path


def test_everything_is_loaded_unless_something_is_selected(path):
    found = tf.load(path)
    assert list(found) == ["a/emb", "a/emb/Adam", "b/w", "s"]
    np.testing.assert_array_equal(found["a/emb"], BIG)
    assert list(tf.load(path, ["@float", "!@slots"])) == ["a/emb", "b/w"]
    assert list(tf.load(path, exclude="@slots")) == ["a/emb", "b/w", "s"]
    assert list(tf.load(path, "a/**", exclude=["@slots"])) == ["a/emb"]


def test_only_what_is_selected_is_read(path, bytes_read):
    assert tf.load(path, "b/**")["b/w"].tolist() == [1, 1, 1]
    assert 24 <= bytes_read() < 65536  # of 32 MB: header, index, and 24 bytes of values


def test_only_the_part_asked_for_is_read(path, bytes_read):
    found = tf.load(
        path, "a/**", parts={"**/emb": slice(0, 10), "@slots": (slice(5, 7), slice(1, 3))}
    )
    np.testing.assert_array_equal(found["a/emb"], BIG[:10])
    np.testing.assert_array_equal(found["a/emb/Adam"], BIG[5:7, 1:3])
    assert 0 < bytes_read() < BIG.nbytes / 4


def test_names_are_renamed(path):
    assert list(tf.load(path, "b/w", rename={"b/": "c/"})) == ["c/w"]


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"include": 3}, TypeError, "a selector is a text"),
        ({"include": "a/embb"}, SelectionError, r"m\.h5: .*\n.*near it: a/emb"),
        ({"include": []}, SelectionError, r"m\.h5: include is an empty list"),
        ({"exclude": "b/v"}, SelectionError, r"m\.h5: .*\n.*'!b/v'; near it: b/w"),
        ({"include": "@trainable"}, SelectionError, "here are only the names of a file"),
        ({"rename": ("z/", "")}, SelectionError, r"m\.h5: 1 rename rules fit none"),
        ({"include": "b/**", "parts": {"a/emb": slice(1)}}, SelectionError, "tensors that are loaded"),
        ({"parts": {"b/w": (slice(1), slice(1))}}, tf.errors.InvalidArgumentError, r"b/w float64\[3\]"),
        ({"parts": {"b/w": slice(0, 3, 2)}}, tf.errors.InvalidArgumentError, "of step 1"),
        ({"parts": [slice(1)]}, TypeError, "a dict from patterns to slices"),
        ({"parts": {"b/w": 1}}, tf.errors.InvalidArgumentError, r"m\.h5: a part is a slice"),
    ],
)  # fmt: skip
def test_what_cannot_be_selected_is_refused(path, options, error, told):
    with pytest.raises(error, match=told):
        tf.load(path, **options)


def test_a_directory_means_its_newest_checkpoint(tmp_path):
    tf.Variable([1.0], name="v")
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        saver = tf.train.Saver()
        saver.save(sess, tmp_path / "m", global_step=1)
        sess.run(tf.global_variables()[0].assign([2.0]))
        saver.save(sess, tmp_path / "m", global_step=2)
    assert tf.load(tmp_path)["v"].tolist() == [2.0]


def test_words_about_the_graph_ask_the_one_that_was_saved(tmp_path):
    weights = tf.get_variable("w", [2])
    count = tf.get_variable("count", [], trainable=False)
    part = tf.get_variable("p", [4], partitioner=tf.fixed_size_partitioner(2))
    tf.add_to_collection("chosen", count)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        saver = tf.train.Saver({"called/so": weights, "count": count, "p": list(part)})
        prefix = saver.save(sess, tmp_path / "m")
        bare = saver.save(sess, tmp_path / "bare", write_meta_graph=False, write_state=False)
    for path in (prefix, prefix + ".h5", tmp_path):
        assert sorted(tf.load(path, "@trainable")) == ["called/so", "p"]
    assert list(tf.load(prefix, ["@collection:trainable_variables", "!p"])) == ["called/so"]
    assert list(tf.load(prefix, "@global", exclude="@trainable")) == ["count"]
    with tf.open(prefix, include="@trainable", exclude="p") as opened:
        assert list(opened) == ["called/so"]
    with pytest.raises(SelectionError, match="or give the graph as well"):
        tf.load(bare, "@trainable")


def test_an_open_checkpoint_has_names_of_ones_own(path, tmp_path, bytes_read):
    with tf.open(path, include="**/w", rename={"b/": "c/"}) as opened:
        assert list(opened) == ["c/w"]
        assert (opened["c/w"].name, opened["c/w"].shape) == ("c/w", (3,))
        before = bytes_read()
        assert opened["c/w"][1:].tolist() == [1, 1]
        assert bytes_read() - before <= 64
        assert np.asarray(opened["c/w"]).tolist() == opened["c/w"].read().tolist() == [1, 1, 1]
        for name in ("b/w", "a/emb"):
            with pytest.raises(KeyError, match=name):
                opened[name]
    with tf.open(path, rename=("", "all/")) as opened:
        assert np.shares_memory(opened["all/a/emb"].view(), opened["all/a/emb"].view())
    for wrong in ({"z/": "y/"}, {"a/emb": "b/w"}):
        with pytest.raises(SelectionError, match=r"m\.h5"):
            tf.open(path, rename=wrong)


def test_opening_a_directory_opens_its_newest_checkpoint(tmp_path):
    tf.Variable([1.0], name="v")
    for ask in (tf.open, tf.load):
        with pytest.raises(tf.errors.NotFoundError, match="no checkpoint in this directory"):
            ask(tmp_path)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        tf.train.Saver().save(sess, tmp_path / "m", global_step=1)
    with tf.open(tmp_path) as opened:
        assert list(opened) == ["v"]
        assert opened.path == str(tmp_path / "m-1")


@pytest.mark.parametrize("options", [{}, {"shard_size": 100}, {"compression": "deflate"}])
def test_arrays_from_elsewhere_become_a_checkpoint(tmp_path, options):
    tensors = {
        "net/w": np.arange(60, dtype=np.float32).reshape(6, 10),
        "net/b": [1.5, 2.5],
        "step": 7,
        "words": np.array([["a", "ü"]]),
        "empty": np.zeros((0, 3), np.int8),
    }
    prefix = tf.save(tmp_path / "new/m", tensors, metadata={"step": "7"}, **options)
    assert prefix == str(tmp_path / "new/m")
    found = tf.load(prefix)
    np.testing.assert_array_equal(found["net/w"], tensors["net/w"])
    assert found["net/b"].tolist() == [1.5, 2.5]
    assert (found["step"].shape, int(found["step"])) == ((), 7)
    assert found["words"].tolist() == [[b"a", "ü".encode()]]
    assert found["empty"].shape == (0, 3)
    assert tf.train.find_latest(tmp_path / "new").step == 7
    with tf.Graph().as_default(), tf.Session() as sess:
        w = tf.get_variable("w", [6, 10])
        tf.train.Saver(rename=("net/", "")).restore(sess, prefix)
        np.testing.assert_array_equal(sess.run(w), tensors["net/w"])


def test_what_is_there_is_replaced_only_when_forced_and_a_graph_of_other_values_goes(tmp_path):
    tf.Variable([1.0], name="v")
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(sess, tmp_path / "m")
    with pytest.raises(tf.errors.AlreadyExistsError, match=r"m\.h5, .*m\.meta: exists"):
        tf.save(prefix, {"a": [1.0]})
    assert list(tf.load(prefix)) == ["v"]
    tf.save(prefix, {"a": [1.0]}, force=True)
    assert list(tf.load(prefix)) == ["a"]
    assert not (tmp_path / "m.meta").exists()


def test_arrays_that_cannot_be_saved_are_all_told_and_nothing_is_written(tmp_path):
    wrong = {"a": np.array([{}]), "b": np.zeros(2, "datetime64[s]"), "c": [1.0]}
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"(?s)'a'.*'b'"):
        tf.save(tmp_path / "m", wrong)
    for tensors, error, told in [
        ({}, ValueError, "no tensors to save"),
        ({"w": [[1], [1, 2]]}, ValueError, "w: is no array: "),
        ({3: [1]}, TypeError, "a dict from names, which are texts"),
        ([1.0], TypeError, "a dict from names, which are texts"),
    ]:
        with pytest.raises(error, match=told):
            tf.save(tmp_path / "m", tensors)
    with pytest.raises(ValueError, match="names a directory; add a file name"):
        tf.save(f"{tmp_path}/m/", {"w": [1]})
    assert not list(tmp_path.glob("m*"))


def test_slots_of_an_optimizer_of_any_name_are_known_by_the_graph(tmp_path):
    w = tf.get_variable("net/w", [4], partitioner=tf.fixed_size_partitioner(2))
    b = tf.get_variable("net/b", [1])
    loss = tf.reduce_sum(tf.convert_to_tensor(w)) + tf.reduce_sum(b)
    tf.train.AdamOptimizer(name="Mine").minimize(loss, name="train")
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(sess, tmp_path / "m")
    slots = [
        "beta1_power",
        "beta2_power",
        "net/b/Mine",
        "net/b/Mine_1",
        "net/w/Mine",
        "net/w/Mine_1",
    ]
    assert sorted(tf.load(prefix, "@slots")) == slots
    assert sorted(tf.load(prefix, exclude="@slots")) == ["net/b", "net/w"]
    report = inspect.select(inspect.inspect(prefix), ["!@slots"], lambda: collections_in(prefix))
    assert sorted(report.names) == ["net/b", "net/w"]
    assert sorted(surgery.drop(surgery.open_draft(prefix), ["@slots"]).tensors) == [
        "net/b",
        "net/w",
    ]
    frozen = surgery.freeze(surgery.open_draft(prefix), variables=["!@slots"])
    assert sorted(frozen.tensors) == slots
