"""Building and running graphs, the same TensorFlow 1 program under TensorFlow and under ckpt.

A program takes the module `tf` and returns the step to be timed. It is called some times to warm up and then timed
call by call; what counts is the median.
"""

import importlib
import statistics
import sys
import time

import numpy as np

from tools.benches.registry import ORACLE, contestant


def program(group, *, warm_up=40, runs=200):
    """Enter `prepare(tf) -> step` as a contest between TensorFlow and ckpt."""

    def enter(prepare):
        for name in (ORACLE, "ckpt"):

            def timed(case, name=name):
                step = prepare(_module(name))
                return lambda: _median_seconds(step, warm_up, runs)

            contestant(group, name)(timed)
        return prepare

    return enter


def _module(name):
    if name != ORACLE:
        return importlib.import_module("ckpt")
    tf = importlib.import_module("tensorflow.compat.v1")
    tf.disable_v2_behavior()
    return tf


def _median_seconds(step, warm_up, runs):
    for _ in range(warm_up):
        step()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _session(tf):
    if "tensorflow" not in sys.modules:
        return tf.Session()
    threads = {"intra_op_parallelism_threads": 2, "inter_op_parallelism_threads": 2}
    return tf.Session(config=tf.ConfigProto(**threads))


def _started(tf):
    session = _session(tf)
    session.run(tf.global_variables_initializer())
    return session


@program("run: one fed operation", runs=2000)
def _(tf):
    x = tf.placeholder(tf.float32, [4, 4])
    y, session, value = x + 1.0, _session(tf), np.ones((4, 4), np.float32)
    return lambda: session.run(y, {x: value})


@program("run: chain of 100 operations", runs=1000)
def _(tf):
    x = tf.placeholder(tf.float32, [4, 4])
    y = x
    for i in range(50):
        y = tf.tanh(y) * (1.0 + i)
    session, value = _session(tf), np.ones((4, 4), np.float32)
    return lambda: session.run(y, {x: value})


def _mlp(tf, optimizer):
    rng = np.random.RandomState(0)
    x, y = tf.placeholder(tf.float32, [None, 784]), tf.placeholder(tf.int64, [None])
    h = x
    for i, (n, m) in enumerate([(784, 256), (256, 256), (256, 10)]):
        w = tf.Variable(rng.normal(0, 0.05, (n, m)).astype("f"), name=f"w{i}")
        h = tf.matmul(h, w) + tf.Variable(np.zeros(m, "f"), name=f"b{i}")
        h = tf.nn.relu(h) if m > 10 else h
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=h))
    train, session = optimizer.minimize(loss), None
    session = _started(tf)
    feeds = {x: rng.normal(size=(128, 784)).astype("f"), y: rng.randint(0, 10, 128)}
    return lambda: session.run(train, feeds)


@program("step: MLP 784-256-256-10, batch 128, SGD")
def _(tf):
    return _mlp(tf, tf.train.GradientDescentOptimizer(0.01))


@program("step: MLP 784-256-256-10, batch 128, Adam")
def _(tf):
    return _mlp(tf, tf.train.AdamOptimizer(0.001))


@program("step: LeNet 28x28, batch 64, Adam", warm_up=5, runs=20)
def _(tf):
    rng = np.random.RandomState(0)
    x, y = tf.placeholder(tf.float32, [None, 28, 28, 1]), tf.placeholder(tf.int64, [None])
    h = x
    for size, n, m in ((5, 1, 32), (5, 32, 64)):
        w = tf.Variable(rng.normal(0, 0.1, (size, size, n, m)).astype("f"))
        h = tf.nn.relu(tf.nn.conv2d(h, w, [1, 1, 1, 1], "SAME") + tf.Variable(np.zeros(m, "f")))
        h = tf.nn.max_pool(h, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")
    h = tf.reshape(h, [-1, 7 * 7 * 64])
    for n, m in ((7 * 7 * 64, 1024), (1024, 10)):
        w = tf.Variable(rng.normal(0, 0.05, (n, m)).astype("f"))
        h = tf.matmul(h, w) + tf.Variable(np.zeros(m, "f"))
        h = tf.nn.relu(h) if m > 10 else h
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=h))
    train = tf.train.AdamOptimizer(0.001).minimize(loss)
    session = _started(tf)
    feeds = {x: rng.normal(size=(64, 28, 28, 1)).astype("f"), y: rng.randint(0, 10, 64)}
    return lambda: session.run(train, feeds)


