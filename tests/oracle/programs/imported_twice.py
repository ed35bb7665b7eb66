"""A MetaGraph imported into graphs that have it already: copies, and a Saver and collections of what was there.

Left out, since they differ on purpose (docs/from-tensorflow.md): how often a variable is in its collections then, and graphs
that have other nodes of the same names.
"""


def written(tf):
    """A small model with values, saved: its prefix."""
    with tf.Graph().as_default(), tf.Session() as sess:
        v = tf.get_variable("v", initializer=[1.0, 2.0], use_resource=False)
        w = tf.get_variable("scope/w", initializer=[5.0], use_resource=True)
        y = tf.add(v, w, name="y")
        tf.add_to_collection("outs", y)
        tf.add_to_collection("numbers", 3)
        tf.add_to_collection("texts", "y")
        sess.run(tf.global_variables_initializer())
        return tf.train.Saver().save(sess, "./m")


def listing(tf):
    found = []
    for op in tf.get_default_graph().get_operations():
        found.append(
            [
                op.name,
                op.type,
                [t.name for t in op.inputs],
                sorted(c.name for c in op.control_inputs),
            ]
        )
    return found


def collections(tf):
    graph = tf.get_default_graph()
    found = {}
    for key in sorted(graph.get_all_collection_keys()):
        members = [getattr(member, "name", member) for member in graph.get_collection(key)]
        found[key] = sorted(set(members)) if "variables" in key else members
    return found


def told(tf, saver):
    names = saver.saver_def
    return [names.filename_tensor_name, names.save_tensor_name, names.restore_op_name]


def case_three_times(tf):
    prefix, savers = written(tf), []
    for _ in range(3):
        savers.append(tf.train.import_meta_graph(f"{prefix}.meta"))
    with tf.Session() as sess:
        savers[2].restore(sess, prefix)
        values = sess.run("y:0")
        names = [tf.constant(0.0, name=name).name for name in ("y", "v", "scope/w")]
        saved = savers[1].save(sess, "./again", write_meta_graph=False)
    return {
        "nodes": listing(tf), "collections": collections(tf), "y": values, "names": names,
        "savers": [told(tf, saver) for saver in savers], "saved": tf.train.list_variables(saved),
    }  # fmt: skip


def case_in_a_scope_entered_again(tf):
    prefix = written(tf)
    savers = [
        tf.train.import_meta_graph(f"{prefix}.meta", import_scope=s) for s in ("q", "q", "q/", "r")
    ]
    with tf.Session() as sess:
        savers[2].restore(sess, prefix)
        values = sess.run("q/y:0")
    return {
        "nodes": listing(tf), "collections": collections(tf), "y": values,
        "savers": [told(tf, saver) for saver in savers],
    }  # fmt: skip


def case_over_the_program_that_made_it(tf):
    def build():
        v = tf.get_variable("v", initializer=[1.0, 2.0], use_resource=False)
        tf.add(v, 1.0, name="y")
        tf.global_variables_initializer()
        return tf.train.Saver()

    with tf.Graph().as_default(), tf.Session() as sess:
        saver = build()
        sess.run("init")
        prefix = saver.save(sess, "./m")
    build()
    tf.add(tf.get_default_graph().get_tensor_by_name("y:0"), 2.0, name="more")
    saver = tf.train.import_meta_graph(f"{prefix}.meta", clear_devices=True)
    with tf.Session() as sess:
        saver.restore(sess, prefix)
        values = sess.run("more:0")
    return {
        "nodes": listing(tf),
        "collections": collections(tf),
        "more": values,
        "saver": told(tf, saver),
    }
