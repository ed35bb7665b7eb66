"""Initial values from checkpoints: init_from_checkpoint with every form of its map, warm_start with vocabularies.

Left out, since they differ on purpose (docs/from-tensorflow.md): maps and expressions that name no variable at all, single
parts in place of the variable, one of the slashes of `{"scope/": "scope"}`, tuples in place of lists.
"""

import os

import numpy as np

VALUES = {
    "a": np.float32([[1, 2], [3, 4], [5, 6]]),
    "s/b": np.int64(7),
    "s/t": np.array([b"x", b"\xff", b""], object),
    "p": np.arange(10, dtype=np.float32).reshape(5, 2),
    "z": np.complex64([1 + 2j]),
    "o": np.array([True, False]),
    "e": np.zeros([0, 3], np.float32),
}


def saved(tf, values, path="d/m"):
    with tf.Graph().as_default():
        for name, value in values.items():
            kind = tf.string if value.dtype == object else value.dtype
            tf.get_variable(name, initializer=tf.constant(value, kind), use_resource=False)
        sess = tf.Session()
        sess.run(tf.global_variables_initializer())
        return tf.train.Saver().save(sess, path, 3)


def variable(tf, name, source, parts, resource):
    value = VALUES[source]
    kind = tf.string if value.dtype == object else value.dtype
    fill = tf.constant_initializer("i") if kind == tf.string else tf.zeros_initializer()
    return tf.get_variable(
        name,
        value.shape,
        kind,
        initializer=fill,
        use_resource=resource,
        partitioner=tf.fixed_size_partitioner(parts) if parts else None,
    )


def plain(sess, v):
    """The values of a variable, of its parts together."""
    parts = [v] if hasattr(v, "initializer") else list(v)
    found = np.concatenate(sess.run(parts)) if len(parts) > 1 else sess.run(parts[0])
    return [list(np.shape(found)), repr(np.asarray(found).tolist())]


# name -> (variables and the tensors that they are like, the map, in how many parts)
MAPS = {
    "root": ({"a": "a", "s/b": "s/b"}, {"/": "/"}, 0),
    "root to scope": ({"n/a": "a", "n/s/b": "s/b"}, {"/": "n/"}, 0),
    "scope": ({"n/b": "s/b"}, {"s/": "n/"}, 0),
    "scope to root": ({"b": "s/b"}, {"s/": "/"}, 0),
    "deep scope": ({"x/y/b": "s/b"}, {"s/": "x/y/"}, 0),
    "root to deep scope": ({"x/y/s/b": "s/b"}, {"/": "x/y/"}, 0),
    "name": ({"x": "a"}, {"a": "x"}, 0),
    "name with output": ({"x": "a"}, {"a:0": "x"}, 0),
    "name of a tensor": ({"x": "a"}, {"a": "x:0"}, 0),
    "variable": ({"x": "a"}, lambda v: {"a": v["x"]}, 0),
    "pairs": ({"x": "a"}, lambda v: [("a", v["x"])], 0),
    "tuple of pairs": ({"x": "a"}, lambda v: (("a", v["x"]),), 0),
    "iterator of pairs": ({"x": "a"}, lambda v: iter([("a", v["x"])]), 0),
    "no slashes": ({"n/b": "s/b"}, {"s": "n"}, 0),
    "slash on one side": ({"n/b": "s/b"}, {"s": "n/"}, 0),
    "two slashes": ({"n/b": "s/b"}, {"s//": "n/"}, 0),
    "no such tensor": ({"x": "a"}, {"nope": "x"}, 0),
    "no such variable": ({"x": "a"}, {"a": "nope"}, 0),
    "no such scope of tensors": ({"n/b": "s/b"}, {"q/": "n/"}, 0),
    "another shape": ({"x": "s/b"}, {"a": "x"}, 0),
    "one of two is another shape": ({"x": "a", "y": "s/b"}, {"a": "x", "s/t": "y"}, 0),
    "number": ({"x": "a"}, {"a": 3}, 0),
    "number as name": ({"x": "a"}, {3: "x"}, 0),
    "None": ({"x": "a"}, {"a": None}, 0),
    "no map": ({"x": "a"}, None, 0),
    "list of parts": ({"x": "p"}, lambda v: {"p": list(v["x"])}, 2),
    "name of parts": ({"x": "p"}, {"p": "x"}, 2),
    "parts in a scope": ({"n/p": "p"}, {"/": "n/"}, 2),
    "other parts": ({"x": "a"}, {"a": "x"}, 3),
    "some of two": ({"x": "a", "y": "a"}, {"a": "x"}, 0),
    "one tensor twice": ({"x": "a", "y": "a"}, lambda v: [("a", v["x"]), ("a", v["y"])], 0),
    "scope that begins like another": ({"n/b": "s/b", "nn/b": "a"}, {"s/": "n/"}, 0),
    "scope that is a variable too": ({"n": "a", "n/b": "s/b"}, {"s/": "n/"}, 0),
    "variable that is a scope too": ({"n": "a", "n/b": "s/b"}, {"a": "n"}, 0),
    "every dtype": ({name: name for name in VALUES}, {"/": "/"}, 0),
}


