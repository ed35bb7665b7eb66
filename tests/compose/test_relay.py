"""Gradients and training steps across graphs that stay separate equal those of the merged graph."""

import numpy as np
import pytest

import ckpt as tf

DATA = np.random.RandomState(0).normal(size=(5, 3)).astype(np.float32)
LABELS = np.array([0, 1, 1, 0, 1])


def save_features(path, seed=1):
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.set_random_seed(seed)
        x = tf.placeholder(tf.float32, [None, 3], name="x")
        w = tf.get_variable("w", [3, 4])
        tf.tanh(tf.matmul(x, w), name="y")
        tf.reduce_sum(x, 1, name="total")
        sess.run(tf.global_variables_initializer())
        return tf.train.Saver().save(sess, path)


def save_classifier(path, seed=2):
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.set_random_seed(seed)
        x = tf.placeholder(tf.float32, [None, 4], name="x")
        labels = tf.placeholder(tf.int64, [None], name="labels")
        logits = tf.matmul(x, tf.get_variable("w", [4, 2])) + tf.get_variable("b", [2])
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        tf.reduce_mean(loss, name="loss")
        sess.run(tf.global_variables_initializer())
        return tf.train.Saver().save(sess, path)


@pytest.fixture
def paths(tmp_path):
    return {"a": save_features(tmp_path / "a"), "b": save_classifier(tmp_path / "b")}


WIRES = {"b/x:0": "a/y:0"}
FEEDS = {"a/x:0": DATA, "b/labels:0": LABELS}


def merged_training(paths, make_optimizer, steps):
    """Losses and final variables of the merged graph."""
    with tf.Graph().as_default(), tf.Session() as sess:
        merged = tf.merge_graphs(paths, connect=WIRES)
        train = make_optimizer().minimize(merged.tensor("b/loss:0"))
        sess.run(tf.global_variables_initializer())
        merged.restore(sess)
        losses = [sess.run([train, "b/loss:0"], FEEDS)[1] for _ in range(steps)]
        return losses, {v.op.name: sess.run(v) for v in tf.trainable_variables()}


@pytest.mark.parametrize(
    "make_optimizer",
    [
        lambda: tf.train.GradientDescentOptimizer(0.5),
        lambda: tf.train.MomentumOptimizer(0.1, 0.9),
        lambda: tf.train.AdamOptimizer(0.05),
    ],
    ids=["sgd", "momentum", "adam"],
)
def test_training_a_chain_equals_training_the_merged_graph(paths, make_optimizer):
    losses, variables = merged_training(paths, make_optimizer, 10)
    models = tf.load_models(paths)
    chain = tf.chain([models["a"], models["b"]], connect=WIRES)
    step = chain.minimize("b/loss:0", make_optimizer())
    found = [chain.run([step, "b/loss:0"], FEEDS)[1] for _ in range(10)]
    np.testing.assert_allclose(found, losses, rtol=1e-6)
    assert found[-1] < found[0]
    for name, value in variables.items():
        model, _, rest = name.partition("/")
        np.testing.assert_allclose(models[model][rest], value, rtol=1e-5, atol=1e-7)
    assert models["a"].graph is not models["b"].graph


def test_a_step_changes_nothing_before_all_gradients_are_known(paths):
    models = tf.load_models(paths)
    chain = tf.chain(models, connect=WIRES)
    pairs = chain.compute_gradients("b/loss:0")
    before = chain.run([grad for grad, _ in pairs], FEEDS)
    step = chain.apply_gradients(pairs, tf.train.GradientDescentOptimizer(1.0))
    old = [models["a"]["w"], models["b"]["w"], models["b"]["b"]]
    fetched = chain.run([step, *(grad for grad, _ in pairs)], FEEDS)
    assert fetched[0] is None
    for grad, gone in zip(before, fetched[1:], strict=True):
        np.testing.assert_array_equal(grad, gone)
    new = [models["a"]["w"], models["b"]["w"], models["b"]["b"]]
    for value, grad, now in zip(old, before, new, strict=True):
        np.testing.assert_allclose(now, value - grad, rtol=1e-6)


