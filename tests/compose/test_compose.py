"""Several saved models: in separate graphs, chained, merged into one."""

import numpy as np
import pytest

import ckpt as tf


def save_layer(path, width, units, seed):
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.set_random_seed(seed)
        x = tf.placeholder(tf.float32, [None, width], name="x")
        w = tf.get_variable("w", [width, units])
        tf.nn.relu(tf.matmul(x, w), name="y")
        sess.run(tf.global_variables_initializer())
        return tf.train.Saver().save(sess, path), sess.run(w)


@pytest.fixture
def layers(tmp_path):
    return save_layer(tmp_path / "one", 3, 4, 1), save_layer(tmp_path / "two", 4, 2, 2)


DATA = np.random.RandomState(0).normal(size=(5, 3)).astype(np.float32)


def test_models_are_loaded_into_graphs_of_their_own(layers):
    (a, w), (b, _) = layers
    models = tf.load_models({"a": a, "b": b})
    assert models["a"].graph is not models["b"].graph
    np.testing.assert_array_equal(models["a"]["w"], w)
    assert models["a"].run("y:0", {"x:0": DATA}).shape == (5, 4)
    with pytest.raises(KeyError, match="does not exist"):
        models["a"].tensor("nothing")


def test_a_chain_feeds_outputs_to_inputs(layers):
    (a, first), (b, second) = layers
    chain = tf.chain(tf.load_models({"a": a, "b": b}), connect={"b/x:0": "a/y:0"})
    hidden, out = chain.run(["a/y:0", "b/y:0"], {"a/x:0": DATA})
    np.testing.assert_allclose(out, np.maximum(np.maximum(DATA @ first, 0) @ second, 0), rtol=1e-5)
    np.testing.assert_array_equal(chain.run("b/y:0", {"b/x:0": hidden}), out)


def test_a_chain_checks_its_wires(layers):
    (a, _), (b, _) = layers
    models = tf.load_models({"a": a, "b": b})
    with pytest.raises(ValueError, match="runs backwards"):
        tf.chain(models, connect={"a/x:0": "b/y:0"})
    with pytest.raises(ValueError, match="names no model"):
        tf.chain(models, connect={"c/x:0": "a/y:0"})


def test_a_merged_graph_computes_what_the_chain_computes(layers, tmp_path):
    (a, _), (b, _) = layers
    chained = tf.chain(tf.load_models({"a": a, "b": b}), {"b/x:0": "a/y:0"}).run(
        "b/y:0", {"a/x:0": DATA}
    )
    merged = tf.merge_graphs({"a": a, "b": b}, connect={"b/x:0": "a/y:0"})
    assert merged.graph is tf.get_default_graph()
    assert merged.name_map["b/y"] == "b/y"
    with tf.Session() as sess:
        merged.restore(sess)
        np.testing.assert_array_equal(sess.run("b/y:0", {"a/x:0": DATA}), chained)
        prefix = merged.saver.save(sess, tmp_path / "both")
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.train.import_meta_graph(prefix + ".meta").restore(sess, prefix)
        np.testing.assert_array_equal(sess.run("b/y:0", {"a/x:0": DATA}), chained)


def test_gradients_flow_through_the_seam(layers):
    (a, _), (b, _) = layers
    merged = tf.merge_graphs({"a": a, "b": b}, connect={"b/x:0": "a/y:0"})
    grads = tf.gradients(merged.tensor("b/y:0"), tf.trainable_variables())
    with tf.Session() as sess:
        merged.restore(sess)
        for grad in sess.run(grads, {"a/x:0": DATA}):
            assert np.abs(grad).max() > 0


def test_one_model_twice_is_fine(layers):
    (a, _), _ = layers
    merged = tf.merge_graphs({"l": a, "r": a})
    with tf.Session() as sess:
        merged.restore(sess)
        left, right = sess.run(["l/y:0", "r/y:0"], {"l/x:0": DATA, "r/x:0": DATA})
    np.testing.assert_array_equal(left, right)


def test_all_problems_are_reported_and_the_graph_is_untouched(layers):
    (a, _), (b, _) = layers
    with pytest.raises(ValueError) as caught:
        tf.merge_graphs(
            {"a": a, "b": b},
            connect={"b/nothing:0": "a/y:0", "b/x:0": "a/w:0", "c/x:0": "a/y:0", "a/x:0": "b/y:0"},
        )
    text = str(caught.value)
    assert "'b' has no node 'nothing'" in text
    assert "there is no part 'c'" in text
    assert "takes shape (?, 3), b/y:0 has shape (?, 2)" in text
    assert tf.get_default_graph().get_operations() == []


def test_parts_may_be_given_in_any_order(layers):
    (a, _), (b, _) = layers
    merged = tf.merge_graphs({"b": b, "a": a}, connect={"b/x:0": "a/y:0"})
    assert list(merged.savers) == ["b", "a"]
    with tf.Session() as sess:
        merged.restore(sess)
        assert sess.run("b/y:0", {"a/x:0": DATA}).shape == (5, 2)


def test_a_taken_scope_is_refused(layers):
    (a, _), _ = layers
    tf.constant(1.0, name="a/mine")
    with pytest.raises(ValueError, match="already has names under a/"):
        tf.merge_graphs({"a": a})


@pytest.mark.usefixtures("layers")
def test_the_graph_that_was_saved_with_the_values_counts(tmp_path):
    path = tmp_path / "torn"
    path.with_suffix(".h5").write_bytes((tmp_path / "one.h5").read_bytes())
    path.with_suffix(".meta").write_bytes((tmp_path / "two.meta").read_bytes())  # an older save's
    with tf.load_models({"m": path})["m"] as model:
        assert model.run("y:0", {"x:0": DATA}).shape == (5, 4)
