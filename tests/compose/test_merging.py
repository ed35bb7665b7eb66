"""Merged graphs: shared variables, dropped and kept nodes, seams, frozen parts, live models, merging again."""

import numpy as np
import pytest

import ckpt as tf

IDS = np.array([1, 3, 1])


def save(path, build, *, seed=1, var_list=None):
    """Save the model that `build` makes; returns its prefix."""
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.set_random_seed(seed)
        build()
        sess.run(tf.global_variables_initializer())
        return tf.train.Saver(var_list() if var_list else None).save(sess, path)


def embedded():
    ids = tf.placeholder(tf.int64, [None], name="ids")
    table = tf.get_variable("emb", [5, 4])
    rows = tf.nn.embedding_lookup(table, ids)
    tf.tanh(tf.matmul(rows, tf.get_variable("w", [4, 4])), name="y")


def trained():
    x = tf.placeholder(tf.float32, [None, 4], name="x")
    with tf.variable_scope("head"):
        y = tf.layers.dense(x, 2, name="out")
    loss = tf.reduce_mean(tf.square(y), name="loss")
    step = tf.train.get_or_create_global_step()
    tf.train.AdamOptimizer(0.01).minimize(loss, global_step=step, name="train")
    tf.identity(y, name="y")


@pytest.fixture
def paths(tmp_path):
    return {"a": save(tmp_path / "a", embedded), "b": save(tmp_path / "b", trained, seed=2)}


WIRES = {"b/x:0": "a/y:0"}


def value_of(path, name):
    with tf.load_models({"m": path})["m"] as model:
        return model[name]


def test_every_name_of_the_sources_is_there(paths):
    merged = tf.merge_graphs(paths, connect=WIRES)
    for part, path in paths.items():
        graph = tf.load_models({"m": path})["m"].graph
        for node in graph.get_operations():
            if not node.name.startswith("save/"):
                assert merged.graph.get_operation_by_name(f"{part}/{node.name}").type in (
                    node.type,
                    "Identity",  # the input that is connected
                )
        for key in graph.get_all_collection_keys():
            assert len(merged.graph.get_collection(key)) >= len(graph.get_collection(key))


def test_a_connected_input_can_still_be_fed_and_fetched(paths):
    merged = tf.merge_graphs(paths, connect=WIRES)
    with tf.Session() as sess:
        merged.restore(sess)
        seam, y = sess.run(["b/x:0", "a/y:0"], {"a/ids:0": IDS})
        np.testing.assert_array_equal(seam, y)
        assert sess.run("b/y:0", {"b/x:0": np.zeros((7, 4))}).shape == (7, 2)


def test_parts_may_feed_each_other_as_long_as_no_node_waits_for_itself(tmp_path):
    def twofold():
        one, two = (tf.placeholder(tf.float32, [], name=n) for n in ("one", "two"))
        tf.multiply(one, tf.get_variable("k", []), name="first")
        tf.add(two, 1.0, name="second")

    path = save(tmp_path / "m", twofold)
    there_and_back = {"b/one:0": "a/first:0", "a/two:0": "b/first:0"}
    merged = tf.merge_graphs({"a": path, "b": path}, connect=there_and_back)
    with tf.Session() as sess:
        merged.restore(sess)
        k = value_of(path, "k")
        np.testing.assert_allclose(
            sess.run("a/second:0", {"a/one:0": 3.0}), 3 * k * k + 1, rtol=1e-6
        )
    with (
        tf.Graph().as_default(),
        pytest.raises(ValueError, match="circle through a/first, a/one, b/first, b/one"),
    ):
        tf.merge_graphs(
            {"a": path, "b": path}, connect={"b/one:0": "a/first:0", "a/one:0": "b/first:0"}
        )


