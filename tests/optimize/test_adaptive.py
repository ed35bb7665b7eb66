"""Adaptive and regularised optimizers: what they refuse, their slots, partitioned variables, checkpoints of one run."""

import numpy as np
import pytest

import ckpt as tf

MAKERS = {
    "Adagrad": lambda step: tf.train.AdagradOptimizer(0.1),
    "AdagradDA": lambda step: tf.train.AdagradDAOptimizer(0.1, step),
    "Adadelta": lambda step: tf.train.AdadeltaOptimizer(0.1),
    "RMSProp": lambda step: tf.train.RMSPropOptimizer(0.1),
    "Centered": lambda step: tf.train.RMSPropOptimizer(0.1, centered=True),
    "Ftrl": lambda step: tf.train.FtrlOptimizer(0.1),
    "Proximal": lambda step: tf.train.ProximalGradientDescentOptimizer(0.1),
    "ProximalAdagrad": lambda step: tf.train.ProximalAdagradOptimizer(0.1),
}
SLOTS = {
    "Adagrad": ["v/Adagrad"],
    "AdagradDA": ["v/AdagradDA", "v/AdagradDA_1"],
    "Adadelta": ["v/Adadelta", "v/Adadelta_1"],
    "RMSProp": ["v/RMSProp", "v/RMSProp_1"],
    "Centered": ["v/RMSProp", "v/RMSProp_1", "v/RMSProp_2"],
    "Ftrl": ["v/Ftrl", "v/Ftrl_1"],
    "Proximal": [],
    "ProximalAdagrad": ["v/ProximalAdagrad"],
}


def descending(kind, **options):
    """(session, variable, training step, loss) of a valley that the optimizer `kind` walks down."""
    step = tf.train.get_or_create_global_step()
    v = tf.get_variable("v", initializer=np.array([[2.0, -3.0], [1.0, 4.0]], np.float32), **options)
    value = tf.convert_to_tensor(v)
    loss = tf.reduce_sum(tf.square(value - [[0.5, 0.5], [0.5, 0.5]]))
    train = MAKERS[kind](step).minimize(loss, global_step=step)
    session = tf.Session()
    session.run(tf.global_variables_initializer())
    return session, value, train, loss


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("use_resource", [False, True])
def test_the_loss_falls_and_slots_bear_tensorflows_names(kind, use_resource):
    session, _, train, loss = descending(kind, use_resource=use_resource)
    before = session.run(loss)
    for _ in range(20):
        session.run(train)
    assert session.run(loss) < before
    names = {v.op.name for v in tf.global_variables()} - {"v", "global_step"}
    assert sorted(names) == SLOTS[kind]


@pytest.mark.parametrize("kind", MAKERS)
def test_partitioned_variables_move_as_whole_ones(kind):
    values = []
    for partitioner in (None, tf.fixed_size_partitioner(2)):
        with tf.Graph().as_default():
            session, value, train, _ = descending(kind, partitioner=partitioner)
            for _ in range(3):
                session.run(train)
            values.append(session.run(value))
    np.testing.assert_allclose(values[0], values[1], rtol=1e-6)


@pytest.mark.parametrize("kind", MAKERS)
def test_training_goes_on_from_a_checkpoint_as_if_it_had_not_stopped(kind, tmp_path):
    session, value, train, _ = descending(kind)
    saver = tf.train.Saver()
    session.run([train])
    path = saver.save(session, str(tmp_path / "model"))
    session.run(train)
    wanted = session.run(value)
    with tf.Graph().as_default():
        session, value, train, _ = descending(kind)
        tf.train.Saver().restore(session, path)
        session.run(train)
        np.testing.assert_array_equal(session.run(value), wanted)


def test_an_update_leaves_values_that_were_read_before_alone():
    session, value, train, _ = descending("Adagrad")
    before = session.run(value)
    kept = before.copy()
    session.run(train)
    np.testing.assert_array_equal(before, kept)


@pytest.mark.parametrize(
    "make",
    [
        lambda: tf.train.AdagradOptimizer(0.1, 0.0),
        lambda: tf.train.AdagradDAOptimizer(0.1, None, -1.0),
        lambda: tf.train.ProximalAdagradOptimizer(0.1, 0.0),
        lambda: tf.train.FtrlOptimizer(0.1, initial_accumulator_value=-0.1),
        lambda: tf.train.FtrlOptimizer(0.1, l1_regularization_strength=-0.1),
        lambda: tf.train.FtrlOptimizer(0.1, l2_regularization_strength=-0.1),
        lambda: tf.train.FtrlOptimizer(0.1, l2_shrinkage_regularization_strength=-0.1),
        lambda: tf.train.FtrlOptimizer(0.1, learning_rate_power=0.1),
    ],
)
def test_values_that_make_no_sense_are_refused(make):
    with pytest.raises(ValueError, match=r"positive|negative"):
        make()


def test_ftrl_names_its_slots_as_it_is_told():
    v = tf.get_variable("v", [2])
    optimizer = tf.train.FtrlOptimizer(0.1, accum_name="sums", linear_name="lines")
    optimizer.apply_gradients([(tf.ones([2]), v)])
    assert optimizer.get_slot(v, "accum").op.name == "v/sums"
    assert optimizer.get_slot(v, "linear").op.name == "v/lines"
    assert optimizer.get_slot_names() == ["accum", "linear"]


def test_a_learning_rate_may_be_a_function():
    v = tf.get_variable("v", initializer=np.float32(1.0))
    train = tf.train.FtrlOptimizer(lambda: 0.5).apply_gradients([(tf.constant(1.0), v)])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(train)
        assert session.run(v) < 1.0


def test_ftrl_stays_at_zero_where_nothing_ever_pulled():
    v = tf.get_variable("v", initializer=np.zeros(2, np.float32))
    optimizer = tf.train.FtrlOptimizer(0.1, initial_accumulator_value=0.0)
    train = optimizer.apply_gradients([(tf.constant([0.0, 1.0]), v)])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(train)
        found = session.run(v)
    assert found[0] == 0.0
    assert found[1] < 0.0
