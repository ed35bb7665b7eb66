"""Restoring where the checkpoint has other shapes and dtypes than the graph: what is made to fit, and what is not."""

import numpy as np
import pytest

import ckpt as tf
from tests.saver.models import model


@pytest.mark.parametrize(
    ("shape", "policy", "expected"),
    [
        ([6, 2], "reshape", lambda v: v.reshape(6, 2)),
        ([2, 3], "slice", lambda v: v[:2]),
        ([4, 1], "slice", lambda v: v[:, :1]),
        ([5, 4], "pad", lambda v: np.pad(v, ((0, 1), (0, 1)))),
    ],
)
def test_another_shape_is_made_to_fit_when_asked(checkpoint, sess, shape, policy, expected):
    prefix, values = checkpoint
    variable = tf.get_variable("net/a/kernel", shape)
    saver = tf.train.Saver()
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"'{policy}'"):
        saver.restore(sess, prefix)
    report = saver.restore(sess, prefix, on_shape=policy)
    np.testing.assert_array_equal(sess.run(variable), expected(values["net/a/kernel"]))
    assert [(m.name, m.action) for m in report.mismatched] == [("net/a/kernel", policy)]


@pytest.mark.parametrize(
    ("shape", "policy"), [([5, 3], "slice"), ([2, 3], "pad"), ([5], "reshape"), ([4], "slice")]
)
def test_a_shape_that_cannot_be_made_to_fit_is_an_error(checkpoint, sess, shape, policy):
    tf.get_variable("net/a/kernel", shape)
    with pytest.raises(tf.errors.InvalidArgumentError, match="graph mismatch"):
        tf.train.Saver().restore(sess, checkpoint[0], on_shape=policy)


def test_skipping_a_shape_leaves_the_variable_alone(checkpoint, sess):
    prefix, values = checkpoint
    variables = model(rows=5)
    sess.run(tf.global_variables_initializer())
    before = sess.run(variables["net/a/kernel"])
    report = tf.train.Saver().restore(sess, prefix, on_shape="skip")
    np.testing.assert_array_equal(sess.run(variables["net/a/kernel"]), before)
    np.testing.assert_array_equal(sess.run(variables["net/b/kernel"]), values["net/b/kernel"])
    assert report.skipped == ("net/a/kernel",)
    assert "1 skip: net/a/kernel (float32[5, 3] from float32[4, 3])" in str(report)


def test_slicing_reads_only_the_bytes_needed(tmp_path, sess, bytes_read):
    with tf.Graph().as_default(), tf.Session() as other:
        tf.get_variable("emb", [100_000, 16])
        other.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(other, tmp_path / "m", durable=False)
    tf.get_variable("emb", [1000, 16])
    before = bytes_read()
    tf.train.Saver().restore(sess, prefix, on_shape="slice")
    # of 6.4 MB: the blocks with the 64 KB wanted, and the index
    assert 0 < bytes_read() - before <= 3 * 128 * 1024


@pytest.mark.parametrize(
    ("old", "new"),
    [("float32", "float64"), ("float64", "float32"), ("bfloat16", "float32"), ("int32", "int64"),
     ("int64", "int8"), ("int32", "float32"), ("bool", "int32"), ("float32", "complex64")],
)  # fmt: skip
def test_dtypes_are_cast_where_no_value_changes(tmp_path, sess, old, new):
    values = [0, 1, 1] if old == "bool" else [1, 2, 3]
    with tf.Graph().as_default(), tf.Session() as other:
        tf.Variable(tf.constant(values, tf.int32), name="n")
        tf.Variable(tf.cast(tf.constant(values), old), name="v")
        other.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(other, tmp_path / "m")
    variable = tf.get_variable("v", [3], dtype=new, initializer=tf.zeros_initializer())
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"expected dtype {new}"):
        tf.train.Saver().restore(sess, prefix)
    report = tf.train.Saver().restore(sess, prefix, on_dtype="cast")
    assert sess.run(variable).tolist() == values
    assert report.mismatched[0].action == "cast"


@pytest.mark.parametrize(
    ("value", "old", "new"),
    [([1.5], "float32", "int32"), ([b"x"], "string", "float32"), ([1j], "complex64", "float32")],
)
def test_dtypes_between_which_values_change_are_not_cast(tmp_path, sess, value, old, new):
    with tf.Graph().as_default(), tf.Session() as other:
        tf.Variable(tf.constant(value, old), name="v")
        other.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(other, tmp_path / "m")
    tf.get_variable("v", [1], dtype=new, initializer=tf.zeros_initializer())
    with pytest.raises(tf.errors.InvalidArgumentError, match="does not equal original dtype"):
        tf.train.Saver().restore(sess, prefix, on_dtype="cast")