def test_a_shared_variable_is_one(tmp_path):
    one = save(tmp_path / "one", embedded, seed=1)
    merged = tf.merge_graphs({"a": one, "b": one}, share=[("a/emb", "b/emb")])
    names = [v.op.name for v in tf.global_variables()]
    assert sorted(names) == ["a/emb", "a/w", "b/w"]
    assert merged.name_map["b/emb"] == "a/emb"
    with tf.Session() as sess:
        merged.restore(sess)
        before = sess.run(["a/y:0", "b/y:0"], {"a/ids:0": IDS, "b/ids:0": IDS})
        np.testing.assert_array_equal(*before)
        sess.run(tf.assign(merged.graph.get_collection("variables")[0], np.ones((5, 4))))
        a, b = sess.run(["a/y:0", "b/y:0"], {"a/ids:0": IDS, "b/ids:0": IDS})
        np.testing.assert_array_equal(a, b)
        assert (a != before[0]).any()
        merged.savers["b"].restore(sess, one)  # each source's checkpoint still restores
        np.testing.assert_array_equal(sess.run("a/emb:0"), value_of(one, "emb"))
        sess.run(tf.global_variables_initializer())


def test_shared_variables_with_two_values_need_a_decision(tmp_path):
    paths = {
        "a": save(tmp_path / "a", embedded, seed=1),
        "b": save(tmp_path / "b", embedded, seed=2),
    }
    share = [("a/emb", "b/emb")]
    merged = tf.merge_graphs(paths, share=share)
    with tf.Session() as sess:
        with pytest.raises(tf.errors.FailedPreconditionError, match=r"a/emb: a/emb, b/emb differ"):
            merged.restore(sess)
        assert len(sess.run(tf.report_uninitialized_variables())) == 3  # nothing was assigned
    for part, path in paths.items():
        with tf.Graph().as_default(), tf.Session() as sess:
            merged = tf.merge_graphs(paths, share=share, shared_from=part)
            merged.restore(sess)
            np.testing.assert_array_equal(sess.run("a/emb:0"), value_of(path, "emb"))
            np.testing.assert_array_equal(sess.run("b/w:0"), value_of(paths["b"], "w"))
    with tf.Graph().as_default(), pytest.raises(ValueError, match="names no part"):
        tf.merge_graphs(paths, share=share, shared_from="c")


def test_what_cannot_be_shared_is_listed(paths):
    with pytest.raises(ValueError) as caught:
        tf.merge_graphs(
            paths,
            share=[("a/emb", "b/head/out/bias"), ("a/y", "b/global_step"), ("a/w", "a/nothing")],
        )
    text = str(caught.value)
    assert "a/emb has shape (5, 4), b/head/out/bias has (2,)" in text
    assert "'y' is a Tanh, not a variable" in text
    assert "'a' has no node 'nothing'" in text
    assert tf.get_default_graph().get_operations() == []


def test_slots_go_with_the_training_that_needs_them(paths):
    merged = tf.merge_graphs(paths, connect=WIRES, drop=["@slots"])
    names = sorted(v.op.name for v in tf.global_variables())
    assert names == ["a/emb", "a/w", "b/global_step", "b/head/out/bias", "b/head/out/kernel"]
    kinds = {op.type for op in merged.graph.get_operations()}
    assert "ApplyAdam" not in kinds
    assert tf.get_collection("train_op") == []
    assert "b/head/out/kernel/Adam" in merged.plan.dropped
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        merged.restore(sess)
        assert sess.run("b/y:0", {"a/ids:0": IDS}).shape == (3, 2)


def test_only_what_is_kept_stays(paths):
    merged = tf.merge_graphs(paths, connect=WIRES, keep=["b/y:0"])
    names = sorted(v.op.name for v in tf.global_variables())
    assert names == ["a/emb", "a/w", "b/head/out/bias", "b/head/out/kernel"]
    with pytest.raises(KeyError):
        merged.graph.get_operation_by_name("b/loss")
    with tf.Session() as sess:
        merged.restore(sess)
        sess.run("b/y:0", {"a/ids:0": IDS})
        sess.run(tf.global_variables_initializer())
    with tf.Graph().as_default(), pytest.raises(ValueError, match="'b/nothing'"):
        tf.merge_graphs(paths, keep=["b/nothing"])
    with tf.Graph().as_default(), pytest.raises(ValueError, match="b/hed"):
        tf.merge_graphs(paths, drop=["b/hed/**"])


