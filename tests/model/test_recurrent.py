"""Recurrent networks whose state is kept by a saver, and loops that never run."""

import numpy as np
import pytest

import ckpt as tf


class Kept:
    """A saver of states in variables."""

    def __init__(self, **sizes):
        self.held = {
            name: tf.get_variable(
                name, [2, size], initializer=tf.zeros_initializer(), trainable=False
            )
            for name, size in sizes.items()
        }

    def state(self, name):
        return self.held[name].read_value()

    def save_state(self, name, value):
        return self.held[name].assign(value).op


STEPS = np.random.default_rng(4).normal(size=(6, 2, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def _graph():
    with tf.Graph().as_default():
        tf.set_random_seed(3)
        yield


@pytest.mark.parametrize("is_tuple", [True, False])
def test_a_saved_state_goes_on_in_the_next_run(is_tuple):
    cell = tf.nn.rnn_cell.BasicLSTMCell(4, state_is_tuple=is_tuple)
    names = ("c", "h") if is_tuple else "s"
    kept = Kept(**({"c": 4, "h": 4} if is_tuple else {"s": 8}))
    inputs = [tf.placeholder(tf.float32, [2, 3]) for _ in range(3)]
    with tf.variable_scope("net"):
        outputs, last = tf.nn.static_state_saving_rnn(cell, inputs, kept, names)
    with tf.variable_scope("net", reuse=True):
        whole, whole_last = tf.nn.static_rnn(cell, list(tf.unstack(STEPS)), dtype=tf.float32)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        found = []
        for part in (STEPS[:3], STEPS[3:]):
            # Asking for the last output alone saves the state too.
            found.append(session.run(outputs[-1], dict(zip(inputs, part, strict=True))))
        like, like_last = session.run([whole, whole_last])
        np.testing.assert_allclose(found, [like[2], like[5]], rtol=1e-6)
        held = session.run([kept.held[name] for name in (names if is_tuple else [names])])
    np.testing.assert_allclose(
        np.concatenate(held, 1), np.concatenate(like_last, 1) if is_tuple else like_last
    )
    assert len(outputs) == 3
    assert isinstance(last, tuple) is is_tuple


@pytest.mark.parametrize(
    ("names", "match"), [("c", "same type"), (("c",), "2 states"), (("c", "h", "x"), "2 states")]
)
def test_names_that_do_not_fit_the_state_are_refused(names, match):
    cell = tf.nn.rnn_cell.BasicLSTMCell(4)
    with pytest.raises(ValueError, match=match):
        tf.nn.static_state_saving_rnn(cell, [STEPS[0]], Kept(c=4, h=4), names)


@pytest.mark.parametrize("steps", [0, 2])
def test_raw_rnn_over_few_steps_or_none(steps):
    cell = tf.nn.rnn_cell.BasicRNNCell(5)
    array = tf.TensorArray(tf.float32, size=6).unstack(STEPS)

    def loop(time, output, state, own):
        state = cell.zero_state(2, tf.float32) if output is None else state
        done = tf.fill([2], time >= steps)
        given = tf.cond(tf.reduce_all(done), lambda: tf.zeros([2, 3]), lambda: array.read(time))
        given.set_shape([2, 3])
        return done, given, state, output, None

    outputs, last, own = tf.nn.raw_rnn(cell, loop)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        stacked, end = session.run([outputs.stack(), last])
    assert own is None
    assert stacked.shape == (steps, 2, 5)
    np.testing.assert_array_equal(end, stacked[-1] if steps else np.zeros((2, 5)))


CELL = tf.nn.rnn_cell
CELLS = [
    lambda: CELL.BasicRNNCell(3, activation=tf.nn.relu),
    lambda: CELL.GRUCell(3, kernel_initializer=tf.constant_initializer(0.5)),
    lambda: CELL.LSTMCell(3, use_peepholes=True, num_proj=2, forget_bias=0.5),
    lambda: CELL.MultiRNNCell([CELL.GRUCell(3), CELL.BasicLSTMCell(2)]),
    lambda: CELL.DropoutWrapper(CELL.GRUCell(3), input_keep_prob=0.5, seed=3),
    lambda: CELL.ResidualWrapper(CELL.DeviceWrapper(CELL.GRUCell(3), "/cpu:0"), lambda i, o: i + o),
]


@pytest.mark.parametrize("make", CELLS)
def test_a_cell_is_made_again_from_its_configuration(make):
    config = make().get_config()
    again = type(make()).from_config(config)
    assert again.get_config() == config
    with tf.Graph().as_default():
        outputs = []
        for number, cell in enumerate((make(), again)):
            with tf.variable_scope(f"cell_{number}"):
                output, _ = cell(tf.ones([2, 3]), cell.zero_state(2, tf.float32))
                outputs.append((output.shape, [v.shape for v in cell.variables]))
        assert outputs[0] == outputs[1]


def test_a_configuration_may_name_cells_of_ones_own():
    class Own(CELL.GRUCell):
        pass

    config = CELL.ResidualWrapper(Own(3)).get_config()
    assert config["cell"]["class_name"] == "Own"
    again = CELL.ResidualWrapper.from_config(config, custom_objects={"Own": Own})
    assert isinstance(again._cell, Own)
    with pytest.raises(ValueError, match="Own"):
        CELL.ResidualWrapper.from_config(config)
    with pytest.raises(ValueError, match="activation"):
        CELL.GRUCell(3, activation="no such function")


def test_an_object_based_checkpoint_restores_cells(tmp_path):
    path = None
    for number in range(2):
        with tf.Graph().as_default(), tf.Session() as session:
            cell = CELL.DropoutWrapper(CELL.GRUCell(2))
            cell(tf.ones([1, 2]), cell.zero_state(1, tf.float32))
            checkpoint = tf.train.Checkpoint(cell=cell)
            session.run(tf.global_variables_initializer())
            if not number:
                saved = session.run(cell.variables)
                path = checkpoint.save(str(tmp_path / "cell"), session=session)
            else:
                checkpoint.restore(path).run_restore_ops(session)
                for old, new in zip(saved, session.run(cell.variables), strict=True):
                    np.testing.assert_array_equal(old, new)