def case_assignment_maps(tf):
    path, found = saved(tf, VALUES), {}

    def values(names, given, parts, resource, place=path):
        with tf.Graph().as_default():
            made = {n: variable(tf, n, source, parts, resource) for n, source in names.items()}
            given = given(made) if callable(given) else given
            returned = tf.train.init_from_checkpoint(place, given)
            sess = tf.Session()
            sess.run(tf.global_variables_initializer())
            return [returned, {name: plain(sess, v) for name, v in made.items()}]

    for name, (names, given, parts) in MAPS.items():
        for resource in (False, True):
            found[f"{name}, {resource}"] = lambda arguments=(names, given, parts, resource): values(
                *arguments
            )
    os.mkdir("empty")
    for place in ("d", "d/", "nope", "empty"):
        found[f"from {place}"] = lambda place=place: values({"x": "a"}, {"a": "x"}, 0, False, place)
    return found


def case_other_variables(tf):
    path, found = saved(tf, VALUES), {}
    start = tf.train.init_from_checkpoint
    v = tf.Variable(np.zeros([3, 2], np.float32), name="x", use_resource=False)
    found["not of get_variable, by name"] = lambda: start(path, {"a": "x"})
    found["not of get_variable"] = lambda: start(path, {"a": v})

    def later():
        sess = tf.Session()
        sess.run(v.initializer)
        return [sess.run(v).tolist(), sess.run(v.initial_value).tolist()]

    found["its value"] = later

    def in_scope(name):
        with tf.Graph().as_default():
            with tf.variable_scope("n"):
                w = tf.get_variable("a", [3, 2], use_resource=False)
                start(path, {"a": name})
            sess = tf.Session()
            sess.run(w.initializer)
            return sess.run(w)

    found["in a scope, by its name there"] = lambda: in_scope("a")
    found["in a scope, by its name"] = lambda: in_scope("n/a")

    def local():
        with tf.Graph().as_default():
            kind = [tf.GraphKeys.LOCAL_VARIABLES]
            w = tf.get_variable("l", [3, 2], collections=kind, use_resource=False)
            start(path, {"a": "l"})
            sess = tf.Session()
            sess.run(w.initializer)
            return sess.run(w)

    found["local"] = local
    return found


def case_slots(tf):
    def trained(scope):
        with tf.variable_scope(scope):
            w = tf.get_variable("w", initializer=[1.0, 2.0], use_resource=False)
        return tf.train.AdamOptimizer().minimize(tf.reduce_sum(w * w))

    with tf.Graph().as_default():
        step, sess = trained("a"), tf.Session()
        sess.run(tf.global_variables_initializer())
        sess.run(step)
        path = tf.train.Saver().save(sess, "m")
        bare = tf.train.Saver({"a/w": tf.trainable_variables()[0]}).save(sess, "n")
    trained("b")

    def started():
        tf.train.init_from_checkpoint(path, {"a/": "b/"})
        sess = tf.Session()
        sess.run(tf.global_variables_initializer())
        return {v.name: sess.run(v).tolist() for v in tf.global_variables()}

    def found():
        with tf.variable_scope("", reuse=True):
            return tf.get_variable("b/w/Adam", [2]).name

    return {
        "with slots": started,
        "without": lambda: tf.train.init_from_checkpoint(bare, {"a/": "b/"}),
        "known to get_variable": found,
    }


WARM = {
    "emb": np.float32([[1, 1], [2, 2], [3, 3]]),
    "w": np.float32([[1, 2, 3], [4, 5, 6]]),
    "s/k": np.float32([7, 8]),
    "b": np.float32([9]),
    "gs": np.int64(5),
}
THREE = {"w": [2, 3], "s/k": [2], "b": [1]}


def vocabularies():
    for name, words in (("old", "abc"), ("new", "cxab")):
        with open(name, "w") as file:
            file.write("".join(f"{word}\n" for word in words))


def warm(tf, path, shapes, resource, **options):
    with tf.Graph().as_default():
        made = {}
        for name, shape in shapes.items():
            shape, parts = shape if isinstance(shape, tuple) else (shape, 0)
            made[name] = tf.get_variable(
                name,
                shape,
                tf.int64 if name == "gs" else tf.float32,
                initializer=tf.zeros_initializer(),
                trainable=name != "gs",
                use_resource=resource,
                partitioner=tf.fixed_size_partitioner(parts) if parts else None,
            )
        given = {key: value(made) if callable(value) else value for key, value in options.items()}
        returned = tf.train.warm_start(path, **given)
        sess = tf.Session()
        sess.run(tf.global_variables_initializer())
        return [returned, {name: plain(sess, v) for name, v in made.items()}]