@pytest.mark.parametrize("options", [{"keep": ["a/y:0"]}, {"drop": ["b/**"]}])
def test_a_part_of_which_nothing_is_left_is_an_error(paths, options):
    with pytest.raises(ValueError, match=r"nothing of b is left.*allow_noop"):
        tf.merge_graphs(paths, **options)
    merged = tf.merge_graphs(paths, **options, allow_noop=True)
    assert {name.partition("/")[0] for name in merged.name_map.values()} == {"a"}


def test_no_gradient_passes_a_seam_that_stops_it(paths):
    merged = tf.merge_graphs(paths, connect=WIRES, stop_gradient=["b/x:0"])
    loss = merged.tensor("b/loss")
    by_name = {
        v.op.name: g
        for v, g in zip(
            tf.trainable_variables(), tf.gradients(loss, tf.trainable_variables()), strict=True
        )
    }
    assert by_name["a/w"] is None
    assert by_name["a/emb"] is None
    assert by_name["b/head/out/kernel"] is not None
    with tf.Graph().as_default(), pytest.raises(ValueError, match="no connected input"):
        tf.merge_graphs(paths, connect=WIRES, stop_gradient=["b/y:0"])


def test_a_frozen_part_is_not_trained(paths):
    tf.merge_graphs(paths, connect=WIRES, freeze=["a"])
    assert [v.op.name for v in tf.trainable_variables()] == ["b/head/out/kernel", "b/head/out/bias"]
    assert not next(v for v in tf.global_variables() if v.op.name == "a/w").trainable
    with (
        tf.Graph().as_default(),
        pytest.raises(ValueError, match=r"(?s)nothing to freeze.*'@scope:c'"),
    ):
        tf.merge_graphs(paths, freeze=["c"])


@pytest.mark.parametrize(
    ("freeze", "trained"),
    [
        (["**/kernel"], ["a/emb", "a/w", "b/head/out/bias"]),
        (["@scope:b", "!re:.*bias"], ["a/emb", "a/w", "b/head/out/bias"]),
        (["@float", "!a/*"], ["a/emb", "a/w"]),
        (["a/emb", "b/head/"], ["a/w"]),
    ],
)
def test_what_is_frozen_may_be_selected_by_pattern(paths, freeze, trained):
    tf.merge_graphs(paths, connect=WIRES, freeze=freeze)
    assert [v.op.name for v in tf.trainable_variables()] == trained


def test_a_model_gives_the_values_that_it_has_now(paths):
    models = tf.load_models(paths)
    chain = tf.chain(models, connect=WIRES)
    step = chain.minimize("b/loss:0", tf.train.GradientDescentOptimizer(0.5))
    chain.run(step, {"a/ids:0": IDS})
    merged = tf.merge_graphs(models, connect=WIRES)
    with tf.Session() as sess:
        merged.restore(sess)
        np.testing.assert_array_equal(
            sess.run("b/y:0", {"a/ids:0": IDS}), chain.run("b/y:0", {"a/ids:0": IDS})
        )
        np.testing.assert_array_equal(sess.run("a/w:0"), models["a"]["w"])


def test_a_merged_model_merges_again(paths, tmp_path):
    merged = tf.merge_graphs(paths, connect=WIRES, drop=["@training"])
    with tf.Session() as sess:
        merged.restore(sess)
        wanted = sess.run("b/y:0", {"a/ids:0": IDS})
        both = merged.saver.save(sess, tmp_path / "both")
    with tf.Graph().as_default(), tf.Session() as sess:
        again = tf.merge_graphs({"l": both, "r": both})
        again.restore(sess)
        left, right = sess.run(["l/b/y:0", "r/b/y:0"], {"l/a/ids:0": IDS, "r/a/ids:0": IDS})
        np.testing.assert_array_equal(left, wanted)
        np.testing.assert_array_equal(right, wanted)
        assert not [node for node in again.plan.meta.graph_def.node if "save/" in node.name]