@program("step: LSTM through while_loop, T28 h128 b128, Adam", warm_up=5, runs=20)
def _(tf):
    rng = np.random.RandomState(0)
    size = 128
    x, y = tf.placeholder(tf.float32, [28, 128, 28]), tf.placeholder(tf.int64, [None])
    w = tf.Variable(rng.normal(0, 0.1, (28 + size, 4 * size)).astype("f"))
    b = tf.Variable(np.zeros(4 * size, "f"))
    inputs = tf.TensorArray(tf.float32, 28).unstack(x)

    def step(t, c, h):
        i, j, f, o = tf.split(tf.matmul(tf.concat([inputs.read(t), h], 1), w) + b, 4, 1)
        c = c * tf.sigmoid(f + 1.0) + tf.sigmoid(i) * tf.tanh(j)
        return t + 1, c, tf.tanh(c) * tf.sigmoid(o)

    zero = tf.zeros([128, size])
    _, _, last = tf.while_loop(lambda t, c, h: t < 28, step, (0, zero, zero))
    logits = tf.matmul(last, tf.Variable(rng.normal(0, 0.1, (size, 10)).astype("f")))
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
    train = tf.train.AdamOptimizer(0.001).minimize(loss)
    session = _started(tf)
    feeds = {x: rng.normal(size=(28, 128, 28)).astype("f"), y: rng.randint(0, 10, 128)}
    return lambda: session.run(train, feeds)


def _whole(tf, optimizer):
    v = tf.Variable(np.zeros((2000, 2000), "f"))
    grad = tf.constant(np.random.RandomState(0).normal(size=(2000, 2000)).astype("f"))
    train = optimizer.apply_gradients([(grad, v)])
    session = _started(tf)
    return lambda: session.run(train)


@program("optimizer: Adam on 4 million parameters", warm_up=5, runs=20)
def _(tf):
    return _whole(tf, tf.train.AdamOptimizer(0.001))


@program("optimizer: RMSProp on 4 million parameters", warm_up=5, runs=20)
def _(tf):
    return _whole(tf, tf.train.RMSPropOptimizer(0.001, momentum=0.9))


@program("optimizer: Ftrl on 4 million parameters", warm_up=5, runs=20)
def _(tf):
    return _whole(tf, tf.train.FtrlOptimizer(0.001, l1_regularization_strength=0.01))


def _rows(tf, optimizer):
    rng = np.random.RandomState(0)
    v = tf.Variable(np.zeros((100_000, 64), "f"))
    at = tf.placeholder(tf.int64, [512])
    rows = tf.constant(rng.normal(size=(512, 64)).astype("f"))
    train = optimizer.apply_gradients([(tf.IndexedSlices(rows, at), v)])
    session, feeds = _started(tf), {at: rng.randint(0, 100_000, 512)}
    return lambda: session.run(train, feeds)


@program("optimizer: SGD on 512 rows of 100,000 x 64", runs=500)
def _(tf):
    return _rows(tf, tf.train.GradientDescentOptimizer(0.01))


@program("optimizer: momentum on 512 rows of 100,000 x 64", runs=500)
def _(tf):
    return _rows(tf, tf.train.MomentumOptimizer(0.01, 0.9))


def _grown(tf, count):
    x = tf.placeholder(tf.float32, [4, 4])
    y = x
    for _ in range(count // 2):
        y = tf.tanh(tf.add(y, x))
    return x, y


@program("build: 10,000 nodes", warm_up=1, runs=3)
def _(tf):
    def build():
        with tf.Graph().as_default():
            _grown(tf, 10_000)

    return build


@program("gradients through 1,000 layers", warm_up=1, runs=3)
def _(tf):
    def build_and_differentiate():
        with tf.Graph().as_default():
            x = h = tf.placeholder(tf.float32, [8, 8])
            w = tf.placeholder(tf.float32, [8, 8])
            for _ in range(1_000):
                h = tf.nn.relu(tf.matmul(h, w))
            tf.gradients(h, [x, w])

    return build_and_differentiate


@program("first run of 10,000 nodes", warm_up=0, runs=3)
def _(tf):
    x, y = _grown(tf, 10_000)
    value = np.zeros((4, 4), np.float32)

    def first_run():
        with _session(tf) as session:
            session.run(y, {x: value})

    return first_run
