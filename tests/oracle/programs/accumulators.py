"""Accumulators of gradients, dense and rows, and the optimizer that averages the gradients of several replicas."""

import numpy as np

DENSE = [np.array([[1.0, -2.5], [0.3, 4.0]], np.float32) * k for k in (1.0, 0.7, -0.1)]
ROWS = [
    ([0, 3], [[1.0, 2.0], [3.0, 4.0]]),
    ([1, 3], [[0.5, 0.1], [0.7, 0.2]]),
    ([3], [[-1.0, 1.0]]),
]
UNSORTED = [([2, 0, 2], [1.0, 2.0, 5.0]), ([0, 2], [1.5, 0.5]), ([1, 0], [0.1, 0.2])]


def nodes(tf, first=0):
    """Every node from number `first` on: name, type, inputs, control inputs, shapes of outputs."""
    return [
        [op.name, op.type, [t.name for t in op.inputs], sorted(c.name for c in op.control_inputs),
         [str(t.shape) for t in op.outputs], op.device]
        for op in tf.get_default_graph().get_operations()[first:]
        if not op.name.startswith(("report_uninitialized", "gradients"))
    ]  # fmt: skip


def case_dense(tf):
    found = {}
    with tf.Session() as sess:
        for kind in ("MEAN", "SUM"):
            for dtype in (tf.float16, tf.float32, tf.float64):
                gradients = tf.ConditionalAccumulator(dtype, shape=[2, 2], reduction_type=kind)
                for grad in DENSE:
                    sess.run(gradients.apply_grad(grad.astype(dtype.as_numpy_dtype)))
                found[f"{kind} {dtype.name}"] = sess.run(gradients.take_grad(3))
                found[f"{kind} {dtype.name} left"] = sess.run(gradients.num_accumulated())
    return found


def case_dense_nodes(tf):
    gradients = tf.ConditionalAccumulator(tf.float32, [None, 2], name="scope/gradients")
    step = tf.Variable(3, dtype=tf.int64, name="step")
    with tf.name_scope("steps"):
        gradients.apply_grad(DENSE[0], step)
        gradients.apply_grad(DENSE[0], name="given")
        gradients.take_grad(2)
        gradients.num_accumulated()
        gradients.set_global_step(step)
        gradients.set_global_step(5, name="set")
    return {"nodes": nodes(tf), "name": gradients.name, "dtype": gradients.dtype.name}


def case_steps(tf):
    gradients = tf.ConditionalAccumulator(tf.float32, shape=[])
    step = tf.placeholder(tf.int64, [])
    give, count = gradients.apply_grad(1.0, step), gradients.num_accumulated()
    take, begin = gradients.take_grad(1), gradients.set_global_step(step)
    counts = []
    with tf.Session() as sess:
        for kind, number in (
            (give, 0), (take, 0), (give, 0), (give, 1), (give, 9), (begin, 5), (give, 4), (give, 5), (begin, 2), (give, 2),
            (take, 0), (give, 2), (give, 3),
        ):  # fmt: skip
            sess.run(kind, {step: number})
            counts.append(int(sess.run(count)))
    return {"counts": counts}


def case_shape_of_the_first(tf):
    gradients = tf.ConditionalAccumulator(tf.float32)
    grad = tf.placeholder(tf.float32)
    give, take = gradients.apply_grad(grad, local_step=9), gradients.take_grad(2)
    with tf.Session() as sess:
        sess.run(give, {grad: [1.0, 2.0]})
        sess.run(give, {grad: [3.0, 2.0]})
        first = sess.run(take)
        sess.run(give, {grad: 1.0})
        sess.run(give, {grad: 5.0})
        return {"first": first, "second": sess.run(take), "shape": str(take.shape)}


def error_shape_of_the_first(tf):
    gradients = tf.ConditionalAccumulator(tf.float32)
    grad = tf.placeholder(tf.float32)
    give = gradients.apply_grad(grad)
    with tf.Session() as sess:
        sess.run(give, {grad: [1.0, 2.0]})
        sess.run(give, {grad: [1.0, 2.0, 3.0]})


def case_rows(tf):
    found = {}
    with tf.Session() as sess:
        for kind in ("MEAN", "SUM"):
            for label, given, shape in (("sorted", ROWS, [4, 2]), ("unsorted", UNSORTED, [4])):
                gradients = tf.SparseConditionalAccumulator(tf.float32, shape=shape, reduction_type=kind)  # fmt: skip
                for indices, values in given:
                    sess.run(gradients.apply_grad(indices, values, shape))
                taken = sess.run(gradients.take_grad(3))
                found[f"{kind} {label}"] = [taken.indices, taken.values, taken.shape]
    return {f"{key} {i}": part for key, value in found.items() for i, part in enumerate(value)}


def case_rows_without_shape(tf):
    gradients = tf.SparseConditionalAccumulator(tf.float32)
    with tf.Session() as sess:
        sess.run(gradients.apply_grad([5], [[1.0, 2.0]]))
        sess.run(gradients.apply_indexed_slices_grad(tf.IndexedSlices(tf.constant([[3.0, 1.0]]), tf.constant([7], tf.int64))))  # fmt: skip
        taken = sess.run(gradients.take_indexed_slices_grad(2))
    return {"indices": taken.indices, "values": taken.values, "shape": taken.dense_shape}


def case_rows_nodes(tf):
    gradients = tf.SparseConditionalAccumulator(tf.float32, [4, 2])
    with tf.name_scope("steps"):
        gradients.apply_grad([0], [[1.0, 2.0]], [4, 2], 3)
        gradients.apply_grad([0], [[1.0, 2.0]], name="given")
        gradients.take_grad(2)
        gradients.take_indexed_slices_grad(2, name="slices")
        gradients.num_accumulated()
        gradients.set_global_step(5)
    return {"nodes": nodes(tf), "name": gradients.name}