def test_gradients_by_inputs_and_of_weighted_outputs(paths):
    chain = tf.chain(tf.load_models(paths), connect=WIRES)
    by_x, by_seam = chain.gradients("b/loss:0", ["a/x:0", "b/x:0"])
    dx, dseam = chain.run([by_x, by_seam], FEEDS)
    with tf.Graph().as_default(), tf.Session() as sess:
        merged = tf.merge_graphs(paths, connect=WIRES)
        merged.restore(sess)
        wanted = tf.gradients(
            merged.tensor("b/loss:0"), [merged.tensor("a/x:0"), merged.tensor("a/y:0")]
        )
        x, seam = sess.run(wanted, FEEDS)
    np.testing.assert_allclose(dx, x, rtol=1e-5)
    np.testing.assert_allclose(dseam, seam, rtol=1e-5)
    with chain.models["b"].graph.as_default():
        twice = chain.gradients("b/loss:0", ["a/w"], grad_ys=[tf.constant(2.0)])
    once = chain.gradients("b/loss:0", ["a/w"])
    two, one = chain.run([twice[0], once[0]], FEEDS)
    np.testing.assert_allclose(two, 2 * one, rtol=1e-6)


def test_what_nothing_depends_on_has_no_gradient(paths):
    chain = tf.chain(tf.load_models(paths), connect=WIRES)
    assert chain.gradients("a/y:0", ["b/w"]) == [None]
    assert chain.gradients("a/total:0", ["a/w"]) == [None]
    with pytest.raises(ValueError, match="No gradients provided"):
        chain.minimize("a/total:0", tf.train.GradientDescentOptimizer(1.0))


def test_an_input_that_is_fed_cuts_the_chain(paths):
    chain = tf.chain(tf.load_models(paths), connect=WIRES)
    by_a, by_b = chain.gradients("b/loss:0", ["a/w", "b/w"])
    feeds = {"b/x:0": np.ones((5, 4)), "b/labels:0": LABELS}
    assert chain.run(by_b, feeds).shape == (4, 2)  # a needs no input
    cut = chain.run(by_a, {**feeds, "a/x:0": DATA})
    np.testing.assert_array_equal(cut, np.zeros((3, 4)))


def save_program(path, build):
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.set_random_seed(5)
        build()
        sess.run(tf.global_variables_initializer())
        return tf.train.Saver().save(sess, path)


def test_random_values_are_drawn_once_for_both_directions(tmp_path):
    def noisy():
        x = tf.placeholder(tf.float32, [None, 3], name="x")
        w = tf.get_variable("w", [3], initializer=tf.ones_initializer())
        mask = tf.identity(tf.random_uniform([3]), name="mask")
        tf.multiply(x * w, mask, name="y")

    def summed():
        x = tf.placeholder(tf.float32, [None, 3], name="x")
        scale = tf.get_variable("scale", [], initializer=tf.ones_initializer())
        tf.reduce_sum(x * scale, name="loss")

    paths = {"a": save_program(tmp_path / "a", noisy), "b": save_program(tmp_path / "b", summed)}
    chain = tf.chain(tf.load_models(paths), connect=WIRES)
    grad = chain.gradients("b/loss:0", ["a/w"])[0]
    ones = np.ones((1, 3), np.float32)
    for _ in range(3):
        drawn, found = chain.run(["a/mask:0", grad], {"a/x:0": ones})
        np.testing.assert_array_equal(found, drawn)


