"""How graphs name their operations: scopes, repeats, operators, slices, and what each function builds.

Each case builds a graph and lists it. Gradient subgraphs are not compared, and nothing runs: values of random
initialisers are another program's subject.
"""

import numpy as np


def listing(tf, kept=lambda op: True):
    """Operations in order of creation: names and types, wiring, and what is known of the outputs."""
    ops = [op for op in tf.get_default_graph().get_operations() if kept(op)]
    return {
        "ops": [[op.name, op.type] for op in ops],
        "wiring": [
            [op.name, [x.name for x in op.inputs], sorted(c.name for c in op.control_inputs)]
            for op in ops
        ],
        "outputs": [
            [t.name, t.dtype.name, None if t.shape.dims is None else t.shape.as_list()]
            for op in ops
            for t in op.outputs
        ],
    }


def case_repeated_names(tf):
    for _ in range(3):
        tf.constant(1.0, name="c")
    tf.constant(1.0, name="c_1")
    tf.constant(1.0, name="C")
    tf.placeholder(tf.float32)
    tf.placeholder(tf.float32)
    return listing(tf)


def case_name_scopes(tf):
    with tf.name_scope("a") as first:
        tf.constant(1, name="x")
        with tf.name_scope("b"):
            tf.constant(2, name="x")
        with tf.name_scope("b"):
            tf.constant(3, name="x")
    with tf.name_scope("a") as second:
        tf.constant(4, name="x")
    with tf.name_scope(first):
        tf.constant(5, name="x")
        tf.constant(6, name="y")
    with tf.name_scope("a"), tf.name_scope(None):
        tf.constant(7, name="outside")
    with tf.name_scope(""):
        tf.constant(8, name="root")
    with tf.name_scope("a/deep"):
        tf.constant(9, name="x")
    with tf.name_scope(None, "default", []) as third:
        tf.constant(10, name="x")
    return {**listing(tf), "scopes": [first, second, third]}


def error_name_with_a_space(tf):
    return {"name": tf.constant(1.0, name="no spaces").name}


def error_scope_name_with_an_underscore_first(tf):
    with tf.name_scope("_first"):
        return {"name": tf.constant(1.0).name}


def case_unique_name(tf):
    graph = tf.get_default_graph()
    names = [graph.unique_name("u") for _ in range(3)]
    names.append(graph.unique_name("u", mark_as_used=False))
    names.append(graph.unique_name("u", mark_as_used=False))
    with tf.name_scope("s"):
        names.append(graph.unique_name("u"))
        names.append(graph.get_name_scope())
    return {"names": names}


