"""Reading checkpoints, and starting from them: readers, init_from_checkpoint, warm_start."""

import tempfile

import numpy as np

HELD = {"a": [2], "s/b": [3], "s/c": [1], "t/s/d": [1], "emb": [4, 2], "kernel": [3, 4]}
OLD, NEW = ["apple", "banana", "orange", "grape"], ["orange", "guava", "banana", "apple", "fig"]


def held(shape):
    return np.arange(1.0, 1.0 + np.prod(shape), dtype=np.float32).reshape(shape)


def with_checkpoint(tf, use):
    """Save HELD in a directory of its own, then `use(prefix, directory)` in a new graph."""
    with tempfile.TemporaryDirectory() as directory:
        with tf.Graph().as_default(), tf.Session() as sess:
            for name, shape in HELD.items():
                tf.get_variable(name, initializer=held(shape), use_resource=False)
            tf.get_variable("p", [5, 2], initializer=tf.ones_initializer(), use_resource=False,
                            partitioner=tf.fixed_size_partitioner(2))  # fmt: skip
            tf.Variable("text", name="string", use_resource=False)
            sess.run(tf.global_variables_initializer())
            prefix = tf.train.Saver().save(sess, f"{directory}/m")
        for name, words in (("old", OLD), ("new", NEW)):
            with open(f"{directory}/{name}", "w") as file:
                file.write("\n".join(words) + "\n")
        with tf.Graph().as_default():
            return use(prefix, directory)