def test_gradients_of_several_ways_add_up_and_rows_stay_sparse(tmp_path):
    def table():
        ids = tf.placeholder(tf.int64, [None], name="ids")
        rows = tf.get_variable("rows", [6, 2])
        tf.nn.embedding_lookup(rows, ids, name="y")

    def doubled():
        tf.multiply(
            tf.placeholder(tf.float32, [None, 2], name="x"), tf.get_variable("k", [2]), name="y"
        )

    def joined():
        left = tf.placeholder(tf.float32, [None, 2], name="left")
        right = tf.placeholder(tf.float32, [None, 2], name="right")
        tf.get_variable("unused", [1])
        tf.reduce_sum(left * right, name="loss")

    paths = {
        "table": save_program(tmp_path / "table", table),
        "mid": save_program(tmp_path / "mid", doubled),
        "end": save_program(tmp_path / "end", joined),
    }
    models = tf.load_models(paths)
    chain = tf.chain(
        models,
        connect={"mid/x:0": "table/y:0", "end/left:0": "table/y:0", "end/right:0": "mid/y:0"},
    )
    by_rows = chain.gradients("end/loss:0", [models["table"].graph.get_collection("variables")[0]])[
        0
    ]
    found = chain.run(by_rows, {"table/ids:0": [1, 4, 1]})
    assert found.indices.tolist() == [1, 4, 1]
    rows, k = models["table"]["rows"], models["mid"]["k"]
    np.testing.assert_allclose(found.values, 2 * rows[[1, 4, 1]] * k, rtol=1e-5)
    step = chain.minimize(
        "end/loss:0",
        {"table": tf.train.GradientDescentOptimizer(0.5), "mid": tf.train.AdamOptimizer(0.1)},
    )
    chain.run(step, {"table/ids:0": [1, 4, 1]})
    moved = (models["table"]["rows"] != rows).any(axis=1)
    assert moved.tolist() == [False, True, False, False, True, False]


def test_a_model_built_here_can_be_chained(paths):
    with tf.Graph().as_default():
        x = tf.placeholder(tf.float32, [None, 4], name="x")
        v = tf.get_variable("v", [4, 1], initializer=tf.ones_initializer())
        loss = tf.reduce_sum(tf.matmul(x, v), name="loss")
        sess = tf.Session()
        sess.run(tf.global_variables_initializer())
    a = tf.load_models({"a": paths["a"]})["a"]
    chain = tf.chain([a, tf.Model.of(sess, "head")], connect={x: a.tensor("y:0")})
    step = chain.minimize(loss, tf.train.GradientDescentOptimizer(0.1))
    losses = [chain.run({"loss": loss, "train": step}, {"a/x": DATA})["loss"] for _ in range(3)]
    assert losses[0] > losses[1] > losses[2]


def test_all_wrong_wires_are_listed(paths):
    models = tf.load_models(paths)
    with pytest.raises(ValueError) as caught:
        tf.chain(
            models,
            connect={
                "b/labels:0": "a/y:0",
                "b/nothing:0": "a/y:0",
                "a/x:0": "b/loss:0",
                "c/x": "a/y:0",
            },
        )
    text = str(caught.value)
    for part in ("does not fit int64", "b/nothing:0", "runs backwards", "'c/x' names no model"):
        assert part in text
    with pytest.raises(ValueError, match="missing or repeated"):
        tf.chain([models["a"], models["a"]], connect={})
    chain = tf.chain(models, connect=WIRES)
    with pytest.raises(ValueError, match="graph of no model"):
        chain.run(tf.constant(1.0))
    one, two = chain.compute_gradients("b/loss:0"), chain.compute_gradients("b/loss:0")
    with pytest.raises(ValueError, match="one backward pass"):
        chain.apply_gradients([one[0], two[1]], tf.train.GradientDescentOptimizer(1.0))


def test_variables_of_a_chain_are_selected_by_pattern(paths):
    chain = tf.chain(tf.load_models(paths), connect=WIRES)
    a, b = (chain.models[name].graph.get_collection("trainable_variables") for name in "ab")
    for patterns, wanted in [
        ("*/w", [*a, b[0]]),
        (["@scope:b"], b),
        (["@trainable", "!b/**"], a),
        ([b[1], "a/*"], [b[1], *a]),
    ]:
        pairs = chain.compute_gradients("b/loss:0", patterns)
        assert [variable for _, variable in pairs] == wanted
    with pytest.raises(ValueError, match="near it: a/w"):
        chain.minimize("b/loss:0", tf.train.GradientDescentOptimizer(1.0), "**/ww")
