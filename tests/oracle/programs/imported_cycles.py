"""import_graph_def of nodes that need each other: loops in any order of nodes and inputs, and cycles that are none."""

KINDS = {"T": "type", "dtype": "type", "N": "i", "frame_name": "s", "is_constant": "b"}


def graph_def(tf, *nodes):
    """Nodes given as name, operation, inputs and attributes; float32 where a type is named."""
    found = tf.GraphDef()
    found.versions.producer = 100
    for name, op, inputs, *attrs in nodes:
        node = found.node.add(name=name, op=op, input=inputs)
        for key, value in dict(attrs).items():
            setattr(node.attr[key], KINDS[key], value)
    return found


F = ("T", 1)
X = ("x", "Placeholder", [], ("dtype", 1))
LOOP = (
    X,
    ("limit", "Placeholder", [], ("dtype", 1)),
    ("enter", "Enter", ["x"], F, ("frame_name", b"loop")),
    ("held", "Enter", ["limit"], F, ("frame_name", b"loop"), ("is_constant", True)),
    ("merge", "Merge", ["enter", "next"], F, ("N", 2)),
    ("less", "Less", ["merge", "held"], F),
    ("goes_on", "LoopCond", ["less"]),
    ("switch", "Switch", ["merge", "goes_on"], F),
    ("exit", "Exit", ["switch"], F),
    ("stay", "Identity", ["switch:1"], F),
    ("double", "AddV2", ["stay", "stay"], F),
    ("next", "NextIteration", ["double"], F),
)


def run(tf, nodes):
    tf.import_graph_def(graph_def(tf, *nodes), name="")
    merge = tf.get_default_graph().get_operation_by_name("merge")
    with tf.Session() as sess:
        value = sess.run("exit:0", {"x:0": 3.0, "limit:0": 100.0})
    return {"value": value, "inputs": [tensor.name for tensor in merge.inputs]}


def case_a_loop(tf):
    return run(tf, LOOP)


def case_a_loop_backwards(tf):
    return run(tf, LOOP[::-1])


def case_a_loop_whose_merge_takes_the_next_value_first(tf):
    changed = [(n, o, i[::-1] if n == "merge" else i, *a) for n, o, i, *a in LOOP]
    return run(tf, changed)


def error_a_node_that_takes_itself(tf):
    tf.import_graph_def(graph_def(tf, X, ("a", "AddV2", ["x", "a"], F)))


def error_a_ring(tf):
    tf.import_graph_def(
        graph_def(tf, X, ("a", "AddV2", ["x", "b"], F), ("b", "AddV2", ["x", "a"], F))
    )


def error_a_ring_of_control(tf):
    tf.import_graph_def(graph_def(tf, ("a", "NoOp", ["^b"]), ("b", "NoOp", ["^a"])))


def error_a_merge_without_a_next_iteration(tf):
    merge = ("m", "Merge", ["x", "b"], F, ("N", 2))
    tf.import_graph_def(graph_def(tf, X, merge, ("b", "Identity", ["m"], F)))


def error_a_merge_that_waits_for_its_next_iteration(tf):
    merge = ("m", "Merge", ["x", "b", "^b"], F, ("N", 2))
    tf.import_graph_def(graph_def(tf, X, merge, ("b", "NextIteration", ["m"], F)))


def error_a_merge_of_nothing_from_outside(tf):
    merge = ("m", "Merge", ["b", "b"], F, ("N", 2))
    tf.import_graph_def(graph_def(tf, merge, ("b", "NextIteration", ["m"], F)))