@pytest.mark.parametrize(
    ("value", "old", "new"), [([300, 1], "int64", "int8"), ([1e300, 1], "float64", "float32"), ([1e6, 1.0], "float32", "float16"), ([-1, 1], "int64", "uint64"), ([2**63, 1], "uint64", "int64")]
)  # fmt: skip
def test_a_cast_that_would_lose_a_value_is_refused_and_nothing_assigned(
    tmp_path, sess, value, old, new
):
    with tf.Graph().as_default(), tf.Session() as other:
        tf.Variable(tf.constant(value, old), name="v")
        tf.Variable([1.0], name="a")
        other.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(other, tmp_path / "m")
    tf.get_variable("v", [2], dtype=new, initializer=tf.zeros_initializer())
    a = tf.Variable([5.0], name="a")
    sess.run(a.initializer)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=f"1 of 2 values do not fit into {new}"
    ):
        tf.train.Saver().restore(sess, prefix, on_dtype="cast")
    assert sess.run(a) == [5.0]


def test_all_casts_that_would_lose_values_are_told_at_once_with_the_file(tmp_path, sess):
    with tf.Graph().as_default(), tf.Session() as other:
        for name, value in {"a": [300], "b": [-1, 2], "c": [7]}.items():
            tf.Variable(value, name=name)
        other.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(other, tmp_path / "m")
    for name, length in {"a": 1, "b": 2, "c": 1}.items():
        tf.Variable(tf.zeros([length], tf.uint8), name=name)
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        tf.train.Saver().restore(sess, prefix, on_dtype="cast")
    assert str(raised.value).splitlines() == [
        f"{prefix}: on_dtype='cast': 2 variables cannot hold their values, and nothing was assigned.",
        "  a: 1 of 1 values do not fit into uint8, the dtype of a",
        "  b: 1 of 2 values do not fit into uint8, the dtype of b",
        "on_dtype='skip' leaves them alone; or give the variables the dtypes of the checkpoint.",
    ]


@pytest.mark.parametrize(
    ("shape", "dtype", "policies", "text", "not_text"),
    [
        ([3, 2], "float32", {}, "'skip' leaves variables of another shape alone", "none may be"),
        ([3, 2], "float32", {"on_shape": "slice"}, "'slice' takes .* none may be shorter", "'pad'"),
        ([3, 2], "float32", {"on_shape": "pad"}, "'pad' fills .* none may be longer", "'slice'"),
        ([3, 1], "float32", {"on_shape": "reshape"}, "'reshape' takes as many elements", "'pad'"),
        ([2, 3], "int32", {"on_dtype": "cast"}, "on_dtype='cast' goes .* not back", "on_shape="),
        ([2, 3], "int32", {}, "on_dtype='cast' converts", "not back"),
    ],
)
def test_the_way_out_is_not_the_policy_that_failed(
    tmp_path, sess, shape, dtype, policies, text, not_text
):
    with tf.Graph().as_default(), tf.Session() as other:
        tf.get_variable("v", [2, 3])
        other.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(other, tmp_path / "m")
    tf.get_variable("v", shape, dtype, initializer=tf.zeros_initializer())
    with pytest.raises(tf.errors.InvalidArgumentError, match=text) as raised:
        tf.train.Saver().restore(sess, prefix, **policies)
    assert not_text not in str(raised.value)


def test_a_variable_in_parts_is_told_of_once(checkpoint, sess):
    prefix, values = checkpoint
    parts = tf.get_variable("net/a/kernel", [6, 4], partitioner=tf.fixed_size_partitioner(3))
    with pytest.raises(tf.errors.InvalidArgumentError, match="1 tensors have another") as raised:
        tf.train.Saver().restore(sess, prefix)
    assert str(raised.value).count("  net/a/kernel: the graph has float32[6, 4]") == 1
    report = tf.train.Saver().restore(sess, prefix, on_shape="pad")
    assert [m.name for m in report.mismatched] == ["net/a/kernel"]
    padded = np.pad(values["net/a/kernel"], ((0, 2), (0, 1)))
    np.testing.assert_array_equal(np.concatenate([sess.run(part) for part in parts]), padded)
