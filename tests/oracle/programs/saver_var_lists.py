"""Every form of a Saver's var_list: under which names values are saved, into what they are restored, what is refused.

Left out: what TensorFlow refuses with an AttributeError by accident (None, numbers, arrays), which is a TypeError here, and
names, which are selectors here.
"""

import numpy as np


def variable(tf, name, resource, shape=(2,), **options):
    return tf.get_variable(name, list(shape), use_resource=resource, **options)


def parts(tf, name, resource, number=2, shape=(4, 2)):
    cut = tf.fixed_size_partitioner(number)
    return variable(tf, name, resource, shape, partitioner=cut)


def table(tf):
    """What saves a table, from the collection of such objects."""
    module = getattr(tf.lookup, "experimental", tf.lookup)
    module.MutableHashTable(tf.string, tf.int64, -1, name="t")
    return tf.get_collection(tf.GraphKeys.SAVEABLE_OBJECTS)


FORMS = {
    "list": lambda tf, r: [variable(tf, "a", r), variable(tf, "b", r)],
    "tuple": lambda tf, r: (variable(tf, "a", r),),
    "set": lambda tf, r: {variable(tf, "a", r)},
    "generator": lambda tf, r: (v for v in [variable(tf, "a", r)]),
    "dict": lambda tf, r: {"x": variable(tf, "a", r), "x/y": variable(tf, "b", r)},
    "dict of a list": lambda tf, r: {"x": [variable(tf, "a", r)]},
    "bytes as name": lambda tf, r: {b"x": variable(tf, "a", r)},
    "name with a slash": lambda tf, r: {"/x": variable(tf, "a", r)},
    "odd name": lambda tf, r: {"ü x\n": variable(tf, "a", r)},
    "name with a colon": lambda tf, r: {"x:0": variable(tf, "a", r)},
    "names of two cases": lambda tf, r: {"x": variable(tf, "a", r), "X": variable(tf, "b", r)},
    "variable as name": lambda tf, r: {variable(tf, "a", r): "a"},
    "value": lambda tf, r: [variable(tf, "a", r).value()],
    "read": lambda tf, r: [variable(tf, "a", r).read_value()],
    "tensor": lambda tf, r: [tf.convert_to_tensor(variable(tf, "a", r))],
    "identity": lambda tf, r: [tf.identity(variable(tf, "a", r))],
    "operation": lambda tf, r: [variable(tf, "a", r).op],
    "slice": lambda tf, r: [variable(tf, "a", r)[0:1]],
    "placeholder": lambda tf, r: [tf.placeholder(tf.float32)],
    "parts": lambda tf, r: list(parts(tf, "p", r)),
    "first part": lambda tf, r: list(parts(tf, "p", r))[:1],
    "parts reversed": lambda tf, r: list(parts(tf, "p", r))[::-1],
    "partitioned in a list": lambda tf, r: [parts(tf, "p", r)],
    "partitioned by name": lambda tf, r: {"x": parts(tf, "p", r)},
    "parts by name": lambda tf, r: {"x": list(parts(tf, "p", r))},
    "tuple of parts": lambda tf, r: {"x": tuple(parts(tf, "p", r))},
    "part by name": lambda tf, r: {"x": list(parts(tf, "p", r))[1]},
    "parts and another": lambda tf, r: [*parts(tf, "p", r), variable(tf, "a", r)],
    "a part twice": lambda tf, r: list(parts(tf, "p", r))[:1] * 2,
    "two of one name": lambda tf, r: [
        variable(tf, "a", r), tf.Variable(1.0, name="a", use_resource=r), tf.Variable(1.0, name="a_1", use_resource=r)
    ],
    "everything": lambda tf, r: [variable(tf, "a", r), table(tf), None][-1],
    "lists in a list": lambda tf, r: [[variable(tf, "b", r)], (variable(tf, "a", r), [parts(tf, "p", r)])],
    "a dict in a list": lambda tf, r: [{"x": variable(tf, "a", r)}, variable(tf, "b", r)],
    "parts in lists": lambda tf, r: [[part] for part in parts(tf, "p", r)],
    "a table": lambda tf, r: table(tf),
    "a table by name": lambda tf, r: {"q": table(tf)[0]},
}  # fmt: skip


