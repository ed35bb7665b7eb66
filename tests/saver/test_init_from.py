"""Initial values from a checkpoint, with every form of the assignment map."""

import numpy as np
import pytest

import ckpt as tf

HELD = {"a": [2], "s/b": [3], "s/c": [1], "p": [5, 2]}


@pytest.fixture
def checkpoint(tmp_path):
    """A prefix, and the values under it."""
    with tf.Graph().as_default(), tf.Session() as sess:
        for name, shape in HELD.items():
            tf.get_variable(
                name, shape, partitioner=tf.fixed_size_partitioner(2) if name == "p" else None
            )
        sess.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(sess, tmp_path / "m")
    reader = tf.train.load_checkpoint(prefix)
    return prefix, {name: reader.get_tensor(name) for name in HELD}


def initialised(prefix, assignment_map, build):
    """Build variables, initialise them from the checkpoint; their values by name."""
    with tf.Graph().as_default(), tf.Session() as sess:
        made = build()
        given = assignment_map(made) if callable(assignment_map) else assignment_map
        assert tf.train.init_from_checkpoint(prefix, given) is None
        sess.run(tf.global_variables_initializer())
        return {v.op.name: sess.run(v) for v in tf.global_variables()}


@pytest.mark.parametrize("use_resource", [False, True])
@pytest.mark.parametrize(
    ("assignment_map", "wanted"),
    [
        ({"a": "x"}, {"x": "a"}),
        ([("a", "x")], {"x": "a"}),
        ({"a": "x", "s/b": "z/b"}, {"x": "a", "z/b": "s/b"}),
        ({"s/": "z/"}, {"z/b": "s/b", "z/c": "s/c"}),
        ({"s/": "/"}, {"b": "s/b", "c": "s/c"}),
        ({"/": "z/"}, {"z/a": "a", "z/s/b": "s/b"}),
        ({"/": "/"}, {"a": "a", "s/b": "s/b"}),
    ],
)
def test_names_and_scopes(checkpoint, assignment_map, wanted, use_resource):
    prefix, values = checkpoint

    def build():
        for name, source in wanted.items():
            tf.get_variable(name, HELD[source], use_resource=use_resource)

    found = initialised(prefix, assignment_map, build)
    for name, source in wanted.items():
        np.testing.assert_array_equal(found[name], values[source])


def test_variables_by_themselves(checkpoint):
    prefix, values = checkpoint
    found = initialised(prefix, lambda v: {"a": v}, lambda: tf.Variable([0.0, 0.0], name="x"))
    np.testing.assert_array_equal(found["x"], values["a"])


@pytest.mark.parametrize(
    "assignment_map",
    [{"p": "x"}, lambda v: {"p": v}, lambda v: {"p": list(v)}],
    ids=["name", "whole", "list"],
)
@pytest.mark.parametrize("parts", [1, 3])
def test_parts(checkpoint, assignment_map, parts):
    prefix, values = checkpoint

    def build():
        return tf.get_variable("x", [5, 2], partitioner=tf.fixed_size_partitioner(parts))

    found = initialised(prefix, assignment_map, build)
    assert len(found) == parts
    np.testing.assert_array_equal(np.concatenate([found[k] for k in sorted(found)]), values["p"])


def test_parts_in_scopes(checkpoint):
    prefix, values = checkpoint

    def build():
        tf.get_variable("z/p", [5, 2], partitioner=tf.fixed_size_partitioner(3))

    found = initialised(prefix, {"/": "z/"}, build)
    np.testing.assert_array_equal(np.concatenate([found[k] for k in sorted(found)]), values["p"])


def test_the_rest_is_initialised_as_before(checkpoint):
    prefix, _ = checkpoint

    def build():
        tf.get_variable("x", [2])
        tf.get_variable("y", [2], initializer=tf.ones_initializer())

    np.testing.assert_array_equal(initialised(prefix, {"a": "x"}, build)["y"], [1, 1])


def test_what_does_not_fit_is_listed_whole_and_changes_nothing(checkpoint):
    prefix, _ = checkpoint
    with tf.Graph().as_default():
        x, y, z = (tf.get_variable(name, [7]) for name in "xyz")
        part = tf.get_variable("part", [6, 2], partitioner=tf.fixed_size_partitioner(2))
        before = [v.initializer for v in (x, y, z)]
        with pytest.raises(ValueError) as caught:
            tf.train.init_from_checkpoint(prefix, {"a": "x", "no": y, "s/b": z, "p": part})
        text = str(caught.value)
        for name in ("a", "no", "s/b", "p"):
            assert f"ensor {name} (" in text
        assert [v.initializer for v in (x, y, z)] == before


@pytest.mark.parametrize(
    ("assignment_map", "error", "text"),
    [
        ({"a": "nowhere"}, ValueError, "Should be 'scope/': 'other_scope/'"),
        ({"s/": "z/"}, ValueError, "Tensor s/q"),
        ({"a": 3}, TypeError, "expected a variable"),
        ({"a": []}, TypeError, "expected a variable"),
    ],
)
def test_bad_maps(checkpoint, assignment_map, error, text):
    with tf.Graph().as_default():
        tf.get_variable("z/q", [2])
        with pytest.raises(error, match=text):
            tf.train.init_from_checkpoint(checkpoint[0], assignment_map)


def test_no_checkpoint(tmp_path):
    with tf.Graph().as_default(), pytest.raises(tf.errors.NotFoundError):
        tf.train.init_from_checkpoint(tmp_path / "no", {})


def test_slots_are_among_the_variables_of_a_scope(tmp_path):
    def trained(scope):
        with tf.variable_scope(scope):
            w = tf.get_variable("w", initializer=[1.0, 2.0])
        return w, tf.train.MomentumOptimizer(0.1, 0.9).minimize(tf.reduce_sum(w * w))

    with tf.Graph().as_default(), tf.Session() as sess:
        w, step = trained("a")
        sess.run(tf.global_variables_initializer())
        sess.run(step)
        prefix = tf.train.Saver().save(sess, tmp_path / "m")
        wanted = sess.run(["a/w:0", "a/w/Momentum:0"])
    with tf.Graph().as_default(), tf.Session() as sess:
        trained("b")
        tf.train.init_from_checkpoint(prefix, {"a/": "b/"})
        sess.run(tf.global_variables_initializer())
        np.testing.assert_array_equal(sess.run(["b/w:0", "b/w/Momentum:0"]), wanted)
        with tf.variable_scope("", reuse=True):
            assert tf.get_variable("b/w/Momentum", [2]).name == "b/w/Momentum:0"
    with tf.Graph().as_default():
        w, _ = trained("b")
        before = w.initializer
        with pytest.raises(ValueError, match="Tensor a/v/Momentum"):
            with tf.variable_scope("b"):
                v = tf.get_variable("v", [2])
            tf.train.MomentumOptimizer(0.1, 0.9).minimize(tf.reduce_sum(v))
            tf.train.init_from_checkpoint(prefix, {"a/": "b/"})
        assert w.initializer is before