def refusals(tf, shape, *given):
    """Which of the gradients (indices, values, shape) are refused when run, by class and message."""
    found = []
    with tf.Session() as sess:
        gradients = tf.SparseConditionalAccumulator(tf.float32, shape)
        indices, values, whole = (tf.placeholder(t) for t in (tf.int64, tf.float32, tf.int64))
        give = gradients.apply_grad(indices, values, whole)
        for fed in given:
            try:
                sess.run(give, dict(zip((indices, values, whole), fed, strict=True)))
                found.append("taken")
            except tf.errors.OpError as error:
                found.append(type(error).__name__)
    return found


def case_rows_that_do_not_fit(tf):
    row = [[1.0, 2.0]]
    return {"refused": refusals(
        tf, [3, 2], ([0], row, [3, 2]), ([0], row, [4, 2]), ([0], row, [3, 3]), ([5], row, [3, 2]), ([0, 1], row, [3, 2]),
        ([0], [[1.0, 2.0, 3.0]], [3, 2]), ([0], [1.0], [3, 2]), ([[0]], row, [3, 2]), ([], np.zeros((0, 2)), [3, 2]),
        ([0], row, [-1, 2]), ([0], row, 3), ([0], row, []), ([0], 1.0, [3, 2]),
    )}  # fmt: skip


def error_taking_none(tf):
    with tf.Session() as sess:
        sess.run(tf.ConditionalAccumulator(tf.float32, []).take_grad(0))


def error_reduction(tf):
    tf.ConditionalAccumulator(tf.float32, reduction_type="MAX")


def error_strings(tf):
    tf.ConditionalAccumulator(tf.string)


def error_static_shape(tf):
    tf.ConditionalAccumulator(tf.float32, [2]).apply_grad([1.0, 2.0, 3.0])


def error_other_dtype(tf):
    tf.ConditionalAccumulator(tf.float32, [2]).apply_grad(tf.constant([1, 2]))


def error_time_is_over(tf):
    with tf.Session() as sess:
        take = tf.ConditionalAccumulator(tf.float32, []).take_grad(1)
        sess.run(take, options=tf.RunOptions(timeout_in_ms=100))


def synchronized(tf, is_sparse, replicas, total, averages=None):
    step = tf.train.get_or_create_global_step()
    v = tf.get_variable("v", initializer=np.array([[1.0, 2.0], [3.0, 4.0]], np.float32))
    w = tf.get_variable("w", initializer=np.array([1.0, 0.5], np.float32))
    used = tf.nn.embedding_lookup(v, [0, 0]) if is_sparse else v
    loss = tf.reduce_sum(tf.square(used * w))
    optimizer = tf.train.SyncReplicasOptimizer(
        tf.train.MomentumOptimizer(0.01, 0.9), replicas, total, averages, averages and [v]
    )
    train = optimizer.minimize(loss, step)
    runner = optimizer.get_chief_queue_runner()
    return optimizer, train, runner, optimizer.get_init_tokens_op(), [v, w, step]


def steps_of(tf, is_sparse):
    found = {}
    optimizer, train, runner, tokens, values = synchronized(tf, is_sparse, 2, 2)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        found["missing"] = len(sess.run(optimizer.ready_for_local_init_op))
        sess.run([optimizer.chief_init_op, optimizer.local_step_init_op])
        sess.run(tokens)
        for number in range(4):
            for _ in range(2):
                sess.run(optimizer.local_step_init_op)
                sess.run(train)
            sess.run(runner.enqueue_ops)
            found.update({f"{number} {i}": v for i, v in enumerate(sess.run(values))})
    return found


def case_synchronized_dense(tf):
    return steps_of(tf, False)


def case_synchronized_rows(tf):
    return steps_of(tf, True)


def case_synchronized_nodes(tf):
    optimizer, train, runner, tokens, (v, _, _) = synchronized(tf, False, 2, 3)
    keys = sorted(set(tf.get_default_graph().get_all_collection_keys()))
    return {
        "nodes": nodes(tf),
        "train": train.name,
        "tokens": [tokens.name, optimizer.get_init_tokens_op(0).name, optimizer.get_init_tokens_op(7).name],
        "runner": [runner.name, runner.enqueue_ops[0].name, runner.close_op.name, runner.cancel_op.name],
        "init": [optimizer.local_step_init_op.name, optimizer.chief_init_op.name],
        "slots": [optimizer.get_slot_names(), optimizer.get_slot(v, "momentum").name],
        "variables": [slot.name for slot in optimizer.variables()],
        "collections": {key: [member.name for member in tf.get_collection(key)] for key in keys},
    }  # fmt: skip


def error_tokens_before_gradients(tf):
    tf.train.SyncReplicasOptimizer(tf.train.GradientDescentOptimizer(0.1), 1).get_init_tokens_op()


def error_runner_before_gradients(tf):
    tf.train.SyncReplicasOptimizer(
        tf.train.GradientDescentOptimizer(0.1), 1
    ).get_chief_queue_runner()


def error_too_few_tokens(tf):
    optimizer, *_ = synchronized(tf, False, 2, 1)
    optimizer.get_init_tokens_op(0)


def error_no_global_step(tf):
    v = tf.Variable(1.0)
    tf.train.SyncReplicasOptimizer(tf.train.GradientDescentOptimizer(0.1), 1).minimize(v * v)


def error_no_variables(tf):
    tf.train.SyncReplicasOptimizer(tf.train.GradientDescentOptimizer(0.1), 1).apply_gradients([], tf.train.create_global_step())  # fmt: skip
