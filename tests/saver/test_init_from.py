"""Initial values from a checkpoint, with every form of the assignment map."""

import re

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


@pytest.mark.parametrize(
    ("chosen", "wanted"),
    [
        ("**", {"a", "s/b", "p"}),
        ("s/*", {"s/b"}),
        (["@trainable", "!@scope:s", "!p"], {"a"}),
        (lambda made: [made["a"], "re:s/.*"], {"a", "s/b"}),
        (lambda made: [made["p"]], {"p"}),
        (lambda made: list(made["p"]), {"p"}),
    ],
)
def test_variables_and_patterns_take_the_tensors_of_their_names(checkpoint, chosen, wanted):
    prefix, values = checkpoint

    def build():
        return {
            name: tf.get_variable(
                name,
                HELD[name],
                initializer=tf.constant_initializer(-1),
                partitioner=tf.fixed_size_partitioner(2) if name == "p" else None,
            )
            for name in ("a", "s/b", "p")
        }

    found = initialised(prefix, chosen, build)
    whole = {name: found[name] for name in ("a", "s/b")}
    whole["p"] = np.concatenate([found["p/part_0"], found["p/part_1"]])
    for name, value in whole.items():
        np.testing.assert_array_equal(value, values[name] if name in wanted else -1)


@pytest.mark.parametrize(
    ("asked", "rename"),
    [
        ("**", ("", "net/")),
        ("net/**", [{"s/": "t/"}, {"re:^": "net/"}, {"net/t/": "net/s/"}]),
        ({"net/": "net/"}, lambda name: "net/" + name),
        ({"n/a": "net/a", "n/s/": "net/s/"}, [("", "n/")]),
    ],
)
def test_rules_lead_from_the_checkpoint_to_the_map_or_the_variables(checkpoint, asked, rename):
    prefix, values = checkpoint
    with tf.Graph().as_default(), tf.Session() as sess:
        made = {name: tf.get_variable(f"net/{name}", HELD[name]) for name in ("a", "s/b")}
        tf.train.init_from_checkpoint(prefix, asked, rename=rename)
        sess.run(tf.global_variables_initializer())
        for name, variable in made.items():
            np.testing.assert_array_equal(sess.run(variable), values[name])


def test_the_error_lists_all_with_candidates_and_the_rules_that_help(checkpoint):
    prefix, values = checkpoint
    for asked in ("**", {"net/": "net/"}):
        with tf.Graph().as_default(), tf.Session() as sess:
            made = {
                name: tf.get_variable(f"net/{name}", HELD[name]) for name in ("a", "s/b", "s/c")
            }
            with pytest.raises(ValueError, match="3 of 3 variables cannot take") as caught:
                tf.train.init_from_checkpoint(prefix, asked)
            text = str(caught.value)
            assert "Tensor net/s/b (" in text
            assert "perhaps s/b: " in text
            assert re.search(r"3 of 3 are explained by 1 rule.*\. Take them with\n", text)
            assert "apply_suggestions" not in text  # which only a restore takes
            pasted = text.partition("    rename=")[2].partition("\n")[0]
            assert eval(pasted) == caught.value.rename
            tf.train.init_from_checkpoint(prefix, asked, rename=caught.value.rename)
            sess.run(tf.global_variables_initializer())
            for name, variable in made.items():
                np.testing.assert_array_equal(sess.run(variable), values[name])


def test_another_dtype_is_told_before_anything_runs(checkpoint):
    with tf.Graph().as_default():
        tf.get_variable("x", [2], tf.int32)
        with pytest.raises(
            ValueError, match=r"Dtype of variable x:0 \(int32\) .* tensor a \(float32\)"
        ):
            tf.train.init_from_checkpoint(checkpoint[0], {"a": "x"})


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
        ({"s/": "zz/"}, ValueError, r"no variable of get_variable is in zz/; similar: z\b"),
        ({"a": "z/p"}, ValueError, r"names no variable of get_variable; similar: z/q"),
        ({}, ValueError, "no variable would get its initial value"),
        (5, TypeError, "assignment_map is a dict, pairs, or variables and patterns, not 5"),
        ([], ValueError, "no variable would get its initial value"),
        ("**/qq", ValueError, "near it: z/q"),
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
        with tf.variable_scope("", reuse=True), pytest.raises(ValueError, match="does not exist"):
            tf.get_variable("b/w/Momentum", [2])
    with tf.Graph().as_default():
        w, _ = trained("b")
        before = w.initializer
        with pytest.raises(ValueError, match="Tensor a/v/Momentum"):
            with tf.variable_scope("b"):
                v = tf.get_variable("v", [2])
            tf.train.MomentumOptimizer(0.1, 0.9).minimize(tf.reduce_sum(v))
            tf.train.init_from_checkpoint(prefix, {"a/": "b/"})
        assert w.initializer is before


@pytest.mark.parametrize(
    "start",
    [
        lambda path: tf.train.init_from_checkpoint(path, {"fruit/": "fruit/"}),
        lambda path: tf.train.init_from_checkpoint(
            path, {"v/.ATTRIBUTES/VARIABLE_VALUE": "fruit/weights"}
        ),
        lambda path: tf.train.warm_start(path),
        lambda path: tf.train.warm_start(path, rename=["object", ("v", "fruit/weights")]),
    ],
    ids=["scope", "key", "warm", "rules"],
)
def test_variables_of_objects_go_by_the_names_that_the_graph_had_for_them(tmp_path, start):
    with tf.Graph().as_default(), tf.Session() as sess:
        v = tf.get_variable("fruit/weights", initializer=[1.0, 2.0])
        sess.run(v.initializer)
        prefix = tf.train.Checkpoint(v=v).save(tmp_path / "m", sess)
    with tf.Graph().as_default(), tf.Session() as sess:
        w = tf.get_variable("fruit/weights", [2])
        start(prefix)
        sess.run(w.initializer)
        assert sess.run(w).tolist() == [1.0, 2.0]
