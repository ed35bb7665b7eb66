"""A run takes the memory of the tensors that are live at once, and a tenth more at most."""

import tracemalloc

import numpy as np
import pytest

import ckpt as tf

SIZE = 1 << 16
MARGIN = 1.1
SMALL = 32 << 10
"""Python's own objects."""


def live_bytes(plan, feeds):
    """The most bytes that tensors with a use ahead of them, and the newest ones, have at once; feeds not counted."""
    last = {slot: number for number, step in enumerate(plan.steps) for slot in step.inputs}
    last.update(dict.fromkeys(plan.fetches, len(plan.steps)))
    values = list(plan.initial)
    values[: len(feeds)] = feeds
    others = {id(owner(v)) for v in values}
    most = 0
    for number, step in enumerate(plan.steps):
        found = step.kernel(*step.lead, *[values[i] for i in step.inputs], **step.attrs)
        for slot, value in zip(step.outputs, found if step.many else [found], strict=True):
            values[slot] = value
            if step.kernel.__name__ in ("read", "_read"):
                others.add(id(value))
        owners = {id(owner(v)): owner(v) for v in values if isinstance(v, np.ndarray)}
        most = max(most, sum(o.nbytes for key, o in owners.items() if key not in others))
        del found, value, owners
        for slot in (*step.inputs, *step.outputs):
            if last.get(slot, -1) <= number and slot >= len(feeds) and plan.initial[slot] is None:
                values[slot] = None
    return most


def owner(value):
    while isinstance(value, np.ndarray) and isinstance(value.base, np.ndarray):
        value = value.base
    return value


def peak_bytes(run):
    """The most bytes that a run has allocated at once."""
    run()
    tracemalloc.start()
    try:
        run()
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        run()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def chain():
    x = y = tf.placeholder(tf.float32, [SIZE])
    for _ in range(20):
        y = tf.tanh(y) * 2.0
    return tf.reduce_sum(y), {x: np.ones(SIZE, np.float32)}


def perceptron(optimizer):
    x, y = tf.placeholder(tf.float32, [None, 300]), tf.placeholder(tf.int64, [None])
    h = x
    for wide, narrow in ((300, 256), (256, 256), (256, 256), (256, 10)):
        w = tf.Variable(np.full((wide, narrow), 0.01, np.float32))
        h = tf.matmul(h, w) + tf.Variable(np.zeros(narrow, np.float32))
        h = tf.nn.relu(h) if narrow > 10 else h
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=h))
    feeds = {x: np.ones((512, 300), np.float32), y: np.zeros(512, np.int64)}
    return [optimizer.minimize(loss), loss], feeds


def convolutions():
    x = h = tf.placeholder(tf.float32, [None, 28, 28, 8])
    for _ in range(3):
        w = tf.Variable(np.full((3, 3, 8, 8), 0.01, np.float32))
        h = tf.nn.relu(tf.nn.conv2d(h, w, [1, 1, 1, 1], "SAME") + tf.Variable(np.zeros(8, "f")))
    loss = tf.reduce_mean(tf.square(tf.nn.max_pool(h, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")))
    train = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
    return [train, loss], {x: np.ones((64, 28, 28, 8), np.float32)}


PROGRAMS = {
    "chain": chain,
    "descent": lambda: perceptron(tf.train.GradientDescentOptimizer(0.1)),
    "adam": lambda: perceptron(tf.train.AdamOptimizer(0.1)),
    "convolutions": convolutions,
}


@pytest.fixture(params=["interpreted", "generated"])
def runner(request):
    """Makes the function that runs fetches with feeds in a session."""

    def make(sess, fetches, feeds):
        if request.param == "interpreted":
            return lambda: sess.run(fetches, feeds)
        call = sess.make_callable(fetches, list(feeds))
        return lambda: call(*feeds.values())

    return make


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_a_run_takes_what_is_live(program, runner):
    with tf.Graph().as_default(), tf.Session() as sess:
        fetches, feeds = program()
        sess.run(tf.global_variables_initializer())
        live = live_bytes(sess.plan(fetches, list(feeds)), list(feeds.values()))
        assert live > 500_000
        assert peak_bytes(runner(sess, fetches, feeds)) <= live * MARGIN + SMALL


def test_a_loop_takes_one_iteration(runner):
    with tf.Graph().as_default(), tf.Session() as sess:
        x = tf.placeholder(tf.float32, [SIZE])
        _, y = tf.while_loop(
            lambda i, v: i < 30, lambda i, v: (i + 1, tf.tanh(v) * 2.0 + 1.0), (0, x)
        )
        run = runner(sess, tf.reduce_sum(y), {x: np.ones(SIZE, np.float32)})
        # What an operation takes, what it gives, and the loop's variable.
        assert peak_bytes(run) <= 3 * SIZE * 4 * MARGIN + SMALL


PARTS = {
    "slice": lambda y: tf.slice(y, [0], [1000]),
    "strided": lambda y: y[:1000],
    "split": lambda y: tf.split(y, [1000, SIZE - 1000])[0],
    "unstack": lambda y: tf.unstack(tf.reshape(y, [64, -1]))[0],
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_a_part_does_not_keep_the_whole(part, runner):
    with tf.Graph().as_default(), tf.Session() as sess:
        x = y = tf.placeholder(tf.float32, [SIZE])
        parts = []
        for _ in range(12):
            y = tf.tanh(y)
            parts.append(part(y))
        run = runner(sess, tf.concat(parts, 0), {x: np.ones(SIZE, np.float32)})
        # A whole, its parts (all of them while it is cut), and twelve parts that wait.
        assert peak_bytes(run) <= (2 * SIZE + 2 * 12 * 1024) * 4 * MARGIN + SMALL
