"""The nodes that a Saver adds, and what it refuses to save.

Left out: reads of parts that are resource variables (TensorFlow 2 adds a node that TensorFlow 1 has not), and
restore_sequentially (TensorFlow 2 reads all at once; here each variable is read when the one before is assigned).
"""


def listing(tf, **arguments):
    """The nodes that a Saver adds with their wiring, devices and constants, and its SaverDef."""
    before = len(tf.get_default_graph().get_operations())
    saver = tf.train.Saver(**arguments)
    if arguments.get("defer_build"):
        saver.build()
    ops = tf.get_default_graph().get_operations()[before:]
    attrs = {op.name: op.node_def.attr for op in ops}
    saver_def = saver.as_saver_def()
    return {
        "ops": [[op.name, op.type, op.device] for op in ops],
        "wiring": [
            [op.name, [x.name for x in op.inputs], sorted(c.name for c in op.control_inputs)]
            for op in ops
        ],
        "texts": [
            [op.name, [str(s) for s in attrs[op.name]["value"].tensor.string_val]]
            for op in ops
            if op.type == "Const"
        ],
        "colocated": [
            [op.name, sorted(s.decode() for s in attrs[op.name]["_class"].list.s)]
            for op in ops
            if "_class" in attrs[op.name]
        ],
        "names": [
            saver_def.filename_tensor_name,
            saver_def.save_tensor_name,
            saver_def.restore_op_name,
        ],
        "settings": [
            saver_def.max_to_keep,
            saver_def.sharded,
            saver_def.keep_checkpoint_every_n_hours,
            saver_def.version,
        ],
    }


def variable(tf, name="a", use_resource=False):
    return tf.get_variable(name, initializer=[1.0, 2.0], use_resource=use_resource)


def parts(tf, name="p"):
    return tf.get_variable(
        name,
        [5, 1],
        partitioner=tf.fixed_size_partitioner(2),
        use_resource=False,
    )


def on_devices(tf):
    for name, place in (("a", "/cpu:0"), ("b", "/cpu:1"), ("c", "/job:ps/task:1/cpu:1")):
        with tf.device(place):
            variable(tf, name, use_resource=name == "b")
    variable(tf, "d")
    variable(tf, "e", use_resource=True)


def case_reference_and_resource(tf):
    variable(tf, "b", use_resource=True)
    variable(tf, "a")
    variable(tf, "c", use_resource=True)
    return listing(tf)


def case_parts(tf):
    variable(tf, "z")
    parts(tf)
    return listing(tf)


def case_parts_by_name(tf):
    return listing(tf, var_list={"q": parts(tf), "a": variable(tf)})


def case_reshape(tf):
    variable(tf, "a", use_resource=True)
    variable(tf, "b")
    tf.Variable(1.0, validate_shape=False, name="c", use_resource=False)
    return listing(tf, reshape=True)


def case_devices(tf):
    on_devices(tf)
    return listing(tf)


def case_sharded(tf):
    on_devices(tf)
    return listing(tf, sharded=True)


def case_sharded_on_one_device(tf):
    variable(tf)
    return listing(tf, sharded=True)


def case_sharded_and_reshaped(tf):
    on_devices(tf)
    return listing(tf, sharded=True, reshape=True)


def case_settings(tf):
    variable(tf)
    return listing(tf, name="my", filename="zz", max_to_keep=None, keep_checkpoint_every_n_hours=2)


def case_several_savers(tf):
    variable(tf)
    tf.train.Saver()
    with tf.name_scope("inner"):
        tf.train.Saver(name="")
        return listing(tf)


def case_tables(tf):
    lookup = getattr(tf.lookup, "experimental", tf.lookup)
    lookup.MutableHashTable(tf.string, tf.int64, -1, name="t")
    lookup.MutableHashTable(tf.string, tf.int64, -1, name="not", checkpoint=False)
    variable(tf)
    return listing(tf)


def case_deferred(tf):
    variable(tf)
    return listing(tf, defer_build=True)


def case_in_and_out_of_scopes(tf):
    with tf.name_scope("scope"):
        variable(tf)
        saver = tf.train.Saver()
    inside, outside = saver.to_proto("scope"), saver.to_proto("elsewhere")
    fields = ("filename_tensor_name", "save_tensor_name", "restore_op_name")
    found = [getattr(inside, field) for field in fields]
    again = tf.train.Saver.from_proto(inside, import_scope="scope").as_saver_def()
    return {
        "inside": found,
        "outside": str(outside),
        "again": [getattr(again, field) for field in fields],
    }


def error_nothing(tf):
    tf.train.Saver()


def error_empty_list(tf):
    tf.train.Saver([])


def error_no_list(tf):
    tf.train.Saver(variable(tf))


def error_parts_as_list(tf):
    tf.train.Saver(parts(tf))


def error_constant(tf):
    tf.train.Saver([tf.constant(1.0)])


def error_read_of_a_reference(tf):
    tf.train.Saver([variable(tf).value()])


def error_one_twice(tf):
    a = variable(tf)
    tf.train.Saver([a, a])


def error_two_names(tf):
    a = variable(tf)
    tf.train.Saver({"a": a, "b": a})


def error_number_as_name(tf):
    tf.train.Saver({3: variable(tf)})


def error_constant_by_name(tf):
    tf.train.Saver({"a": tf.constant(1.0)})


def error_whole_among_parts(tf):
    tf.train.Saver([*parts(tf), tf.Variable([1.0], name="p", use_resource=False)])


def error_wholes_as_parts(tf):
    tf.train.Saver({"a": [variable(tf)]})


def error_constants_as_parts(tf):
    tf.train.Saver({"a": [tf.constant(1.0)]})


def error_parts_of_two(tf):
    tf.train.Saver({"a": [next(iter(parts(tf, "p"))), next(iter(parts(tf, "q")))]})


def error_deferred_with_variables(tf):
    tf.train.Saver([variable(tf)], defer_build=True)


def error_save_before_build(tf):
    with tf.Session() as sess:
        tf.train.Saver(defer_build=True).save(sess, "nowhere/m")


def error_no_session(tf):
    variable(tf)
    tf.train.Saver().save("sess", "m")


def error_restore_from_none(tf):
    variable(tf)
    with tf.Session() as sess:
        tf.train.Saver().restore(sess, None)


def error_restore_from_nowhere(tf):
    variable(tf)
    with tf.Session() as sess:
        tf.train.Saver().restore(sess, "no/such/checkpoint")
