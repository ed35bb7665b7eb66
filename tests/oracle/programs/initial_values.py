"""Initial values that depend on other variables: reference variables guard them, so that initializers run in any order."""


def variable(tf, value, **options):
    return tf.Variable(value, use_resource=False, **options)


def added(tf, make):
    """What making a variable adds beside its branch, which is built in another way here."""
    graph = tf.get_default_graph()
    before = len(graph.get_operations())
    made = make()
    nodes = [
        [
            op.name,
            op.type,
            [t.name for t in op.inputs],
            [c.name for c in op.control_inputs],
            op.device,
        ]
        for op in graph.get_operations()[before:]
        if "cond" not in op.name
    ]
    return {
        "nodes": nodes,
        "assigned": made.initializer.inputs[1].name,
        "initial": made.initial_value.name,
    }


def initialized_alone(tf, made, *others):
    """Values after the initializer of `made` alone has run, and after all have."""
    with tf.Session() as sess:
        sess.run(made.initializer)
        found = {
            "alone": sess.run(made),
            "others": sess.run([tf.is_variable_initialized(v) for v in others]),
        }
        sess.run([v.assign(v.initial_value * 0.0 + 5.0) for v in others])
        sess.run(made.initializer)
        found["again"] = sess.run(made)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        return {**found, "together": sess.run(made)}


def case_a_product(tf):
    a = variable(tf, [1.0, 2.0], name="a")
    product = a * 2.0
    found = added(tf, lambda: variable(tf, product, name="b"))
    return {**found, **initialized_alone(tf, tf.global_variables()[1], a)}


def case_scopes_and_devices(tf):
    with tf.variable_scope("s"), tf.device("/cpu:0"):
        a = variable(tf, [1.0, 4.0], name="a")
    with tf.name_scope("t"):
        root = tf.sqrt(a * 4.0)
    with tf.variable_scope("u"), tf.device("/cpu:0"), tf.control_dependencies([tf.no_op()]):
        found = added(tf, lambda: variable(tf, root, name="b"))
    return {**found, **initialized_alone(tf, tf.global_variables()[1], a)}


def case_several_variables_used_several_times(tf):
    a = variable(tf, 1.0, name="a")
    b = tf.Variable(3.0, name="b", use_resource=False, collections=["local_variables"])
    both = (a * 2.0 + b) * a + tf.constant(7.0) * 2.0
    found = added(tf, lambda: variable(tf, both, name="c"))
    return {**found, **initialized_alone(tf, tf.global_variables()[1], a, b)}


def case_functions_and_initializers(tf):
    a = variable(tf, 2.0, name="a")
    found = {
        f"function_{key}": value
        for key, value in added(tf, lambda: variable(tf, lambda: a * 2.0, name="b")).items()
    }
    made = added(
        tf,
        lambda: tf.get_variable(
            "c",
            [2],
            initializer=lambda shape, dtype, partition_info=None: tf.fill(shape, a * 3.0),
            use_resource=False,
        ),
    )
    found.update({f"initializer_{key}": value for key, value in made.items()})
    return {**found, **initialized_alone(tf, tf.global_variables()[2], a)}


def case_outputs_and_attributes_are_kept(tf):
    a = variable(tf, [[1.0, 2.0]], name="a")
    part = tf.unstack(tf.matmul(a, a, transpose_a=True))[1]
    found = added(tf, lambda: variable(tf, part, name="b"))
    return {**found, **initialized_alone(tf, tf.global_variables()[1], a)}


def case_parts_of_a_partitioned_variable(tf):
    a = tf.get_variable(
        "a",
        [4],
        partitioner=tf.fixed_size_partitioner(2),
        initializer=tf.ones_initializer(),
        use_resource=False,
    )
    whole = tf.convert_to_tensor(a) * 2.0
    found = added(tf, lambda: variable(tf, whole, name="b"))
    return {**found, **initialized_alone(tf, tf.global_variables()[2], *a)}


def case_what_needs_no_guard(tf):
    unknown = variable(tf, 1.0, name="a", collections=["mine"])
    resource = tf.Variable(1.0, name="r", use_resource=True)
    found = {}
    for name, value in {
        "constant": tf.constant(2.0) * 3.0,
        "of_no_collection": unknown * 2.0,
        "resource": resource * 2.0,
    }.items():
        made = added(tf, lambda: variable(tf, value, name=f"v_{name}"))  # noqa: B023  # called here
        found.update({f"{name}_{key}": value for key, value in made.items()})
    return found


def case_a_variable_of_an_imported_meta_graph(tf):
    with tf.Graph().as_default():
        tf.identity(variable(tf, 3.0, name="a"), name="y")
        meta_graph = tf.train.export_meta_graph()
    tf.train.import_meta_graph(meta_graph)
    y = tf.get_default_graph().get_tensor_by_name("y:0")
    found = added(tf, lambda: variable(tf, y, name="b"))
    return {**found, **initialized_alone(tf, tf.global_variables()[1], tf.global_variables()[0])}
