"""import_graph_def into graphs that have some of the names already: what becomes of names, inputs, colocation, elements."""


def graph_def(tf, build):
    with tf.Graph().as_default() as graph:
        build(tf)
    return graph.as_graph_def()


def small(tf):
    a = tf.constant(1.0, name="a")
    tf.constant(2.0, name="a_1")
    waited = tf.no_op(name="n")
    tf.constant(3.0, name="a/x")
    with tf.control_dependencies([waited]):
        b = tf.identity(a, name="b")
    with tf.colocate_with(a):
        c = tf.add(a, b, name="c")
    with tf.name_scope("s"):
        tf.multiply(c, c, name="d")
    tf.add(a, b, name="n/q")


def listing(tf):
    return [
        [
            op.name,
            op.type,
            [t.name for t in op.inputs],
            [c.name for c in op.control_inputs],
            op.device,
            [group.decode() for group in op.get_attr("_class")]
            if "_class" in op.node_def.attr
            else [],
        ]
        for op in tf.get_default_graph().get_operations()
    ]


def outcome(tf, elements=()):
    return {"nodes": listing(tf), "elements": [element.name for element in elements or ()]}


def case_three_times_without_a_scope(tf):
    given = graph_def(tf, small)
    found = []
    for _ in range(3):
        found += tf.import_graph_def(given, name="", return_elements=["a", "a_1:0", "a/x", "s/d"])
    with tf.Session() as sess:
        values = sess.run([t if isinstance(t, tf.Tensor) else t.outputs[0] for t in found])
    return {**outcome(tf, found), "values": values}


def case_some_names_are_there(tf):
    tf.constant(5.0, name="a")
    tf.no_op(name="n")
    tf.constant(5.0, name="s/d")
    found = tf.import_graph_def(
        graph_def(tf, small), name="", return_elements=["a", "a_1", "n/q:0", "s/d:0"]
    )
    return outcome(tf, found)


def case_names_are_scopes_of_others(tf):
    tf.constant(5.0, name="c/deep/er")
    tf.constant(5.0, name="n/q/r")
    tf.import_graph_def(graph_def(tf, small), name="")
    return outcome(tf)


def case_scopes_without_nodes_are_no_names(tf):
    with tf.name_scope("c"):
        pass
    tf.import_graph_def(graph_def(tf, small), name="")
    return outcome(tf)


def case_names_that_differ_in_case_only(tf):
    tf.constant(5.0, name="A")
    tf.import_graph_def(graph_def(tf, small), name="")
    tf.constant(5.0, name="B")
    return outcome(tf)


def case_names_afterwards(tf):
    given = graph_def(tf, small)
    tf.import_graph_def(given, name="")
    tf.import_graph_def(given, name="")
    names = [tf.constant(1.0, name=name).name for name in ("a", "a_1", "s/d", "n")]
    with tf.name_scope("s") as scope:
        return {"names": [*names, scope]}


def case_the_empty_name_is_the_root_also_in_a_scope(tf):
    with tf.name_scope("x"):
        tf.constant(5.0, name="a")
        tf.import_graph_def(graph_def(tf, small), name="")
        tf.constant(5.0, name="a")
    return outcome(tf)


def case_a_scope_entered_again(tf):
    given = graph_def(tf, small)
    for _ in range(2):
        tf.import_graph_def(given, name="q/")
    tf.import_graph_def(given, name="q")
    tf.import_graph_def(given)
    tf.import_graph_def(given)
    return outcome(tf)


def case_inputs_are_mapped(tf):
    given = graph_def(tf, small)
    x = tf.constant(7.0, name="x")
    found = tf.import_graph_def(
        given, name="", input_map={"a:0": x}, return_elements=["a:0", "a", "c:0"]
    )
    found += tf.import_graph_def(given, input_map={"a": x}, return_elements=["a:0", "c:0"])
    return outcome(tf, found)


def case_values_are_made_inputs(tf):
    found = tf.import_graph_def(
        graph_def(tf, small), input_map={"a:0": 8.0, "b:0": [1.0, 2.0]}, return_elements=["c:0"]
    )
    with tf.Session() as sess:
        return {**outcome(tf, found), "c": sess.run(found[0])}


def case_within_scopes_of_all_kinds(tf):
    before = tf.no_op(name="before")
    with tf.control_dependencies([before]), tf.device("/cpu:0"):
        tf.import_graph_def(graph_def(tf, small), name="")
    return outcome(tf)


def error_values_without_a_scope(tf):
    tf.import_graph_def(graph_def(tf, small), name="", input_map={"a:0": 8.0})


def error_a_key_that_is_no_string(tf):
    tf.import_graph_def(graph_def(tf, small), input_map={3: tf.constant(8.0)})


def error_an_operation_as_input(tf):
    tf.import_graph_def(graph_def(tf, small), input_map={"^n": tf.no_op()})


def error_unknown_elements(tf):
    tf.import_graph_def(graph_def(tf, small), return_elements=["nope"])


def error_an_output_too_many(tf):
    tf.import_graph_def(graph_def(tf, small), return_elements=["a:3"])


def error_elements_that_are_no_strings(tf):
    tf.import_graph_def(graph_def(tf, small), return_elements=[3])


def error_no_graph_def(tf):
    tf.import_graph_def("graph")


def error_a_name_twice_in_the_definition(tf):
    given = graph_def(tf, small)
    given.node.add().CopyFrom(given.node[0])
    tf.import_graph_def(given, name="")
