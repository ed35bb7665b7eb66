"""Moving averages: their values, names, and how they are saved and restored."""

import numpy as np
import pytest

import ckpt as tf


def averaged(sess, steps=3, use_resource=False, **options):
    """Apply averages to a variable that grows and to a tensor that does not; (their averages, the object)."""
    variable = tf.Variable([1.0, 2.0], name="a", use_resource=use_resource)
    tensor = tf.multiply(tf.constant([3.0, 4.0]), 1.0, name="b")
    averages = tf.train.ExponentialMovingAverage(0.9, **options)
    move = averages.apply([variable, tensor])
    grow = variable.assign_add([1.0, 1.0])
    sess.run(tf.global_variables_initializer())
    for _ in range(steps):
        sess.run(grow)
        sess.run(move)
    return sess.run([averages.average(variable), averages.average(tensor)]), averages


@pytest.mark.parametrize("use_resource", [False, True])
def test_averages_move_by_the_decay(use_resource):
    with tf.Graph().as_default(), tf.Session() as sess:
        (of_variable, of_tensor), _ = averaged(sess, use_resource=use_resource)
    shadow, value = np.array([1.0, 2.0]), np.array([1.0, 2.0])
    for _ in range(3):
        value = value + 1
        shadow -= 0.1 * (shadow - value)
    np.testing.assert_allclose(of_variable, shadow, rtol=1e-6)
    np.testing.assert_allclose(of_tensor, np.array([3.0, 4.0]) * (1 - 0.9**3), rtol=1e-6)


def test_zero_debias_divides_by_what_the_weights_add_up_to():
    with tf.Graph().as_default(), tf.Session() as sess:
        (_, of_tensor), _ = averaged(sess, zero_debias=True)
        names = {v.op.name for v in tf.global_variables()}
    np.testing.assert_allclose(of_tensor, [3.0, 4.0], rtol=1e-6)
    assert {"b/ExponentialMovingAverage/biased", "b/ExponentialMovingAverage/local_step"} <= names


def test_num_updates_make_early_averages_move_faster():
    with tf.Graph().as_default(), tf.Session() as sess:
        (_, of_tensor), _ = averaged(sess, steps=1, num_updates=tf.Variable(2, trainable=False))
    np.testing.assert_allclose(of_tensor, np.array([3.0, 4.0]) * (1 - 3 / 12), rtol=1e-6)


def test_without_a_list_the_trainable_variables_are_averaged():
    with tf.Graph().as_default():
        a = tf.Variable(1.0, name="a")
        b = tf.Variable(1.0, name="b", trainable=False)
        averages = tf.train.ExponentialMovingAverage(0.9)
        averages.apply()
        averages.apply()
        assert averages.average(a).op.name == "a/ExponentialMovingAverage"
        assert averages.average(b) is None
        assert tf.moving_average_variables() == [a]
        assert averages.average(a) not in tf.trainable_variables()


def test_names_before_and_after():
    with tf.Graph().as_default():
        a = tf.Variable(1.0, name="a")
        averages = tf.train.ExponentialMovingAverage(0.9, name="shadow")
        assert averages.name == "shadow"
        assert averages.average_name(a) == "a/shadow"
        averages.apply([a])
        assert averages.average_name(a) == averages.average(a).op.name == "a/shadow"


def test_averages_are_restored_into_the_variables(tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        (of_variable, _), averages = averaged(sess)
        prefix = tf.train.Saver().save(sess, tmp_path / "m")
    with tf.Graph().as_default(), tf.Session() as sess:
        variable = tf.Variable([0.0, 0.0], name="a")
        step = tf.Variable(0.0, name="a/ExponentialMovingAverage/other", trainable=False)
        averages = tf.train.ExponentialMovingAverage(0.9)
        found = averages.variables_to_restore()
        assert found == {
            "a/ExponentialMovingAverage": variable,
            "a/ExponentialMovingAverage/other": step,
        }
        assert averages.variables_to_restore([]) == {"a": variable, step.op.name: step}
        tf.train.Saver({"a/ExponentialMovingAverage": variable}).restore(sess, prefix)
        np.testing.assert_array_equal(sess.run(variable), of_variable)


def test_only_floating_point_is_averaged():
    with tf.Graph().as_default():
        wrong = [tf.Variable(1, name="one"), tf.Variable(2, name="two")]
        with pytest.raises(TypeError, match=r"half, float, or double: one:0 \(int32\), two:0"):
            tf.train.ExponentialMovingAverage(0.9).apply(wrong)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_floating_types(dtype):
    with tf.Graph().as_default(), tf.Session() as sess:
        a = tf.Variable(tf.constant(1.0, dtype))
        averages = tf.train.ExponentialMovingAverage(0.5)
        move = averages.apply([a])
        sess.run(tf.global_variables_initializer())
        sess.run(a.assign(tf.constant(3.0, dtype)))
        sess.run(move)
        assert float(sess.run(averages.average(a))) == 2.0


def test_an_assigned_average_moves_by_what_is_left_of_the_decay():
    v = tf.get_variable("v", initializer=[0.0, 4.0])
    move = tf.train.assign_moving_average(v, [4.0, 0.0], 0.75, zero_debias=False)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        sess.run(move)
        assert sess.run(v).tolist() == [1.0, 3.0]


def test_without_bias_the_first_average_is_the_first_value():
    v = tf.get_variable("v", initializer=[0.0, 4.0])
    moves = [tf.train.assign_moving_average(v, [3.0, 5.0], 0.75) for _ in range(2)]
    names = ["v", "v/biased", "v/local_step", "v/biased_1", "v/local_step_1"]
    assert [each.op.name for each in tf.global_variables()] == names
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        assert sess.run(moves[0]).tolist() == [3.0, 5.0]


def test_a_weighted_average_forgets_what_had_little_weight():
    value, weight = tf.placeholder(tf.float32, []), tf.placeholder(tf.float32, [])
    average = tf.train.weighted_moving_average(value, 0.5, weight)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        sess.run(average, {value: 1.0, weight: 1.0})
        assert sess.run(average, {value: 4.0, weight: 2.5}) == pytest.approx((1 + 20) / (1 + 5))


@pytest.mark.parametrize("use_resource", [False, True])
def test_averages_of_parts_are_restored_into_other_parts(tmp_path, use_resource):
    def variables(parts):
        cut = tf.fixed_size_partitioner(parts) if parts else None
        ones = tf.ones_initializer()
        p = tf.get_variable(
            "p", [5, 2], initializer=ones, partitioner=cut, use_resource=use_resource
        )
        w = tf.get_variable("w", initializer=3.0, trainable=False, use_resource=use_resource)
        return list(p) if parts else [p], w

    with tf.Graph().as_default(), tf.Session() as sess:
        parts, _ = variables(2)
        averages = tf.train.ExponentialMovingAverage(0.5)
        move = averages.apply()
        sess.run(tf.global_variables_initializer())
        sess.run([part.assign_add(tf.ones_like(part) * 2.0) for part in parts])
        sess.run(move)
        prefix = tf.train.Saver().save(sess, tmp_path / "m")
    for number in (0, 2, 3):
        with tf.Graph().as_default(), tf.Session() as sess:
            parts, w = variables(number)
            wanted = tf.train.ExponentialMovingAverage(0.5).variables_to_restore()
            assert wanted == {
                "p/ExponentialMovingAverage": parts if number else parts[0],
                "w": w,
            }
            tf.train.Saver(wanted).restore(sess, prefix)
            found = np.concatenate(sess.run(parts))
            np.testing.assert_array_equal(found, np.full([5, 2], 2.0, np.float32))