def case_what_is_warm_started(tf):
    path, found = saved(tf, WARM), {}
    cases = {
        "all": (THREE, {}),
        "scope": (THREE, {"vars_to_warm_start": "s/"}),
        "expression": (THREE, {"vars_to_warm_start": ".*k"}),
        "list of expressions": (THREE, {"vars_to_warm_start": ["w", "s/.*"]}),
        "not trainable, in a list": ({**THREE, "gs": []}, {"vars_to_warm_start": ["gs"]}),
        "not trainable": ({**THREE, "gs": []}, {}),
        "variables": (THREE, {"vars_to_warm_start": lambda v: [v["w"], v["b"]]}),
        "variable": (THREE, {"vars_to_warm_start": lambda v: v["w"]}),
        "number": (THREE, {"vars_to_warm_start": 3}),
        "text and variable": (THREE, {"vars_to_warm_start": lambda v: ["w", v["b"]]}),
        "dict": (THREE, {"vars_to_warm_start": {"w": 1}}),
        "another name": ({"n/w": [2, 3]}, {"var_name_to_prev_var_name": {"n/w": "w"}}),
        "another name, in parts": ({"n/w": ([2, 3], 2)}, {"var_name_to_prev_var_name": {"n/w": "w"}}),
        "a name that is not used": (THREE, {"var_name_to_prev_var_name": {"zz": "w"}}),
        "a name that is not chosen": (THREE, {"vars_to_warm_start": "b", "var_name_to_prev_var_name": {"w": "w"}}),
        "a name that is not there": (THREE, {"var_name_to_prev_var_name": {"w": "zz"}}),
        "not in the checkpoint": ({"q": [2]}, {}),
        "another shape": ({"w": [3, 2]}, {}),
    }  # fmt: skip
    for name, (shapes, options) in cases.items():
        for resource in (False, True):
            found[f"{name}, {resource}"] = lambda s=shapes, o=options, r=resource: warm(
                tf, path, s, r, **o
            )
    for place in ("d", "d/", "nope"):
        found[f"from {place}"] = lambda place=place: warm(tf, place, THREE, False)
    return found


def case_vocabularies(tf):
    vocabularies()
    path, found, Info = saved(tf, WARM), {}, tf.train.VocabInfo
    ones = tf.ones_initializer()

    def started(shapes, resource=False, vocabulary=None, **options):
        return lambda: warm(
            tf, path, shapes, resource, var_name_to_vocab_info=vocabulary, **options
        )

    for axis, name in ((0, "emb"), (1, "w")):
        for buckets in (0, 2):
            for parts in (0, 2):
                for resource in (False, True):
                    shape = [4 + buckets, 2] if axis == 0 else [2, 4 + buckets]
                    info = Info("new", 4, buckets, "old", -1, ones, axis)
                    key = f"axis {axis}, {buckets} buckets, {parts} parts, {resource}"
                    found[key] = started({name: (shape, parts)}, resource, {name: info})
    plain, emb = Info("new", 4, 0, "old"), {"emb": [4, 2]}
    others = {
        "no backup": (emb, {"emb": plain}, {}),
        "only those": ({**emb, "b": [1]}, {"emb": plain}, {"vars_to_warm_start": None}),
        "few old": (emb, {"emb": Info("new", 4, 0, "old", old_vocab_size=1)}, {}),
        "too many old": (emb, {"emb": Info("new", 4, 0, "old", old_vocab_size=7)}, {}),
        "few new": ({"emb": [2, 2]}, {"emb": Info("new", 2, 0, "old")}, {}),
        "another size": ({"emb": [5, 2]}, {"emb": plain}, {}),
        "too many new": ({"emb": [9, 2]}, {"emb": Info("new", 9, 0, "old")}, {}),
        "no new file": (emb, {"emb": Info("nope", 4, 0, "old")}, {}),
        "no old file": (emb, {"emb": Info("new", 4, 0, "nope")}, {}),
        "not used": (THREE, {"zz": plain}, {}),
        "another name": ({"n/e": [4, 2]}, {"n/e": plain}, {"var_name_to_prev_var_name": {"n/e": "emb"}}),
        "the same file": ({"emb": [3, 2]}, {"emb": Info("old", 3, 0, "old")}, {}),
        "a tuple": (emb, {"emb": ("new", 4, 0, "old", -1, None, 0)}, {}),
    }  # fmt: skip
    for name, (shapes, vocabulary, options) in others.items():
        found[name] = started(shapes, vocabulary=vocabulary, **options)
    found["fields"] = [list(Info("n", 1, 2, "o")), Info("n", 1, 2, "o").axis]
    found["shown"] = repr(Info("n", 1, 2, "o"))
    for axis in (0, 1, 2, -1, None):
        found[f"axis {axis}"] = lambda axis=axis: Info("n", 1, 2, "o", -1, None, axis).axis
    found["too few"] = lambda: Info("n")
    return found