def case_operators_on_tensors(tf):
    a = tf.placeholder(tf.float32, [2, 3], name="a")
    b = tf.placeholder(tf.float32, [2, 3], name="b")
    c = tf.placeholder(tf.float32, [3, None], name="c")
    with tf.name_scope("both"):
        results = [a + b, a - b, a * b, a / b, a // b, a % b, a**b, a @ c, -a, abs(a)]
    with tf.name_scope("left"):
        results += [a + 1.0, a - 1, a * 2, a / np.float32(2)]
    with tf.name_scope("right"):
        results += [1.0 + a, 1 - a, 2 * a, 1 / a]
    with tf.name_scope("compared"):
        results += [a < b, a <= b, a > 1.0, a >= b]
    return {**listing(tf), "results": [t.name for t in results]}


def case_operators_on_integers_and_booleans(tf):
    i = tf.placeholder(tf.int32, [4], name="i")
    p = tf.placeholder(tf.bool, [4], name="p")
    results = [i / 2, i // 2, i % 3, i * i, -i, ~p, p & (i > 1), p | p, p ^ p]
    return {**listing(tf), "results": [[t.name, t.dtype.name] for t in results]}


def case_named_functions(tf):
    a = tf.placeholder(tf.float32, [None, 3], name="a")
    b = tf.constant([1.0, 2.0, 3.0], name="b")
    results = [
        tf.add(a, b),
        tf.subtract(a, b),
        tf.multiply(a, b),
        tf.divide(a, b),
        tf.div(a, b),
        tf.maximum(a, b),
        tf.square(a),
        tf.sqrt(a),
        tf.exp(a),
        tf.log(a),
        tf.tanh(a),
        tf.sigmoid(a),
        tf.equal(a, b),
        tf.greater(a, b),
        tf.negative(a, name="minus"),
        tf.identity(a),
        tf.cast(a, tf.int32),
        tf.cast(a, tf.float32),
        tf.zeros_like(a),
        tf.ones_like(a),
        tf.shape(a),
        tf.nn.softmax(a),
        tf.nn.relu(a),
    ]
    return {**listing(tf), "results": [t.name for t in results]}


def case_slices(tf):
    a = tf.placeholder(tf.float32, [None, 8, 4], name="a")
    n = tf.placeholder(tf.int32, [], name="n")
    results = [a[0], a[:, 1], a[..., -1], a[1:3, ::2], a[:, tf.newaxis], a[:n], a[n], a[0][1]]
    results.append(tf.shape(a)[0])
    return {**listing(tf), "results": [[t.name, str(t.shape)] for t in results]}


def case_reductions(tf):
    a = tf.placeholder(tf.float32, [None, 8, 4], name="a")
    unknown = tf.placeholder(tf.float32, name="unknown")
    results = [
        tf.reduce_sum(a),
        tf.reduce_mean(a, 1),
        tf.reduce_max(a, [0, 2]),
        tf.reduce_min(a, -1, keepdims=True),
        tf.reduce_prod(a, axis=0, name="product"),
        tf.reduce_mean(unknown),
        tf.reduce_any(a > 0.0),
        tf.reduce_all(a > 0.0, axis=1),
        tf.argmax(a, 1),
    ]
    return {**listing(tf), "results": [[t.name, str(t.shape)] for t in results]}


def case_constants(tf):
    results = [
        tf.constant(1),
        tf.constant(1.5),
        tf.constant([True, False]),
        tf.constant("text"),
        tf.constant(0.0, shape=[2, 2]),
        tf.constant([1, 2, 3], tf.int64),
        tf.constant(np.arange(3.0)),
        tf.zeros([2, 3]),
        tf.ones([2], tf.int32),
        tf.fill([2, 2], 3.0),
        tf.convert_to_tensor(2.0, name="converted"),
        tf.reshape(tf.zeros([4]), [2, -1]),
        tf.zeros(tf.stack([2, 3])),
        tf.range(5),
        tf.concat([tf.zeros([2, 1]), tf.ones([2, 1])], axis=1),
        tf.transpose(tf.zeros([2, 3])),
        tf.expand_dims(tf.zeros([2]), 0),
        tf.squeeze(tf.zeros([1, 2])),
    ]
    return {**listing(tf), "results": [[t.name, t.dtype.name, str(t.shape)] for t in results]}


def case_variables(tf):
    v = tf.Variable(1.0, name="v")
    again = tf.Variable([1, 2], name="v")
    unnamed = tf.Variable(np.zeros([2, 2]), trainable=False)
    made = [
        v.name,
        again.name,
        unnamed.name,
        tf.assign(v, 2.0).name,
        v.assign_add(1.0).name,
        tf.assign_sub(again, [1, 1], name="less").name,
        (v + 1.0).name,
        (2.0 * unnamed.dtype.base_dtype.as_numpy_dtype(1) * unnamed).name,
        v.initializer.name,
        v.initial_value.name,
        v.value().name,
        v.read_value().name,
        tf.global_variables_initializer().name,
        tf.variables_initializer([v], name="some").name,
    ]
    collections = {
        key: [x.name for x in tf.get_collection(key)] for key in tf.get_default_graph().get_all_collection_keys()
    }  # fmt: skip
    return {**listing(tf), "made": made, "collections": collections}


def case_get_variable(tf):
    """Variable scopes and their name scopes: opened twice, reused, passed as an object."""
    names = []
    with tf.variable_scope("s") as scope:
        names.append(tf.get_variable("w", [2, 2], initializer=tf.zeros_initializer()).name)
        names.append(tf.constant(1.0, name="c").name)
    with tf.variable_scope("s"):
        names.append(tf.get_variable("b", [2], initializer=tf.ones_initializer()).name)
        names.append(tf.constant(1.0, name="c").name)
    with tf.variable_scope(scope, reuse=True):
        names.append(tf.get_variable("w", [2, 2]).name)
        names.append(tf.constant(1.0, name="c").name)
        with tf.variable_scope("inner", reuse=tf.AUTO_REUSE) as inner:
            names.append(inner.name)
            names.append(inner.original_name_scope)
    with tf.variable_scope("s", reuse=tf.AUTO_REUSE):
        names.append(tf.get_variable("w", [2, 2]).name)
        names.append(tf.get_variable("auto", initializer=tf.constant([1.0, 2.0])).name)
    with tf.variable_scope(None, default_name="layer"):
        names.append(tf.get_variable("w", [1], initializer=tf.constant_initializer(3.0)).name)
    with tf.variable_scope(None, default_name="layer"):
        names.append(tf.get_variable("w", [1], initializer=tf.constant_initializer(3.0)).name)
    return {**listing(tf), "names": names}


def error_get_variable_twice(tf):
    tf.get_variable("w", [2])
    return {"name": tf.get_variable("w", [2]).name}


def error_get_variable_reuses_only_what_exists(tf):
    with tf.variable_scope("s", reuse=True):
        return {"name": tf.get_variable("w", [2]).name}


def error_get_variable_reuses_only_the_same_shape(tf):
    with tf.variable_scope("s", reuse=tf.AUTO_REUSE):
        tf.get_variable("w", [2])
        return {"name": tf.get_variable("w", [3]).name}


def case_random_initializers(tf):
    with tf.variable_scope("r"):
        tf.get_variable("default", [3, 4])
        tf.get_variable("uniform", [2], initializer=tf.random_uniform_initializer(-1.0, 1.0))
        tf.get_variable("normal", [2], initializer=tf.random_normal_initializer(0.0, 0.1))
        tf.get_variable("cut", [2], initializer=tf.truncated_normal_initializer(stddev=0.1))
    tf.random_uniform([2], 0.0, 1.0)
    tf.random_normal([2], seed=1)
    tf.truncated_normal([2, 2], name="cut")
    return listing(tf)


def case_control_dependencies(tf):
    a = tf.constant(1.0, name="a")
    b = tf.constant(2.0, name="b")
    with tf.control_dependencies([a]):
        tf.identity(b, name="after_a")
        with tf.control_dependencies([b.op]):
            tf.constant(3.0, name="after_both")
            tf.identity(a, name="input_is_enough")
        with tf.control_dependencies(None):
            tf.no_op(name="free")
        tf.no_op()
    tf.group(a, b, name="grouped")
    tf.group(a.op)
    tf.tuple([a, b], name="together")
    return listing(tf)


def case_dense_layers_by_hand(tf):
    def dense(x, size):
        with tf.variable_scope(None, default_name="dense"):
            shape = [x.shape.as_list()[-1], size]
            kernel = tf.get_variable("kernel", shape, initializer=tf.zeros_initializer())
            bias = tf.get_variable("bias", [size], initializer=tf.zeros_initializer())
            return tf.nn.bias_add(tf.matmul(x, kernel), bias)

    x = tf.placeholder(tf.float32, [None, 4], name="x")
    y = tf.placeholder(tf.int64, [None], name="y")
    logits = dense(tf.nn.relu(dense(x, 8)), 3)
    tf.nn.softmax(logits, name="probabilities")
    loss = tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits), name="loss"
    )
    return {**listing(tf), "loss": loss.name}