def raised_by(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except Exception as error:  # noqa: BLE001  # the error is the result, and is compared
        return type(error).__name__
    return "none"


def variables(tf, shapes, use_resource=False, parts=None):
    return [
        tf.get_variable(name, shape, initializer=tf.zeros_initializer(), use_resource=use_resource,
                        partitioner=tf.fixed_size_partitioner(parts) if parts else None)
        for name, shape in shapes.items()
    ]  # fmt: skip


def initialised(tf):
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        return {v.op.name: sess.run(v) for v in tf.global_variables()}


def case_readers(tf):
    def use(prefix, directory):
        reader = tf.train.NewCheckpointReader(prefix)
        dtypes = reader.get_variable_to_dtype_map()
        return {
            "shapes": sorted(map(list, reader.get_variable_to_shape_map().items())),
            "dtypes": sorted([name, dtype.name] for name, dtype in dtypes.items()),
            "has": [reader.has_tensor(name) for name in ("a", "s/b", "p", "p/part_0", "no")],
            "a": reader.get_tensor("a"),
            "string": str(reader.get_tensor("string")),
            "p": reader.get_tensor("p"),
            "listed": [list(pair) for pair in tf.train.list_variables(directory)],
            "loaded": tf.train.load_variable(directory, "s/b:0"),
            "errors": [
                raised_by(reader.get_tensor, "no"),
                raised_by(tf.train.NewCheckpointReader, f"{directory}/no"),
                raised_by(tf.train.load_checkpoint, f"{directory}/no"),
                raised_by(tf.train.load_variable, prefix, "no"),
            ],
            "times": len(tf.train.get_checkpoint_mtimes([prefix, f"{directory}/no"])),
            "exist": [tf.train.checkpoint_exists(p) for p in (prefix, f"{directory}/no")],
        }

    return with_checkpoint(tf, use)


def error_empty_directory(tf):
    with tempfile.TemporaryDirectory() as directory:
        tf.train.load_checkpoint(directory)


def started(tf, shapes, assignment_map, **options):
    def use(prefix, directory):
        made = variables(tf, shapes, **options)
        given = assignment_map(made) if callable(assignment_map) else assignment_map
        tf.train.init_from_checkpoint(prefix, given)
        inits = [v.initializer.name.partition(":")[0] for v in tf.global_variables()]
        return {"inits": inits, **initialised(tf)}

    return with_checkpoint(tf, use)


def case_name(tf):
    return started(tf, {"x": [2]}, {"a": "x"})


def case_resource(tf):
    return started(tf, {"x": [2]}, {"a": "x"}, use_resource=True)


def case_variable(tf):
    return started(tf, {"x": [2], "y": [3]}, lambda made: {"a": made[0]})


def case_scope(tf):
    return started(tf, {"z/b": [3], "z/c": [1], "other": [1]}, {"s/": "z/"})


def case_from_root(tf):
    return started(tf, {"z/a": [2], "z/s/b": [3]}, {"/": "z/"})


def case_to_root(tf):
    return started(tf, {"b": [3], "c": [1]}, {"s/": "/"})


def case_root_to_root(tf):
    return started(tf, {"a": [2], "s/b": [3]}, {"/": "/"})


def case_parts(tf):
    return started(tf, {"x": [5, 2]}, {"p": "x"}, parts=3)


def case_list_of_parts(tf):
    return started(tf, {"x": [5, 2]}, lambda made: {"p": list(made[0])}, parts=3)


def case_parts_in_scope(tf):
    return started(tf, {"z/p": [5, 2]}, {"/": "z/"}, parts=3)


def error_no_such_tensor(tf):
    started(tf, {"x": [2]}, {"no": "x"})


def error_no_such_variable(tf):
    started(tf, {"x": [2]}, {"a": "y"})


def error_other_shape(tf):
    started(tf, {"x": [3]}, {"a": "x"})


def error_scope_lacks_one(tf):
    started(tf, {"z/b": [3], "z/q": [1]}, {"s/": "z/"})


def error_number_for_variable(tf):
    started(tf, {"x": [2]}, {"a": 3})


def warmed(tf, shapes, use_resource=False, parts=None, vocab=(), vocab_options=None, **arguments):
    def use(prefix, directory):
        variables(tf, shapes, use_resource, parts)
        info = tf.train.VocabInfo(f"{directory}/new", 5, 0, f"{directory}/old")
        info = info._replace(**(vocab_options or {}))
        tf.train.warm_start(prefix, var_name_to_vocab_info=dict.fromkeys(vocab, info), **arguments)
        return initialised(tf)

    return with_checkpoint(tf, use)


def case_warm_all(tf):
    return warmed(tf, {"a": [2], "s/b": [3]})


def case_warm_pattern(tf):
    return warmed(tf, {"a": [2], "s/b": [3]}, vars_to_warm_start="s/.*")


def case_warm_patterns(tf):
    return warmed(tf, {"a": [2], "s/b": [3], "s/c": [1]}, vars_to_warm_start=["a", ".*c"])


def case_warm_none(tf):
    return warmed(tf, {"a": [2]}, vars_to_warm_start=None)


def case_warm_other_name(tf):
    return warmed(tf, {"q": [2]}, var_name_to_prev_var_name={"q": "a"})


def case_vocabulary(tf):
    return warmed(tf, {"emb": [5, 2], "a": [2]}, vocab=["emb"])


def case_vocabulary_of_columns(tf):
    options = {"axis": 1, "old_vocab_size": 4}
    return warmed(tf, {"kernel": [3, 5]}, vocab=["kernel"], vocab_options=options)


def case_vocabulary_with_buckets(tf):
    options = {"num_oov_buckets": 2}
    return warmed(tf, {"emb": [7, 2]}, vocab=["emb"], vocab_options=options)


def case_vocabulary_in_parts(tf):
    return warmed(tf, {"emb": [5, 2]}, parts=2, vocab=["emb"])


def case_smaller_vocabulary(tf):
    options = {"new_vocab_size": 3, "old_vocab_size": 2}
    return warmed(tf, {"emb": [3, 2]}, vocab=["emb"], vocab_options=options)


def error_warm_number(tf):
    warmed(tf, {"a": [2]}, vars_to_warm_start=3)


def error_warm_missing(tf):
    warmed(tf, {"new": [2]})


def error_warm_unused_name(tf):
    warmed(tf, {"a": [2]}, var_name_to_prev_var_name={"q": "a"})


def error_warm_unused_vocabulary(tf):
    warmed(tf, {"a": [2]}, vocab=["emb"])


def error_vocabulary_of_another_size(tf):
    warmed(tf, {"emb": [7, 2]}, vocab=["emb"])


def error_third_axis(tf):
    warmed(tf, {"emb": [5, 2]}, vocab=["emb"], vocab_options={"axis": 2})


def error_no_vocabulary(tf):
    warmed(tf, {"emb": [5, 2]}, vocab=["emb"], vocab_options={"new_vocab": "no/where"})