def test_a_saver_with_names_of_its_own_keeps_them(tmp_path):
    renamed = save(
        tmp_path / "m", embedded, var_list=lambda: {"old/table": tf.global_variables()[0]}
    )
    merged = tf.merge_graphs({"m": renamed})
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        merged.restore(sess)
        entries = merged.plan.savings["m"]
        assert [(e.key, e.variables) for e in entries] == [("old/table", ("m/emb",))]


def test_resources_of_two_copies_stay_apart(tmp_path):
    def resourceful():
        v = tf.get_variable("v", [2], use_resource=True, initializer=tf.ones_initializer())
        tf.multiply(v.read_value(), 2.0, name="y")

    path = save(tmp_path / "m", resourceful)
    merged = tf.merge_graphs({"a": path, "b": path})
    with tf.Session() as sess:
        merged.restore(sess)
        sess.run(tf.global_variables()[0].assign([5.0, 6.0]))
        a, b = sess.run(["a/y:0", "b/y:0"])
        assert a.tolist() == [10, 12]
        assert b.tolist() == [2, 2]


def test_loops_and_branches_of_two_copies_stay_apart(tmp_path):
    def looping():
        n = tf.placeholder(tf.int32, [], name="n")
        k = tf.get_variable("k", [], initializer=tf.constant_initializer(2.0))
        _, total = tf.while_loop(lambda i, t: i < n, lambda i, t: (i + 1, t * k), (0, 1.0))
        tf.identity(tf.cond(total > 4, lambda: total, lambda: -total), name="y")

    path = save(tmp_path / "m", looping)
    merged = tf.merge_graphs({"a": path, "b": path}, share=[("a/k", "b/k")])
    grad = tf.gradients(merged.tensor("a/y") + merged.tensor("b/y"), tf.trainable_variables())
    with tf.Session() as sess:
        merged.restore(sess)
        a, b = sess.run(["a/y:0", "b/y:0"], {"a/n:0": 3, "b/n:0": 2})
        assert (a, b) == (8, -4)
        assert sess.run(grad, {"a/n:0": 3, "b/n:0": 2}) == [12 - 4]


def test_an_error_while_importing_leaves_the_graph_as_it_was(paths, monkeypatch):
    tf.constant(1.0, name="mine")
    tf.add_to_collection("variables_of_mine", 1)
    before = tf.get_default_graph().as_graph_def()
    keys = tf.get_default_graph().get_all_collection_keys()

    def fail(*_, **__):
        raise RuntimeError("injected")

    monkeypatch.setattr("ckpt.compose.merged.Saver", fail)
    with pytest.raises(RuntimeError, match="injected"):
        tf.merge_graphs(paths)
    monkeypatch.undo()
    assert tf.get_default_graph().as_graph_def() == before
    assert tf.get_default_graph().get_all_collection_keys() == keys
    tf.merge_graphs(paths)  # and the names are free


def test_the_merged_digits_learn_through_the_join(paths):
    merged = tf.merge_graphs(paths, connect=WIRES, drop=["@training"])
    loss = merged.tensor("b/loss")
    train = tf.train.AdamOptimizer(0.1).minimize(loss)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        merged.restore(sess)
        before = sess.run("a/emb:0")
        losses = [sess.run([loss, train], {"a/ids:0": IDS})[0] for _ in range(20)]
        assert losses[-1] < losses[0] / 2
        moved = (sess.run("a/emb:0") != before).any(axis=1)
        assert moved.tolist() == [False, True, False, True, False]