def case_convolutions(tf):
    x = tf.placeholder(tf.float32, [None, 8, 8, 3], name="x")
    kernel = tf.zeros([3, 3, 3, 5])
    same = tf.nn.conv2d(x, kernel, [1, 2, 2, 1], "SAME")
    valid = tf.nn.conv2d(x, kernel, [1, 1, 1, 1], "VALID", name="narrow")
    pools = [tf.nn.max_pool(x, [1, 3, 3, 1], [1, 2, 2, 1], "SAME"),
             tf.nn.avg_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], "VALID")]  # fmt: skip
    return {**listing(tf), "results": [str(t.shape) for t in [same, valid, *pools]]}


def case_optimizers(tf):
    """What training adds to a graph, except the gradients themselves."""
    w = tf.get_variable("w", [2, 2], initializer=tf.zeros_initializer())
    loss = tf.reduce_sum(tf.square(w), name="loss")
    step = tf.train.get_or_create_global_step()
    for optimizer in [
        tf.train.GradientDescentOptimizer(0.1),
        tf.train.MomentumOptimizer(0.1, 0.9),
        tf.train.AdamOptimizer(),
    ]:
        pairs = optimizer.compute_gradients(loss, [w])
        optimizer.apply_gradients(pairs, global_step=step)
    found = listing(tf, kept=lambda op: not op.name.startswith("gradients"))
    found.pop("wiring")  # names operations of the gradients
    return {**found, "step": [step.name, step.dtype.name]}


