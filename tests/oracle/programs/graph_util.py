"""tf.graph_util: graphs cut, cleaned and frozen."""


def small(tf):
    x = tf.placeholder(tf.float32, [None, 2], name="x")
    v = tf.get_variable("v", [2, 2], initializer=tf.ones_initializer())
    r = tf.get_variable("r", [2], use_resource=True, initializer=tf.ones_initializer())
    y = tf.identity(tf.matmul(x, v) + r, name="y")
    with tf.control_dependencies([y]):
        z = tf.identity(y, name="z")
    return tf.add(z, 1.0, name="out")


def nodes(graph_def):
    return [[n.name, n.op, list(n.input)] for n in graph_def.node]


def case_extract_sub_graph(tf):
    small(tf)
    graph_def = tf.get_default_graph().as_graph_def()
    return {
        "all": nodes(tf.graph_util.extract_sub_graph(graph_def, ["out"])),
        "some": nodes(tf.graph_util.extract_sub_graph(graph_def, ["v/read", "x"])),
    }


def case_remove_training_nodes(tf):
    x = tf.placeholder(tf.float32, [2], name="x")
    i = tf.identity(x, name="i")
    k = tf.identity(tf.identity(i * 2, name="j"), name="k")
    tf.add(k, i, name="o")
    graph_def = tf.get_default_graph().as_graph_def()
    return {
        "all": nodes(tf.graph_util.remove_training_nodes(graph_def)),
        "protected": nodes(tf.graph_util.remove_training_nodes(graph_def, ["k"])),
    }


def case_remove_nodes_that_nothing_takes(tf):
    x = tf.placeholder(tf.float32, [2], name="x")
    y = tf.negative(x, name="y")
    tf.negative(tf.stop_gradient(y, name="stop"), name="behind")
    with tf.control_dependencies([tf.no_op(name="before")]):
        tf.identity(y, name="waits")
    with tf.control_dependencies([tf.identity(y, name="waited_for")]):
        tf.no_op(name="after")
    with tf.colocate_with(tf.identity(y, name="beside")):
        tf.negative(x, name="colocated")
    second = tf.split(tf.identity(tf.identity(y, name="a"), name="b"), 2, name="split")[1]
    tf.identity(tf.negative(tf.identity(second, name="c")), name="last")
    v = tf.get_variable("v", [2], use_resource=False, initializer=tf.zeros_initializer())
    tf.add(v, y, name="read")
    graph_def = tf.get_default_graph().as_graph_def()
    return {
        "all": nodes(tf.graph_util.remove_training_nodes(graph_def)),
        "protected": nodes(tf.graph_util.remove_training_nodes(graph_def, ["last", "b"])),
    }


def case_convert_variables_to_constants(tf):
    out = small(tf)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        graph_def = tf.get_default_graph().as_graph_def()
        before = sess.run(out, {"x:0": [[1.0, 2.0]]})
        frozen = tf.graph_util.convert_variables_to_constants(sess, graph_def, ["out"])
    with tf.Graph().as_default(), tf.Session() as sess:
        (found,) = tf.import_graph_def(frozen, return_elements=["out:0"])
        after = sess.run(found, {"import/x:0": [[1.0, 2.0]]})
    return {"before": before, "after": after, "nodes": nodes(frozen)}


def case_where_nodes_run(tf):
    small(tf)
    graph_def = tf.get_default_graph().as_graph_def()
    return {
        "plain": [n.name for n in graph_def.node if tf.graph_util.must_run_on_cpu(n)],
        "pinned": [n.name for n in graph_def.node if tf.graph_util.must_run_on_cpu(n, True)],
        "shape": str(tf.graph_util.tensor_shape_from_node_def_name(tf.get_default_graph(), "out")),
    }


def error_one_name_is_no_list(tf):
    small(tf)
    tf.graph_util.extract_sub_graph(tf.get_default_graph().as_graph_def(), "out")


def error_unknown_output(tf):
    small(tf)
    tf.graph_util.extract_sub_graph(tf.get_default_graph().as_graph_def(), ["nothing"])


def error_no_graph(tf):
    tf.graph_util.extract_sub_graph(3, ["out"])
