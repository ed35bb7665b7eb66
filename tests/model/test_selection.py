"""Variables selected by patterns, in Savers and wherever a var_list is taken."""

import pytest

import ckpt as tf
from ckpt.core.errors import SelectionError
from ckpt.formats import detect


@pytest.fixture(autouse=True)
def graph():
    """Two layers, a counter, an average, a local variable, and slots of an optimizer of its own name."""
    with tf.Graph().as_default() as graph:
        with tf.variable_scope("conv"):
            kernel = tf.get_variable("kernel", [2, 2])
            tf.get_variable("bias", [2])
        tf.get_variable("dense/kernel", [2, 2])
        tf.train.get_or_create_global_step()
        tf.get_variable("dense/kernel/ExponentialMovingAverage", [2, 2], trainable=False)
        tf.get_variable("seen", [1], collections=["local_variables"])
        tf.train.AdamOptimizer(name="Mine").minimize(tf.reduce_sum(kernel))
        yield graph


def names(variables):
    return [v.op.name for v in variables]


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        ("**/kernel", ["conv/kernel", "dense/kernel"]),
        ("@trainable", ["conv/kernel", "conv/bias", "dense/kernel"]),
        (["conv/**", "!@slots"], ["conv/kernel", "conv/bias"]),
        ("@slots", ["beta1_power", "beta2_power", "conv/kernel/Mine", "conv/kernel/Mine_1"]),
        ("@ema", ["dense/kernel/ExponentialMovingAverage"]),
        (["@float", "!@scope:conv", "!@slots", "!@ema"], ["dense/kernel"]),
        ("@collection:local_variables", ["seen"]),
        (["conv/bias", "@collection:global_step"], ["conv/bias", "global_step"]),
    ],
)
def test_patterns_select_variables_of_the_graph(patterns, found):
    assert names(tf.select_variables(patterns)) == found


def test_a_saver_takes_patterns_and_variables_together(tmp_path):
    bias = tf.global_variables("conv/bias")[0]
    for var_list, held in [
        ("@trainable", ["conv/bias", "conv/kernel", "dense/kernel"]),
        ([bias, "**/kernel"], ["conv/bias", "conv/kernel", "dense/kernel"]),
        (["conv/*", bias], ["conv/bias", "conv/kernel"]),
        (["**", "!@slots", "!@ema"], ["conv/bias", "conv/kernel", "dense/kernel", "global_step"]),
    ]:
        with tf.Session() as sess:
            sess.run(tf.global_variables_initializer())
            prefix = tf.train.Saver(var_list).save(sess, tmp_path / "m")
        with detect.open_reader(prefix) as reader:
            assert sorted(reader.names()) == held


def test_a_part_goes_by_the_name_of_the_whole():
    parts = tf.get_variable("emb", [6, 2], partitioner=tf.fixed_size_partitioner(3))
    assert tf.select_variables("emb") == list(parts)
    assert [v.op.name for v in tf.select_variables("@scope:emb")] == names(parts)


def test_an_optimizer_takes_patterns():
    loss = tf.reduce_sum([tf.reduce_sum(v) for v in tf.trainable_variables()])
    optimizer = tf.train.GradientDescentOptimizer(0.1)
    pairs = optimizer.compute_gradients(loss, var_list=["**/kernel", "!dense/**"])
    assert names(v for _, v in pairs) == ["conv/kernel"]


def test_an_initializer_takes_patterns():
    with tf.Session() as sess:
        sess.run(tf.variables_initializer(["conv/*", "@collection:local_variables"]))
        assert "dense/kernel" in {n.decode() for n in sess.run(tf.report_uninitialized_variables())}
        assert "conv/bias" not in {
            n.decode() for n in sess.run(tf.report_uninitialized_variables())
        }
        sess.run(tf.local_variables("seen")[0])


def test_reports_of_what_has_no_value_take_patterns():
    with tf.Session() as sess:
        sess.run(tf.variables_initializer("conv/kernel"))
        missing = tf.report_uninitialized_variables(["conv/*", "!@slots"])
        assert sess.run(missing).tolist() == [b"conv/bias"]
        sess.run(tf.assert_variables_initialized("conv/kernel"))
        with pytest.raises(tf.errors.FailedPreconditionError, match="dense/kernel"):
            sess.run(tf.assert_variables_initialized("dense/kernel"))


def test_averages_take_patterns():
    average = tf.train.ExponentialMovingAverage(0.5, name="avg")
    average.apply(["conv/**", "!**/bias"])
    kernel, bias = tf.trainable_variables("conv")
    assert average.average(kernel).op.name == "conv/kernel/avg"
    assert average.average(bias) is None
    found = average.variables_to_restore("**/kernel")
    assert found["conv/kernel/avg"] is kernel
    assert found["conv/bias"] is bias


def test_what_matches_nothing_is_refused_with_what_is_near():
    with pytest.raises(SelectionError, match=r"'\*\*/kernels'; near it: conv/kernel"):
        tf.train.Saver("**/kernels")
    with pytest.raises(ValueError, match="unknown word"):
        tf.train.Saver(["@trainables"])
    for takes in (
        tf.report_uninitialized_variables,
        tf.assert_variables_initialized,
        tf.variables_initializer,
        tf.train.ExponentialMovingAverage(0.5).apply,
        tf.train.ExponentialMovingAverage(0.5).variables_to_restore,
    ):
        with pytest.raises(SelectionError, match="near it: conv/kernel"):
            takes(["**/kernels"])