def case_saver(tf):
    """The operations that a Saver adds, twice."""
    tf.get_variable("b", [2], initializer=tf.zeros_initializer())
    tf.get_variable("a", [2, 3], tf.float64, tf.zeros_initializer())
    first = tf.train.Saver()
    second = tf.train.Saver({"other": tf.global_variables()[0]}, name="second")
    defs = [saver.as_saver_def() for saver in (first, second)]
    return {
        **listing(tf),
        "names": [
            [d.filename_tensor_name, d.save_tensor_name, d.restore_op_name, d.max_to_keep]
            for d in defs
        ],
    }


def case_where_the_nodes_of_variables_are(tf):
    """Devices and colocation groups, of variables of both kinds, with slots and caches."""
    zeros = tf.zeros_initializer()
    for kind, is_resource in (("ref", False), ("res", True)):
        more = {"initializer": zeros, "use_resource": is_resource}
        plain = tf.get_variable(f"{kind}_plain", [2], **more)
        with tf.device("/cpu:1"):
            beside = tf.constant(1.0, name=f"{kind}_beside")
            tf.get_variable(f"{kind}_placed", [2], **more)
        with tf.device("/cpu:0"):
            tf.get_variable(f"{kind}_cached", [2], caching_device="/cpu:1", **more)
        with tf.colocate_with(beside):
            tf.get_variable(f"{kind}_colocated", [2], **more)
        tf.train.MomentumOptimizer(0.1, 0.9).apply_gradients([(tf.ones([2]), plain)])
    return {
        n.name: [n.device, *(str(s) for s in n.attr["_class"].list.s if "_class" in n.attr)]
        for n in tf.get_default_graph().as_graph_def().node
    }


def case_names_that_an_import_takes(tf):
    taken = {}
    for name in (
        *(
            "x",
            "x/",
            "a//b",
            "a/b.c-d>e_",
            ".x",
            "0",
            "-x",
            "_x",
            "/x",
            ">x",
        ),  # a backslash can be given, but not imported again
        *("", "x:1", "x:0", "^x", "x^", "a b", "x\n", "a\nb", "é", "x,y", "x@y"),
    ):
        graph_def = tf.GraphDef()
        graph_def.node.add(name=name, op="NoOp")
        for scope in ("", "in"):
            with tf.Graph().as_default() as graph:
                try:
                    tf.import_graph_def(graph_def, name=scope)
                except ValueError as error:
                    taken[f"{scope} {name!r}"] = str(error)
                else:
                    taken[f"{scope} {name!r}"] = [op.name for op in graph.get_operations()]
    return {"taken": taken}