def case_forms(tf):
    def saved(form, resource):
        with tf.Graph().as_default():
            members = form(tf, resource)
            sess = tf.Session()
            sess.run([tf.global_variables_initializer(), tf.tables_initializer()])
            path = tf.train.Saver(members).save(sess, "m", write_meta_graph=False)
            return [[name, list(shape)] for name, shape in tf.train.list_variables(path)]

    return {
        f"{name}, {resource}": lambda form=form, resource=resource: saved(form, resource)
        for name, form in FORMS.items()
        for resource in (False, True)
    }


TARGETS = {
    "itself": lambda tf, r: [variable(tf, "a", r, (3, 2))],
    "another name": lambda tf, r: {"a": variable(tf, "z", r, (3, 2))},
    "two parts": lambda tf, r: list(parts(tf, "a", r, 2, (3, 2))),
    "three parts of another name": lambda tf, r: {"a": list(parts(tf, "q", r, 3, (3, 2)))},
    "one part": lambda tf, r: list(parts(tf, "a", r, 2, (3, 2)))[1:],
    "parts of another size": lambda tf, r: list(parts(tf, "a", r, 2, (5, 2))),
    "another beside it": lambda tf, r: [variable(tf, "a", r, (3, 2)), variable(tf, "gone", r)],
    "all": lambda tf, r: [variable(tf, "a", r, (3, 2)), variable(tf, "b", r, (), dtype=tf.int32)],
}
OPTIONS = {
    "": {},
    ", sequentially": {"restore_sequentially": True},
    ", sharded": {"sharded": True},
    ", sharded and reshaped": {"sharded": True, "reshape": True},
}


def case_targets(tf):
    with tf.Graph().as_default():
        held = np.arange(6, dtype=np.float32).reshape(3, 2)
        tf.get_variable("a", initializer=held, use_resource=False)
        tf.get_variable("b", initializer=5, use_resource=False)
        sess = tf.Session()
        sess.run(tf.global_variables_initializer())
        path = tf.train.Saver().save(sess, "m")

    def restored(target, resource, options):
        with tf.Graph().as_default():
            members, sess = target(tf, resource), tf.Session()
            tf.train.Saver(members, **options).restore(sess, path)
            found = members.values() if isinstance(members, dict) else members
            parts = [part for one in found for part in (one if isinstance(one, list) else [one])]
            left = [name.decode() for name in sess.run(tf.report_uninitialized_variables())]
            return [[sess.run(part).tolist() for part in parts], left]

    return {
        f"{name}{how}, {resource}": lambda arguments=(target, resource, options): restored(
            *arguments
        )
        for name, target in TARGETS.items()
        for how, options in OPTIONS.items()
        for resource in (False, True)
    }


def case_sessions_have_their_own_values(tf):
    v = variable(tf, "v", False)
    first, second = tf.Session(), tf.Session()
    first.run(v.initializer)
    saver = tf.train.Saver()
    path = saver.save(first, "m")
    return {
        "second": lambda: second.run(v),
        "restored": lambda: saver.restore(second, path) and None,
        "equal": lambda: bool((first.run(v) == second.run(v)).all()),
    }


def case_imported_savers(tf):
    with tf.variable_scope("x"):
        tf.get_variable("a", initializer=1.0, use_resource=False)
    with tf.name_scope("ns"):
        savers = [tf.train.Saver(name="mine"), tf.train.Saver(name="mine"), tf.train.Saver()]
    tf.add_to_collection(tf.GraphKeys.SAVERS, savers[0])
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    path = savers[0].save(sess, "m")
    found = {"names": [saver.as_saver_def().save_tensor_name for saver in savers]}
    for scope in (None, "q"):
        with tf.Graph().as_default():
            saver, sess = (
                tf.train.import_meta_graph(f"{path}.meta", import_scope=scope),
                tf.Session(),
            )
            saver.restore(sess, path)
            again = saver.save(sess, "k/m", 2)
            found[f"{scope}"] = [
                float(sess.run(f"{scope}/x/a:0" if scope else "x/a:0")),
                [type(one).__name__ for one in tf.get_collection(tf.GraphKeys.SAVERS)],
                saver.last_checkpoints,
                saver.as_saver_def().save_tensor_name,
                [[name, list(shape)] for name, shape in tf.train.list_variables(again)],
            ]
    return found
