"""Threads that share a session: no update is lost, no feed reaches another run, no failure does."""

import sys
import threading

import numpy as np
import pytest

import ckpt as tf

THREADS = 6
ROUNDS = 60


@pytest.fixture(autouse=True)
def _impatient():
    """Threads take turns as often as the interpreter allows."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(work, count=THREADS):
    """Call `work(number)` in as many threads at once. Raises what the first of them raised."""
    start, errors = threading.Barrier(count), []

    def run(number):
        start.wait()
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001  # raised again in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a thread hangs"
    if errors:
        raise errors[0]


def descent(v):
    return tf.train.GradientDescentOptimizer(-1.0).apply_gradients([(tf.ones([4]), v)])


def momentum(v):
    return tf.train.MomentumOptimizer(-1.0, 0.0).apply_gradients([(tf.ones([4]), v)])


def descent_of_rows(v):
    rows = tf.IndexedSlices(tf.ones([4]), tf.constant([0, 1, 2, 3]))
    return tf.train.GradientDescentOptimizer(-1.0).apply_gradients([(rows, v)])


UPDATES = {
    "assign_add": lambda v: tf.assign_add(v, tf.ones([4]), use_locking=True),
    "assign_sub": lambda v: tf.assign_sub(v, -tf.ones([4]), use_locking=True),
    "scatter_add": lambda v: tf.scatter_add(v, [0, 1, 2, 3], tf.ones([4]), use_locking=True),
    "scatter_nd_add": lambda v: tf.scatter_nd_add(v, [[0], [1], [2], [3]], tf.ones([4])),
    "descent": descent,
    "descent of rows": descent_of_rows,
    "momentum": momentum,
}


@pytest.mark.parametrize("is_resource", [False, True], ids=["reference", "handle"])
@pytest.mark.parametrize("update", UPDATES.values(), ids=UPDATES)
def test_no_update_is_lost(update, is_resource):
    with tf.Graph().as_default(), tf.Session() as sess:
        v = tf.get_variable("v", initializer=np.zeros(4, np.float32), use_resource=is_resource)
        step = update(v)
        sess.run(tf.global_variables_initializer())
        seen = []

        def work(_):
            for _ in range(ROUNDS):
                sess.run(getattr(step, "op", step))
                seen.append(sess.run(v))

        in_threads(work)
        assert sess.run(v).tolist() == [THREADS * ROUNDS] * 4
    torn = [value.tolist() for value in seen if len(set(value.tolist())) > 1]
    assert not torn, "a reader saw a half-made update"


def test_each_number_is_counted_once():
    with tf.Graph().as_default(), tf.Session() as sess:
        v = tf.get_variable("v", initializer=0)
        count = v.count_up_to(10_000)
        sess.run(tf.global_variables_initializer())
        found = []
        in_threads(lambda _: found.extend(int(sess.run(count)) for _ in range(ROUNDS)))
    assert sorted(found) == list(range(THREADS * ROUNDS))


def test_each_run_sees_its_own_feeds():
    with tf.Graph().as_default(), tf.Session() as sess:
        x, y = tf.placeholder(tf.float32, [3], name="x"), tf.placeholder(tf.float32, [3], name="y")
        middle = x * 2.0
        out = tf.add_n([middle, y, x])

        def work(number):
            own = np.full(3, number, np.float32)
            for turn in range(ROUNDS):
                if (turn + number) % 3:
                    assert sess.run(out, {x: own, y: own * 10}).tolist() == [number * 13] * 3
                else:
                    found = sess.run([out, x], {middle: own, y: own * 10, x: own})
                    assert [f.tolist() for f in found] == [[number * 12] * 3, [number] * 3]

        in_threads(work)
        with pytest.raises(tf.errors.InvalidArgumentError, match="placeholder"):
            sess.run(out)


def test_callables_are_shared():
    with tf.Graph().as_default(), tf.Session() as sess:
        x = tf.placeholder(tf.float32, [])
        square = sess.make_callable(x * x, [x])

        def work(number):
            for _ in range(ROUNDS):
                assert square(number) == number * number

        in_threads(work)


def test_runs_that_fail_leave_others_alone():
    with tf.Graph().as_default(), tf.Session() as sess:
        at = tf.placeholder(tf.int32, [], name="at")
        v = tf.get_variable("v", initializer=np.zeros(4, np.float32))
        picked = tf.gather(tf.constant([1.0, 2.0]), at, name="pick")
        step = tf.scatter_add(v, [at], [picked])
        sess.run(tf.global_variables_initializer())

        def work(number):
            for _ in range(ROUNDS):
                if number % 2:
                    with pytest.raises(tf.errors.InvalidArgumentError, match="pick"):
                        sess.run(step.op, {at: 7})
                else:
                    sess.run(step.op, {at: 1})

        in_threads(work)
        assert sess.run(v).tolist() == [0, THREADS // 2 * ROUNDS * 2, 0, 0]


def test_a_graph_may_grow_while_it_runs():
    with tf.Graph().as_default() as graph, tf.Session() as sess:
        x = tf.placeholder(tf.float32, [], name="x")
        v = tf.get_variable("v", initializer=3.0)
        base = x * v
        sess.run(tf.global_variables_initializer())

        def work(number):
            with graph.as_default():
                for turn in range(ROUNDS // 2):
                    grown = tf.add(base, float(turn), name="grown")
                    assert sess.run(grown, {x: number}) == number * 3 + turn
                    assert sess.run(base, {x: number}) == number * 3

        in_threads(work)
        names = [op.name for op in graph.get_operations()]
        assert len(set(names)) == len(names)
        assert sum(op.type == "AddV2" for op in graph.get_operations()) == THREADS * (ROUNDS // 2)


def test_a_plan_is_made_once_for_all_threads():
    with tf.Graph().as_default(), tf.Session() as sess:
        x = y = tf.placeholder(tf.float32, [])
        for _ in range(200):
            y = tf.sin(y)
        plans = []
        in_threads(lambda _: plans.append(sess.plan(y, [x])))
    assert all(plan is plans[0] for plan in plans)


def test_random_numbers_are_handed_out_once():
    with tf.Graph().as_default(), tf.Session() as sess:
        draw = tf.random_uniform([8], seed=1)
        found = []
        in_threads(lambda _: found.extend(sess.run(draw).tolist() for _ in range(ROUNDS)))
    assert len({tuple(row) for row in found}) == THREADS * ROUNDS


def test_closing_ends_the_runs_of_other_threads():
    with tf.Graph().as_default():
        sess = tf.Session()
        v = tf.get_variable("v", initializer=np.zeros(4, np.float32))
        step = tf.assign_add(v, tf.ones([4]))
        sess.run(tf.global_variables_initializer())
        ended = []

        def work(number):
            for _ in range(ROUNDS if number == 0 else 1_000_000):
                try:
                    sess.run(step.op)
                except (RuntimeError, tf.errors.CancelledError) as error:
                    ended.append(str(error))
                    return
            sess.close()

        in_threads(work)
    assert len(ended) == THREADS - 1
    assert all("closed" in message for message in ended)
